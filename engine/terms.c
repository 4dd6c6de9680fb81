#include "engine/terms.h"

size_t elem_bytes(enum elem elem)
{
    switch (elem) {
    case ELEM_F32:
        return 4;
    case ELEM_F16:
        return 2;
    case ELEM_U8:
    case ELEM_I8:
        break;
    }
    return 1;
}

const char *elem_name(enum elem elem)
{
    static const char *const names[] = {"f32", "f16", "u8", "i8"};

    return names[elem];
}
