/* Peaks and rows made by hand, as the runtime sees them: see peaks.h. */
#include "profile/peaks.h"

#include "profile/profile.h"

#include <string.h>

_Static_assert(PEAK_SIZES == CT_PEAK_SIZES, "the two say the same");

static ct_peaks as_peaks(const peaks *p)
{
    ct_peaks out = {.measured = p->measured, .n_sizes = p->n_sizes};
    memcpy(out.flops, p->flops, sizeof out.flops);
    memcpy(out.copied, p->copied, sizeof out.copied);
    memcpy(out.bandwidth, p->bandwidth, sizeof out.bandwidth);
    return out;
}

peaks measure_peaks(ct_context *ctx)
{
    peaks out = {0};
    if (!ctx->profile) ctx->profile = ct_alloc(ctx, sizeof *ctx->profile);
    if (!ctx->profile) return out;
    ct_profile_measure(ctx);
    const ct_peaks *p = &ctx->profile->peaks;
    out = (peaks){.measured = p->measured, .n_sizes = p->n_sizes};
    memcpy(out.flops, p->flops, sizeof out.flops);
    memcpy(out.copied, p->copied, sizeof out.copied);
    memcpy(out.bandwidth, p->bandwidth, sizeof out.bandwidth);
    return out;
}

double bandwidth_for(const peaks *p, double bytes)
{
    const ct_peaks known = as_peaks(p);
    return ct_peak_bandwidth(&known, bytes);
}

double flops_for(const peaks *p, int32_t dtype)
{
    const ct_peaks known = as_peaks(p);
    return ct_peak_flops(&known, dtype);
}

static ct_profile_row as_row(const record_cost *c)
{
    return (ct_profile_row){
        .flops = c->flops, .bytes = c->bytes, .dtype = (uint8_t)c->dtype, .calls = c->calls, .ns = c->ns};
}

double roofline_of(const peaks *p, const record_cost *c)
{
    const ct_profile profile = {.peaks = as_peaks(p)};
    const ct_profile_row row = as_row(c);
    return ct_profile_roofline(&profile, &row);
}

bool is_compute_bound(const peaks *p, const record_cost *c)
{
    const ct_profile profile = {.peaks = as_peaks(p)};
    const ct_profile_row row = as_row(c);
    return ct_profile_compute_bound(&profile, &row);
}
