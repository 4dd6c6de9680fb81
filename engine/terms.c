#include "engine/terms.h"

#include <string.h>

#include "engine/base/half.h"

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

void elem_to_floats(enum elem elem, const void *ptr, int64_t count, float *out)
{
    switch (elem) {
    case ELEM_F32:
        memcpy(out, ptr, (size_t)count * sizeof *out);
        break;
    case ELEM_F16:
        for (int64_t i = 0; i < count; i++)
            out[i] = half_to_float(((const uint16_t *)ptr)[i]);
        break;
    case ELEM_U8:
        for (int64_t i = 0; i < count; i++)
            out[i] = ((const uint8_t *)ptr)[i];
        break;
    case ELEM_I8:
        for (int64_t i = 0; i < count; i++)
            out[i] = ((const int8_t *)ptr)[i];
        break;
    }
}
