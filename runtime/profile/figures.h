/* Figures of a profile, written alike in all its outputs: with a point in every locale, and a sign of its own where
 * there is nothing to tell. Sums over its rows that more than one output wants. */
#ifndef CUTAPE_PROFILE_FIGURES_H
#define CUTAPE_PROFILE_FIGURES_H

#include "profile/profile.h"
#include "tape/tape.h"

/* Each writes "-" for what is not finite: it was not measured. */
void ct_say_fixed(ct_text *, double value, int decimals);
/* Three digits and the prefix of a power of 1000: "0", "640", "6.40k", "51.2M". */
void ct_say_prefixed(ct_text *, double value);
/* For machines, with 15 digits; `missing` for what is not finite. */
void ct_say_number(ct_text *, double value, const char *missing);

/* Itself; NaN for the 0 of what was not measured. */
double ct_measured(double value);
/* a / b; NaN without a b. */
double ct_ratio(double a, double b);
/* Microseconds of a call on the average; NaN if there was none. */
double ct_row_us(const ct_profile_row *, int64_t ns);
/* Per second, of `work` in a call. NaN: it has none, or took no time that could be measured. */
double ct_row_rate(const ct_profile_row *, double work);
/* Per cent of the roofline; NaN: it was not measured. */
double ct_row_roofline(const ct_profile *, const ct_profile_row *);

typedef struct ct_phase_sum {
    int64_t ns, launches;
    double flops, bytes;
} ct_phase_sum;

/* Of all calls; made once for an output. */
typedef struct ct_profile_sums {
    int64_t ns, gap_ns;
    ct_phase_sum phases[CT_PHASE_DATA + 1];
    int64_t *backward_ns; /* as ct_profile_backward_ns, of each row */
} ct_profile_sums;

/* False: host memory is out. backward_ns is for ct_free. */
bool ct_profile_sum(ct_context *, const ct_profile *, ct_profile_sums *out);

/* Bytes that are alive at the peak. */
size_t ct_peak_bytes(const ct_profile_program *);
/* Numbers of the values that are alive at the peak, the largest first: `n` of them. NULL: host memory is out. For
 * ct_free. */
uint32_t *ct_alive_at_peak(ct_context *, const ct_profile_program *, uint32_t *n);

#endif
