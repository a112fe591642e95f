/* What the device reaches, and how far a record is from it, for tests in C++: the headers of the runtime are C. */
#ifndef CUTAPE_TESTS_PROFILE_PEAKS_H
#define CUTAPE_TESTS_PROFILE_PEAKS_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEAK_SIZES 8

typedef struct peaks {
    bool measured;
    int n_sizes;
    double flops[2], copied[PEAK_SIZES], bandwidth[PEAK_SIZES];
} peaks;

/* Those of the context, measured if they were not. */
peaks measure_peaks(ct_context *);

double bandwidth_for(const peaks *, double bytes);
double flops_for(const peaks *, int32_t dtype);

/* Calls of a record took `ns` in all. */
typedef struct record_cost {
    double flops, bytes;
    int32_t dtype;
    int64_t calls, ns;
} record_cost;
double roofline_of(const peaks *, const record_cost *);
bool is_compute_bound(const peaks *, const record_cost *);

#ifdef __cplusplus
}
#endif

#endif
