/* embedding: rows of a table by their numbers; and its gradient, which adds rows into a table.
 *
 * Each is the gradient of the other. The numbers lie on the device, where no error can be raised: one outside
 * the table reads as NaN and adds nothing, so that no memory is touched that is not the table's.
 */
#include "device/device.h"
#include "ops/op.h"
#include "program/lower.h"

enum { TABLE, INDEX };

/* What the order of the occurrences, in 64 bits each, has room for. */
#define MOST_ROWS UINT32_MAX

static bool check_operands(ct_context *ctx, const ct_ref *refs)
{
    if (!ct_want_float(ctx, "embedding", refs[TABLE])) return false;
    ct_shape table = ct_shape_of(ctx, refs[TABLE]), index = ct_shape_of(ctx, refs[INDEX]);
    if (!ct_is_index(index.dtype))
        ct_fail(ctx, CT_ERR_DTYPE, "embedding: the index %s is %s; it takes i32 and i64 (ct_cast converts)",
                ct_ref_text(ctx, refs[INDEX]), ct_dtype_name(index.dtype));
    else if (table.ndim < 1 || table.ndim - 1 + index.ndim > CT_MAX_DIMS)
        ct_fail(ctx, CT_ERR_SHAPE,
                "embedding: table %s, index %s: the table has a dim of rows, the result at most %d dims",
                ct_ref_text(ctx, refs[TABLE]), ct_ref_text(ctx, refs[INDEX]), CT_MAX_DIMS);
    else if (table.dim[0] > MOST_ROWS || index.numel > MOST_ROWS)
        ct_fail(ctx, CT_ERR_UNSUPPORTED, "embedding: table %s, index %s: the most is %u rows and as many numbers",
                ct_ref_text(ctx, refs[TABLE]), ct_ref_text(ctx, refs[INDEX]), MOST_ROWS);
    return !ctx->status;
}

ct_tensor ct_embedding(ct_context *ctx, ct_tensor table, ct_tensor index)
{
    ct_ref refs[2];
    if (!ct_operands(ctx, "embedding", ct_ops[CT_OP_embedding], 2, (ct_tensor[]){table, index}, refs) ||
        !check_operands(ctx, refs))
        return (ct_tensor){0};
    ct_shape rows = ct_shape_of(ctx, refs[TABLE]), numbers = ct_shape_of(ctx, refs[INDEX]), out;
    int64_t dims[CT_MAX_DIMS];
    int n = 0;
    for (int i = 0; i < numbers.ndim; i++) dims[n++] = numbers.dim[i];
    for (int i = 1; i < rows.ndim; i++) dims[n++] = rows.dim[i];
    if (!ct_shape_make(ctx, "embedding", (ct_dtype)rows.dtype, n, dims, &out)) return (ct_tensor){0};
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_embedding, .n_in = 2, .in = refs, .n_out = 1, .out = &out});
}

/* dtable[r] = Σ g[i] over index[i] = r, in the order of i. */
static void embedding_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_ref refs[2];
    ct_shape table = ct_tensor_shape(ctx, a->in[TABLE]);
    if (!ct_operands(ctx, "embedding_grad", ct_ops[CT_OP_embedding_grad], 2, (ct_tensor[]){a->g[0], a->in[INDEX]},
                     refs))
        return;
    a->gin[TABLE] = ct_tape_add(ctx, &(ct_entry){.op = CT_OP_embedding_grad,
                                                 .n_in = 2,
                                                 .in = refs,
                                                 .n_out = 1,
                                                 .out = &table,
                                                 .n_attr = 1,
                                                 .attr = &table.dim[0]});
}

static void embedding_grad_vjp(ct_context *ctx, ct_adjoint *a) { a->gin[0] = ct_embedding(ctx, a->g[0], a->in[INDEX]); }

/* ---- lowering --------------------------------------------------------------------------- */

/* m, n, k: numbers, rows of the table, elements in a row.  i[0]: dtype of the numbers. */
static ct_args *emit(ct_lowering *l, ct_kernel_id kernel, const ct_shape *table)
{
    const ct_shape *index = ct_in_shape(l, INDEX);
    ct_args *a = ct_emit(l, kernel, table->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_in(l, INDEX);
    a->p[2] = ct_out(l, 0);
    a->m = index->numel;
    a->n = table->dim[0];
    a->k = table->numel / table->dim[0];
    a->i[0] = index->dtype;
    return a;
}

/* p: table, index, y. */
static void embedding_lower(ct_lowering *l)
{
    const ct_shape *table = ct_in_shape(l, TABLE), *y = ct_out_shape(l, 0);
    if (y->numel == 0) return;
    if (table->numel) {
        emit(l, CT_KERNEL_embedding, table);
    } else { /* no rows at all: every number is outside */
        ct_args *a = emit(l, CT_KERNEL_embedding, &(ct_shape){.dtype = y->dtype, .dim = {1}});
        a->n = 0, a->k = y->numel / a->m;
    }
    ct_cost(l, 0, 2 * (double)ct_shape_bytes(y) + (double)ct_shape_bytes(ct_in_shape(l, INDEX)));
}

/* Passes that put the occurrences in order: tiles are sorted, then runs are merged two by two. */
static int64_t passes(int64_t n)
{
    int64_t count = n > 0;
    for (int64_t run = CT_ORDER_TILE; run < n; run *= 2) count++;
    return count;
}

/* A pass reads one half and writes the other. A device that adds in one thread has no need of an order. */
static size_t embedding_grad_scratch(const ct_context *ctx, const ct_shape *const *in, const ct_shape *out,
                                     const int64_t *attr)
{
    (void)out, (void)attr;
    int64_t n = in[INDEX]->numel;
    if (!ctx->device->supports(ctx->device, CT_KERNEL_embedding_order, in[INDEX]->dtype)) return 0;
    return (size_t)(passes(n) > 1 ? 2 * n : n) * sizeof(uint64_t);
}

/* p: g, index, dtable, order.  i[1]: the pass that made the order, where there is one. */
static void embedding_grad_lower(ct_lowering *l)
{
    const ct_shape *index = ct_in_shape(l, INDEX), *table = ct_out_shape(l, 0);
    if (table->numel == 0) return;
    int64_t n = ct_scratch(l) ? passes(index->numel) : 0;
    const double index_bytes = (double)ct_shape_bytes(index);
    for (int64_t pass = 0; pass < n; pass++) {
        ct_args *a = ct_emit(l, CT_KERNEL_embedding_order, index->dtype);
        a->p[0] = ct_in(l, INDEX);
        a->p[1] = ct_scratch(l);
        a->m = index->numel;
        a->n = table->dim[0];
        a->i[0] = pass;
        ct_cost(l, 0, pass ? 0 : index_bytes); /* a later one moves scratch only */
    }
    ct_args *a = emit(l, CT_KERNEL_embedding_grad, table);
    a->p[3] = ct_scratch(l);
    a->i[1] = n - 1;
    ct_cost(l, (double)(a->m * a->k), ct_operand_bytes(l) - (n ? index_bytes : 0));
}

const ct_op ct_op_embedding = {.name = "embedding",
                               .operands = "table index",
                               .saved = 1 << INDEX,
                               .vjp = embedding_vjp,
                               .lower = embedding_lower};
const ct_op ct_op_embedding_grad = {.name = "embedding_grad",
                                    .operands = "g index",
                                    .saved = 1 << INDEX,
                                    .vjp = embedding_grad_vjp,
                                    .lower = embedding_grad_lower,
                                    .scratch = embedding_grad_scratch,
                                    .shown = "rows"};
