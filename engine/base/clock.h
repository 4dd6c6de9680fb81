/* Time, in nanoseconds. */
#ifndef IVF_CLOCK_H
#define IVF_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

int64_t clock_ns(void);      /* monotonic; for differences */
int64_t clock_unix_ns(void); /* since 1970, UTC; for dates */

#ifdef __cplusplus
}
#endif
#endif
