/* Random ops: dropout, rand, randn.
 *
 * Bits come from Philox4x32-10, keyed by the seed and the number k of the random
 * record in its step, counted by {the step's counter on the device, element}. So a
 * mask is never stored: the backward draws it again.
 */
#include "ops/random.h"

#include "ops/op.h"
#include "program/lower.h"

/* The counter leaf, made when a context first records something random. */
static ct_ref counter(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    if (t->random_counter == CT_REF_NONE) {
        ct_shape shape = ct_scalar_shape(CT_I64);
        t->random_counter = ct_leaf_make(ctx, "random counter", &shape);
        if (t->random_counter != CT_REF_NONE) ct_leaf_at(ctx, t->random_counter)->internal = true;
    }
    return t->random_counter;
}

ct_status ct_random_advance(ct_context *ctx)
{
    return ct_tape_add_effect(ctx, &(ct_entry){.op = CT_OP_advance,
                                               .phase = CT_PHASE_UPDATE,
                                               .n_in = 1,
                                               .in = &ctx->tape->random_counter,
                                               .access = &(uint8_t){CT_UPDATE}});
}

static ct_tensor record_dropout(ct_context *ctx, ct_ref x, double p, int64_t k)
{
    ct_ref refs[2] = {x, counter(ctx)};
    if (ctx->status) return (ct_tensor){0};
    ct_shape shape = ct_shape_of(ctx, x);
    return ct_tape_add(ctx, &(ct_entry){.op = CT_OP_dropout,
                                        .n_in = 2,
                                        .in = refs,
                                        .n_out = 1,
                                        .out = &shape,
                                        .n_attr = 1,
                                        .attr = &k,
                                        .n_scalar = 2,
                                        .scalar = (double[]){p, p < 1 ? 1 / (1 - p) : 0}});
}

ct_tensor ct_dropout(ct_context *ctx, ct_tensor x, double p)
{
    ct_ref ref;
    if (!ct_operands(ctx, "dropout", ct_ops[CT_OP_dropout], 1, &x, &ref) || !ct_want_float(ctx, "dropout", ref))
        return (ct_tensor){0};
    if (!(p >= 0 && p <= 1)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "dropout: p is %g; wants 0 to 1", p);
        return (ct_tensor){0};
    }
    if (!ctx->training || p == 0) {
        ct_shape shape = ct_shape_of(ctx, ref);
        return ct_reshape(ctx, x, shape.ndim, shape.dim);
    }
    return record_dropout(ctx, ref, p, ctx->tape->random_records++);
}

/* dx = the same mask and scale, of g. */
static void dropout_vjp(ct_context *ctx, ct_adjoint *a)
{
    ct_ref g;
    if (ct_ready(ctx) || !ct_resolve(ctx, "dropout", "the adjoint", a->g[0], &g)) return;
    a->gin[0] = record_dropout(ctx, g, a->scalar[0], a->attr[0]);
}

static ct_tensor draw(ct_context *ctx, ct_opcode op, ct_dtype dtype, int ndim, const int64_t *dims)
{
    const char *name = ct_ops[op]->name;
    ct_shape shape;
    if (ct_ready(ctx) || !ct_shape_make(ctx, name, dtype, ndim, dims, &shape)) return (ct_tensor){0};
    if (!ct_is_float(shape.dtype)) {
        ct_fail(ctx, CT_ERR_DTYPE, "%s: gives f32 or f64, not %s", name, ct_dtype_name(shape.dtype));
        return (ct_tensor){0};
    }
    ct_ref ref = counter(ctx);
    if (ctx->status) return (ct_tensor){0};
    int64_t attr[2 + CT_MAX_DIMS] = {ctx->tape->random_records++, shape.dtype};
    for (int i = 0; i < ndim; i++) attr[2 + i] = shape.dim[i];
    return ct_record_unary(ctx, op, ref, &shape, 2 + ndim, attr, 0, NULL);
}

ct_tensor ct_rand(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape)
{
    return draw(ctx, CT_OP_rand, dtype, ndim, shape);
}

ct_tensor ct_randn(ct_context *ctx, ct_dtype dtype, int ndim, const int64_t *shape)
{
    return draw(ctx, CT_OP_randn, dtype, ndim, shape);
}

/* p: y, counter, x.  n: elements.  i: seed, k.  scalar: p, 1/(1-p). */
static ct_args *emit(ct_lowering *l, ct_kernel_id kernel, uint32_t counter_operand, int flops)
{
    const ct_shape *y = ct_out_shape(l, 0);
    ct_args *a = ct_emit(l, kernel, y->dtype);
    a->p[0] = ct_out(l, 0);
    a->p[1] = ct_in(l, counter_operand);
    a->n = y->numel;
    a->i[0] = (int64_t)ct_lowering_seed(l);
    a->i[1] = ct_attr(l, 0);
    ct_cost(l, flops * (double)y->numel, ct_operand_bytes(l));
    return a;
}

static void dropout_lower(ct_lowering *l)
{
    ct_args *a = emit(l, CT_KERNEL_dropout, 1, 2);
    a->p[2] = ct_in(l, 0);
}

static void rand_lower(ct_lowering *l) { emit(l, CT_KERNEL_rand, 0, 1); }
/* Of two, √(-2 ln u) cos 2πv and the same with a sine, half: logarithm, root, two angles, four products. */
static void randn_lower(ct_lowering *l) { emit(l, CT_KERNEL_randn, 0, 4); }

static void advance_lower(ct_lowering *l)
{
    ct_args *a = ct_emit(l, CT_KERNEL_advance, CT_I64);
    a->p[0] = ct_in(l, 0);
    ct_cost(l, 0, ct_operand_bytes(l));
}

const ct_op ct_op_dropout = {
    .name = "dropout", .operands = "x counter", .vjp = dropout_vjp, .lower = dropout_lower, .shown = "-; p"};
const ct_op ct_op_rand = {.name = "rand", .operands = "counter", .lower = rand_lower};
const ct_op ct_op_randn = {.name = "randn", .operands = "counter", .lower = randn_lower};
const ct_op ct_op_advance = {.name = "advance", .operands = "counter", .flags = CT_OP_EFFECT, .lower = advance_lower};
