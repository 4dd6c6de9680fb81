#include "engine/sample.h"

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"

int sample_pick(int64_t **picked, int64_t *count, int64_t rows, int64_t most, uint32_t seed)
{
    int64_t *perm = mem_new(rows, sizeof *perm);

    if (!perm) return ERR_NOMEM;
    for (int64_t i = 0; i < rows; i++)
        perm[i] = i;
    if (rows > most) rand_perm(perm, rows, seed);
    *picked = perm;
    *count = rows < most ? rows : most;
    return 0;
}

int sample_rows(struct backend *b, const struct mat *x, int64_t rows, int64_t most, uint32_t seed,
                struct mat *out)
{
    int64_t *picked = NULL;
    size_t bytes = 0;
    int rc;

    *out = (struct mat){.elem = ELEM_F32, .d = x->d};
    if ((rc = sample_pick(&picked, &out->rows, rows, most, seed)) < 0) goto out;
    if ((rc = mem_bytes(&bytes, out->rows * out->d, sizeof(float))) < 0) goto out;
    if ((rc = b->ops->alloc(b, &out->data, bytes)) < 0) goto out;
    rc = b->ops->gather(b, x, picked, out);
out:
    mem_free(picked);
    return rc;
}
