/* Updates of all parameters in one record each: sgd, adam, and the norm and scale of
 * clipping. A record has long operand lists; the kernel finds them as a table of
 * ct_tensor_row in device memory. */
#include "ops/update.h"

#include "core/advice.h"
#include "program/lower.h"

#include <string.h>

/* Operand lists in host memory: per row `columns` operands, then one more. */
typedef struct operand_list {
    ct_ref *refs;
    uint8_t *access;
    uint32_t n;
} operand_list;

static bool list_make(ct_context *ctx, const char *op, int64_t n, operand_list *list)
{
    *list = (operand_list){0};
    if (n < 1 || n > UINT32_MAX) return ct_fail(ctx, CT_ERR_ARGUMENT, "%s: %lld operands", op, (long long)n), false;
    /* Lists live on the tape and grow with it: nothing is allocated when a step repeats. */
    ct_tape *t = ctx->tape;
    if (!ct_grow(ctx, (void **)&t->list_refs, &t->list_refs_capacity, (size_t)n, sizeof *t->list_refs) ||
        !ct_grow(ctx, (void **)&t->list_access, &t->list_access_capacity, (size_t)n, sizeof *t->list_access))
        return ct_fail(ctx, CT_ERR_MEMORY, "%s: out of host memory", op), false;
    list->refs = t->list_refs;
    list->access = t->list_access;
    return true;
}

static void put(operand_list *list, ct_ref ref, uint8_t access)
{
    if (ref == CT_REF_NONE) return;
    list->refs[list->n] = ref;
    list->access[list->n++] = access;
}

static ct_status record_list(ct_context *ctx, ct_opcode op, const operand_list *list, int n_attr, const int64_t *attr,
                             int n_scalar, const double *scalar, const uint32_t *binding)
{
    return ct_tape_add_effect(ctx, &(ct_entry){.op = (uint16_t)op,
                                               .phase = CT_PHASE_UPDATE,
                                               .n_in = list->n,
                                               .in = list->refs,
                                               .access = list->access,
                                               .n_attr = (uint8_t)n_attr,
                                               .attr = attr,
                                               .n_scalar = (uint8_t)n_scalar,
                                               .scalar = scalar,
                                               .binding = binding});
}

/* ---- optimizers ------------------------------------------------------------------------- */

/* Attributes of both: a flag (nesterov, decoupled), and the operands in a row. */
static ct_status record_update(ct_context *ctx, ct_opcode op, int64_t n, const ct_update_row *rows, ct_ref count,
                               int n_scalar, const double *scalars, uint32_t lr_binding, bool flag)
{
    operand_list list;
    if (ct_ready(ctx)) return ct_ready(ctx);
    if (!list_make(ctx, ct_ops[op]->name, 4 * n + 1, &list)) return ctx->status;
    put(&list, count, CT_UPDATE);
    for (int64_t i = 0; i < n; i++) {
        put(&list, rows[i].parameter, CT_UPDATE);
        put(&list, rows[i].grad, CT_READ);
        put(&list, rows[i].first_moment, CT_UPDATE);
        put(&list, rows[i].second_moment, CT_UPDATE);
    }
    uint32_t binding[8] = {lr_binding};
    ct_status status = record_list(ctx, op, &list, 2, (int64_t[]){flag, (list.n - 1) / n}, n_scalar, scalars, binding);
    for (int64_t i = 0; i < n && !status; i++) ct_advice_optimized(ctx, rows[i].parameter, rows[i].grad);
    return status;
}

ct_status ct_record_sgd(ct_context *ctx, int64_t n, const ct_update_row *rows, ct_ref count, const double *scalars,
                        uint32_t lr_binding, bool nesterov)
{
    return record_update(ctx, CT_OP_sgd, n, rows, count, CT_SGD_N_SCALAR, scalars, lr_binding, nesterov);
}

ct_status ct_record_adam(ct_context *ctx, int64_t n, const ct_update_row *rows, ct_ref count, const double *scalars,
                         uint32_t lr_binding, bool decoupled)
{
    return record_update(ctx, CT_OP_adam, n, rows, count, CT_ADAM_N_SCALAR, scalars, lr_binding, decoupled);
}

ct_status ct_record_zero(ct_context *ctx, int64_t n, const ct_ref *refs)
{
    operand_list list;
    if (ct_ready(ctx)) return ct_ready(ctx);
    if (!list_make(ctx, "zero", n, &list)) return ctx->status;
    for (int64_t i = 0; i < n; i++) put(&list, refs[i], CT_WRITE);
    return record_list(ctx, CT_OP_zero, &list, 0, NULL, 0, NULL, NULL);
}

/* ---- clipping --------------------------------------------------------------------------- */

ct_tensor ct_record_grad_norm(ct_context *ctx, int64_t n, const ct_ref *refs)
{
    if (ct_ready(ctx)) return (ct_tensor){0};
    ct_shape out = ct_scalar_shape(ct_shape_of(ctx, refs[0]).dtype);
    return ct_tape_add(
        ctx,
        &(ct_entry){
            .op = CT_OP_grad_norm, .phase = CT_PHASE_UPDATE, .n_in = (uint32_t)n, .in = refs, .n_out = 1, .out = &out});
}

ct_status ct_record_clip_scale(ct_context *ctx, int64_t n, const ct_ref *refs, ct_tensor norm, double max_norm)
{
    operand_list list;
    ct_ref norm_ref;
    if (ct_ready(ctx)) return ct_ready(ctx);
    if (!ct_resolve(ctx, "clip_scale", "the norm", norm, &norm_ref) || !list_make(ctx, "clip_scale", n + 1, &list))
        return ctx->status;
    put(&list, norm_ref, CT_READ);
    for (int64_t i = 0; i < n; i++) put(&list, refs[i], CT_UPDATE);
    return record_list(ctx, CT_OP_clip_scale, &list, 0, NULL, 1, &max_norm, NULL);
}

/* ---- lowering --------------------------------------------------------------------------- */

/* The operands from `first` on, `columns` a row, as a table in device memory.
 * p: table, ...  m: rows, n: elements in all, k: virtual blocks. */
static ct_args *emit_rows(ct_lowering *l, ct_kernel_id kernel, uint32_t first, uint32_t columns)
{
    uint32_t n_rows = (ct_n_in(l) - first) / columns;
    ct_tensor_row *rows = ct_lowering_host(l, n_rows * sizeof *rows);
    int32_t dtype = ct_in_shape(l, first)->dtype;
    int64_t elements = 0, blocks = 0;
    for (uint32_t r = 0; rows && r < n_rows; r++) {
        int64_t numel = ct_in_shape(l, first + r * columns)->numel;
        for (uint32_t c = 0; c < columns; c++) rows[r].p[c] = ct_in(l, first + r * columns + c);
        rows[r].n = numel;
        rows[r].first_block = blocks;
        elements += numel;
        blocks += (numel + CT_BLOCK_ELEMENTS - 1) / CT_BLOCK_ELEMENTS;
    }
    void *table = rows ? ct_constant_bytes(l, rows, n_rows * sizeof *rows) : NULL;
    ct_args *a = ct_emit(l, kernel, dtype);
    a->p[0] = table;
    a->m = n_rows;
    a->n = elements;
    a->k = blocks;
    return a;
}

/* p: table of {parameter, grad, moments}, count.  i: flag, columns. */
static void update_lower(ct_lowering *l, ct_kernel_id kernel, double flops)
{
    int64_t columns = ct_attr(l, 1);
    ct_args *a = emit_rows(l, kernel, 1, (uint32_t)columns);
    a->p[1] = ct_in(l, 0);
    a->i[0] = ct_attr(l, 0);
    a->i[1] = columns;
    ct_cost(l, flops * (double)a->n, ct_operand_bytes(l));
}

/* decay p + g;  the momentum, with nesterov once more;  p - lr g */
static void sgd_lower(ct_lowering *l)
{
    const bool nesterov = ct_attr(l, 0), momentum = ct_attr(l, 1) > 2;
    update_lower(l, CT_KERNEL_sgd, 4 + (momentum ? 3 + 2 * nesterov : 0));
}

/* decay p + g, or p (1 - lr decay); the moments, 3 and 4;  p - step m / (root √v + eps) */
static void adam_lower(ct_lowering *l)
{
    const bool decoupled = ct_attr(l, 0);
    update_lower(l, CT_KERNEL_adam, (decoupled ? 1 : 2) + 3 + 4 + 6);
}

/* A partial sum for every virtual block. */
static size_t grad_norm_scratch(const ct_context *ctx, const ct_shape *const *in, const ct_shape *out,
                                const int64_t *attr)
{
    (void)ctx, (void)out, (void)attr;
    size_t blocks = 0;
    for (; *in; in++) blocks += (size_t)((*in)->numel + CT_BLOCK_ELEMENTS - 1) / CT_BLOCK_ELEMENTS;
    return (blocks + 1) * sizeof(double);
}

/* p: table of {grad}, norm, partial sums (f64). */
static void grad_norm_lower(ct_lowering *l)
{
    ct_args *a = emit_rows(l, CT_KERNEL_grad_norm, 0, 1);
    a->p[1] = ct_out(l, 0);
    a->p[2] = ct_scratch(l);
    ct_cost(l, 2 * (double)a->n, ct_operand_bytes(l));
}

/* p: table of {grad}, norm.  scalar: max_norm. */
static void clip_scale_lower(ct_lowering *l)
{
    ct_args *a = emit_rows(l, CT_KERNEL_clip_scale, 1, 1);
    a->p[1] = ct_in(l, 0);
    ct_cost(l, (double)a->n, ct_operand_bytes(l));
}

const ct_op ct_op_sgd = {.name = "sgd",
                         .flags = CT_OP_EFFECT,
                         .lower = sgd_lower,
                         .shown = "nesterov=0; lr momentum=0 dampening=0 weight_decay=0"};
const ct_op ct_op_adam = {.name = "adam",
                          .flags = CT_OP_EFFECT,
                          .lower = adam_lower,
                          .shown = "decoupled=0; lr beta1 beta2 eps weight_decay=0"};
const ct_op ct_op_grad_norm = {
    .name = "grad_norm", .operands = "grad*", .lower = grad_norm_lower, .scratch = grad_norm_scratch};
const ct_op ct_op_clip_scale = {.name = "clip_scale",
                                .operands = "norm grad*",
                                .flags = CT_OP_EFFECT,
                                .lower = clip_scale_lower,
                                .shown = "; max_norm"};
