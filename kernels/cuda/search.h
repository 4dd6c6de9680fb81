/*
 * Which way searches are to go, and which they went: for tests and measurements. C, as passes.h is.
 */
#ifndef IVF_CUDA_SEARCH_H
#define IVF_CUDA_SEARCH_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

enum search_path { SEARCH_AUTO, SEARCH_PLAINLY, SEARCH_BY_QUERY, SEARCH_BY_LIST };

/*
 * From now on all searches of b take that path. cap: the candidates that are kept of a query are so many
 * at most; 0: what would be. Answers are the same.
 */
void cuda_search_force(struct backend *b, int path, int cap);

/*
 * Of the queries that l's last search took at once last: how many walked because candidates of a scan did not
 * decide, and how many were searched plainly because nothing else did.
 */
int cuda_search_left(struct backend *b, struct lists *l, int32_t *walked, int32_t *plain);

#ifdef __cplusplus
}
#endif
#endif
