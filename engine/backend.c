#include "engine/backend.h"

#include "engine/base/fail.h"

#define SLOT(ops, slot)                                                                            \
    {                                                                                              \
#slot, (ops)->slot == NULL                                                                 \
    }

int backend_check(const struct backend_ops *ops)
{
    const struct {
        const char *name;
        int missing;
    } slots[] = {
        SLOT(ops, name),           SLOT(ops, open),         SLOT(ops, close),
        SLOT(ops, info),           SLOT(ops, alloc),        SLOT(ops, release),
        SLOT(ops, upload),         SLOT(ops, download),     SLOT(ops, finite),
        SLOT(ops, gather),         SLOT(ops, transform),    SLOT(ops, assign),
        SLOT(ops, means),          SLOT(ops, residuals),    SLOT(ops, encode),
        SLOT(ops, code_means),     SLOT(ops, knn),          SLOT(ops, lists_create),
        SLOT(ops, lists_free),     SLOT(ops, lists_passes), SLOT(ops, lists_add),
        SLOT(ops, lists_end_pass), SLOT(ops, lists_sizes),  SLOT(ops, lists_reserve),
        SLOT(ops, lists_search),   SLOT(ops, lists_bytes),  SLOT(ops, fill_bytes),
        SLOT(ops, train_bytes),    SLOT(ops, knn_bytes),    SLOT(ops, search_bytes),
    };

    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        if (slots[i].missing)
            return fail(ERR_INVALID, "backend %s lacks %s", ops->name ? ops->name : "?",
                        slots[i].name);
    return 0;
}
