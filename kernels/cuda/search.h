/*
 * Which way searches go, for tests and measurements that want a certain one. C, as passes.h is.
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

#ifdef __cplusplus
}
#endif
#endif
