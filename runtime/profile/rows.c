/* Rows of a profile in the order that was asked for, and sums over them: see profile.h and figures.h. */
#include "profile/figures.h"

#include <string.h>

/* ---- order ------------------------------------------------------------------------------------ */

static int compare_numbers(double a, double b) { return (a > b) - (a < b); }

/* What was not measured comes last. */
static int compare_rooflines(const ct_profile *p, const ct_profile_row *a, const ct_profile_row *b)
{
    const double x = ct_profile_roofline(p, a), y = ct_profile_roofline(p, b);
    if (!(x > 0) || !(y > 0)) return !(x > 0) - !(y > 0);
    return compare_numbers(x, y);
}

static int compare_records(const ct_profile_row *a, const ct_profile_row *b)
{
    const int order = compare_numbers(a->program, b->program);
    return order ? order : compare_numbers(a->record, b->record);
}

static int compare(const ct_profile *p, const ct_profile_row *a, const ct_profile_row *b)
{
    int order = 0;
    switch (p->order) {
    case CT_PROFILE_BY_TIME: break;
    case CT_PROFILE_BY_RECORD: return compare_records(a, b);
    case CT_PROFILE_BY_OP: order = strcmp(a->op, b->op); break;
    case CT_PROFILE_BY_PHASE: order = compare_numbers(a->phase, b->phase); break;
    case CT_PROFILE_BY_ROOFLINE: order = compare_rooflines(p, a, b); break;
    }
    if (!order) order = (b->ns > a->ns) - (b->ns < a->ns);
    return order ? order : compare_records(a, b);
}

/* Two ordered runs of `from`, up to `middle` and up to `end`, into one. */
static void merge(const ct_profile *p, const uint32_t *from, uint32_t *to, size_t first, size_t middle, size_t end)
{
    size_t left = first, right = middle;
    for (size_t i = first; i < end; i++) {
        const bool take_left =
            left < middle && (right == end || compare(p, &p->rows[from[left]], &p->rows[from[right]]) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

uint32_t *ct_profile_sorted(ct_context *ctx, const ct_profile *p)
{
    const size_t n = p->n_rows;
    uint32_t *numbers = ct_alloc(ctx, n * sizeof *numbers), *other = ct_alloc(ctx, n * sizeof *other);
    if (!numbers || !other) {
        ct_free(ctx, numbers);
        ct_free(ctx, other);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) numbers[i] = (uint32_t)i;
    for (size_t run = 1; run < n; run *= 2) {
        for (size_t first = 0; first < n; first += 2 * run) {
            const size_t middle = first + run < n ? first + run : n, end = middle + run < n ? middle + run : n;
            merge(p, numbers, other, first, middle, end);
        }
        uint32_t *swap = numbers;
        numbers = other;
        other = swap;
    }
    ct_free(ctx, other);
    return numbers;
}

ct_status ct_profile_sort(ct_context *ctx, ct_profile_order order)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!ctx->open) return CT_ERR_STATE;
    if ((int)order < CT_PROFILE_BY_TIME || order > CT_PROFILE_BY_ROOFLINE)
        return ct_report(ctx, CT_ERR_ARGUMENT, "ct_profile_sort: order is %d; use CT_PROFILE_BY_*", (int)order);
    if (!ctx->profile) ctx->profile = ct_alloc(ctx, sizeof *ctx->profile);
    if (!ctx->profile) return ct_report(ctx, CT_ERR_MEMORY, "ct_profile_sort: out of host memory");
    ctx->profile->order = order;
    return CT_OK;
}

/* ---- sums --------------------------------------------------------------------------------------- */

static void add_row(const ct_profile *p, const ct_profile_row *row, ct_profile_sums *s)
{
    ct_phase_sum *phase = &s->phases[row->phase];
    s->ns += row->ns;
    s->gap_ns += row->gap_ns;
    phase->ns += row->ns;
    phase->launches += row->launches * row->calls;
    phase->flops += row->flops * (double)row->calls;
    phase->bytes += row->bytes * (double)row->calls;
    for (uint32_t of = row->forward; of != CT_NO_ROW; of = p->rows[of].forward) s->backward_ns[of] += row->ns;
}

bool ct_profile_sum(ct_context *ctx, const ct_profile *p, ct_profile_sums *out)
{
    *out = (ct_profile_sums){.backward_ns = ct_alloc(ctx, p->n_rows * sizeof(int64_t))};
    if (!out->backward_ns) return false;
    for (size_t i = 0; i < p->n_rows; i++) add_row(p, &p->rows[i], out);
    return true;
}

/* ---- memory ------------------------------------------------------------------------------------- */

size_t ct_peak_bytes(const ct_profile_program *g) { return g->n_records ? g->alive[g->peak - g->first_record] : 0; }

static bool is_alive(const ct_profile_value *v, uint32_t record) { return v->first <= record && record <= v->last; }

uint32_t *ct_alive_at_peak(ct_context *ctx, const ct_profile_program *g, uint32_t *n)
{
    *n = 0;
    uint32_t *numbers = ct_alloc(ctx, g->n_values * sizeof *numbers);
    for (uint32_t i = 0; numbers && i < g->n_values; i++) {
        if (!is_alive(&g->values[i], g->peak)) continue;
        uint32_t at = (*n)++;
        for (; at > 0 && g->values[numbers[at - 1]].bytes < g->values[i].bytes; at--) numbers[at] = numbers[at - 1];
        numbers[at] = i;
    }
    return numbers;
}
