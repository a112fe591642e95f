/* gather: one batch of a dataset, shuffled on the fly; see gather.h. */
#include "ops/gather.h"

#include "program/lower.h"

enum { GATHER_ROWS, GATHER_BATCH, GATHER_BATCHES, GATHER_SHUFFLE, GATHER_KEY, GATHER_N_ATTR };

ct_status ct_record_gather(ct_context *ctx, const ct_gather *g, ct_tensor *x, ct_tensor *y)
{
    ct_shape out[2] = {ct_shape_of(ctx, g->x), ct_shape_of(ctx, g->y)};
    for (int i = 0; i < 2; i++)
        if (!ct_shape_make(
                ctx, "loader", (ct_dtype)out[i].dtype, out[i].ndim,
                (int64_t[]){g->rows, out[i].dim[1], out[i].dim[2], out[i].dim[3], out[i].dim[4], out[i].dim[5]},
                &out[i]))
            return ctx->status;
    if (out[0].dtype == CT_U8) out[0].dtype = CT_F32;
    ct_ref first = (ct_ref)ctx->tape->n_values;
    *x = ct_tape_add(ctx, &(ct_entry){.op = CT_OP_gather,
                                      .phase = CT_PHASE_DATA,
                                      .n_in = 3,
                                      .in = (ct_ref[]){g->x, g->y, g->cursor},
                                      .access = (uint8_t[]){CT_READ, CT_READ, CT_UPDATE},
                                      .n_out = 2,
                                      .out = out,
                                      .n_attr = GATHER_N_ATTR,
                                      .attr = (int64_t[]){g->rows, g->batch, g->batches, g->shuffle, (int64_t)g->key},
                                      .n_scalar = 2,
                                      .scalar = (double[]){g->scale, g->shift}});
    if (!ctx->status) *y = ct_handle(ctx, first + 1);
    return ctx->status;
}

/* p: dataset x, y, cursor, out x, out y.  m: rows, n: rows of the dataset, k: bytes of a y row.
 * i: batch | shuffle, batches, key, elements of an x row; flags: 1 if u8 becomes f32.
 * shape[0]: bytes of an x row.  scalar: scale, shift. */
static void gather_lower(ct_lowering *l)
{
    const ct_shape *sx = ct_in_shape(l, 0), *sy = ct_in_shape(l, 1);
    int64_t n = sx->dim[0], columns = n ? sx->numel / n : 0;
    ct_args *a = ct_emit(l, CT_KERNEL_gather, sx->dtype == CT_U8 ? CT_F32 : sx->dtype);
    for (uint32_t i = 0; i < 3; i++) a->p[i] = ct_in(l, i);
    a->p[3] = ct_out(l, 0);
    a->p[4] = ct_out(l, 1);
    a->flags = sx->dtype == CT_U8;
    a->m = ct_attr(l, GATHER_ROWS);
    a->n = n;
    a->k = n ? sy->numel / n * (int64_t)ct_dtype_bytes(sy->dtype) : 0;
    a->i[0] = ct_attr(l, GATHER_BATCH) << 1 | ct_attr(l, GATHER_SHUFFLE);
    a->i[1] = ct_attr(l, GATHER_BATCHES);
    a->i[2] = ct_attr(l, GATHER_KEY);
    a->i[3] = columns;
    a->shape[0] = columns * (int64_t)ct_dtype_bytes(sx->dtype);
    double bytes = 2 * (double)ct_shape_bytes(ct_in_shape(l, 2)); /* the cursor */
    const double row_bytes[2] = {(double)a->shape[0], (double)a->k};
    for (uint32_t i = 0; i < 2; i++)
        if (ct_out(l, i)) bytes += (double)a->m * row_bytes[i] + (double)ct_shape_bytes(ct_out_shape(l, i));
    ct_cost(l, a->flags && a->p[3] ? 2 * (double)(a->m * columns) : 0, bytes);
}

const ct_op ct_op_gather = {.name = "gather",
                            .operands = "x y cursor",
                            .flags = CT_OP_EFFECT,
                            .lower = gather_lower,
                            .shown = "- - - shuffle=0"};
