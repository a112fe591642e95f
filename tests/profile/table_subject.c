/* The profile of table_subject.h. Its names and shapes are static: the profile frees no text that it did not keep. */
#include "table_subject.h"

#include "profile/profile.h"
#include "tape/tape.h"

#include <string.h>

/* Peaks: 100 GFLOP/s f32, 50 f64; 200 GB/s up to 1000 bytes, 20 GB/s beyond. */
static const ct_peaks peaks = {
    .measured = true, .flops = {1e11, 5e10}, .copied = {1000, 1e8}, .bandwidth = {2e11, 2e10}, .n_sizes = 2};

/* Of all, 20 us. */
static const ct_profile_row rows[] = {
    {.program = 0,
     .record = 0,
     .forward = CT_NO_ROW,
     .phase = CT_PHASE_DATA,
     .op = "gather",
     .label = "gather#0",
     .tensor = "x,\"1\"\n",
     .shape = "f32 [4,3]",
     .launches = 1,
     .bytes = 640,
     .calls = 2,
     .ns = 2000,
     .least_ns = 900,
     .most_ns = 1100,
     .gap_ns = 0,
     .host_ns = 500},
    /* 8 us for 2 * 100,000 FLOPs: 25 GFLOP/s, 25 % of the roofline */
    {.program = 0,
     .record = 1,
     .forward = CT_NO_ROW,
     .phase = CT_PHASE_FORWARD,
     .op = "linear",
     .label = "linear#1",
     .tensor = "h",
     .shape = "f32 [4,2]",
     .launches = 1,
     .flops = 100000,
     .bytes = 8000,
     .calls = 2,
     .ns = 8000,
     .least_ns = 3000,
     .most_ns = 5000,
     .gap_ns = 500,
     .host_ns = 1000},
    {.program = 0,
     .record = 3,
     .forward = 1,
     .phase = CT_PHASE_BACKWARD,
     .op = "matmul",
     .label = "linear#1 backward dw (w)",
     .tensor = "w.grad",
     .shape = "f32 [2,3]",
     .launches = 2,
     .flops = 50000,
     .bytes = 4000,
     .calls = 2,
     .ns = 4000,
     .least_ns = 1500,
     .most_ns = 2500,
     .gap_ns = 1500,
     .host_ns = 2000},
    /* belongs to the gradient of a gradient */
    {.program = 0,
     .record = 4,
     .forward = 2,
     .phase = CT_PHASE_BACKWARD,
     .op = "add",
     .label = "matmul#3 backward da",
     .tensor = "%9",
     .shape = "f32 [2,3]",
     .launches = 1,
     .flops = 6,
     .bytes = 72,
     .calls = 2,
     .ns = 2000,
     .least_ns = 1000,
     .most_ns = 1000,
     .gap_ns = 0,
     .host_ns = 100},
    {.program = 1,
     .record = 7,
     .forward = CT_NO_ROW,
     .phase = CT_PHASE_UPDATE,
     .op = "adam",
     .label = "adam#7",
     .tensor = "w",
     .shape = "f32 [2,3]",
     .launches = 1,
     .flops = 0,
     .bytes = 20000,
     .calls = 1,
     .ns = 4000,
     .least_ns = 4000,
     .most_ns = 4000,
     .gap_ns = 3000,
     .host_ns = 700},
};

static bool fill_program(ct_context *ctx, ct_profile_program *g, uint32_t number, uint32_t n_values)
{
    g->number = number;
    g->n_records = 7;
    g->n_values = n_values;
    g->arena_bytes = 4096;
    g->plays = 2;
    g->values = ct_alloc(ctx, n_values * sizeof *g->values);
    g->alive = ct_alloc(ctx, 7 * sizeof *g->alive);
    g->row_of = ct_alloc(ctx, 1);
    g->times = ct_alloc(ctx, 1);
    return g->values && g->alive && g->row_of && g->times;
}

/* The first has 12 values at its peak, record 3, one before it, and one behind; the other one that is kept. */
static bool fill_programs(ct_context *ctx, ct_profile_program *g)
{
    if (!fill_program(ctx, &g[0], 4, 14) || !fill_program(ctx, &g[1], 9, 1)) return false;
    static const char *const names[] = {"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11"};
    for (uint32_t i = 0; i < 12; i++)
        g[0].values[i] = (ct_profile_value){names[i], "f32 [1]", 64 * (size_t)i, 8 * ((size_t)i + 1), i % 4, 3 + i % 2};
    g[0].values[12] = (ct_profile_value){"before", "f32 [9]", 0, 5000, 0, 2};
    g[0].values[13] = (ct_profile_value){"behind", "f32 [9]", 0, 5000, 4, CT_NEVER};
    g[0].peak = 3;
    g[0].alive[3] = 624;
    g[1].values[0] = (ct_profile_value){"kept \"one\"", "", 256, 512, 7, CT_NEVER};
    g[1].first_record = g[1].peak = 7;
    g[1].alive[0] = 512;
    return true;
}

bool profile_by_hand(ct_context *ctx)
{
    ct_profile *p = ctx->profile ? ctx->profile : ct_alloc(ctx, sizeof *p);
    if (!p) return false;
    ctx->profile = p;
    p->collected = true;
    p->begin = 1000;
    p->end = 51000;
    p->steps = 2;
    p->pool_bytes = 8192;
    p->peaks = peaks;
    p->rows = ct_alloc(ctx, sizeof rows);
    p->programs = ct_alloc(ctx, 2 * sizeof *p->programs);
    if (!p->rows || !p->programs) return false;
    memcpy(p->rows, rows, sizeof rows);
    p->n_rows = p->rows_capacity = sizeof rows / sizeof *rows;
    p->n_programs = p->programs_capacity = 2;
    return fill_programs(ctx, p->programs);
}

void forget_peaks(ct_context *ctx) { ctx->profile->peaks = (ct_peaks){.measured = true}; }

void forget_costs(ct_context *ctx, size_t row) { ctx->profile->rows[row].flops = ctx->profile->rows[row].bytes = 0; }
