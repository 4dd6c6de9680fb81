/* The scan past 128 dimensions: scan_lists' (scan.h). */
#ifndef IVF_CUDA_SCAN_DEEP_H
#define IVF_CUDA_SCAN_DEEP_H

struct cuda;
struct scan_task;

int scan_deep(struct cuda *cuda, const struct scan_task &t);

#endif
