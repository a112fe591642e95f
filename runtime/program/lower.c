/* Lowering: walks a placed plan and lets each op emit its launches. See lower.h. */
#include "program/lower.h"

#include "ops/activation.h"

#include "program/program.h"

#include <string.h>

struct ct_lowering {
    ct_context *ctx;
    ct_program *program;
    const ct_plan_record *record;
    uint32_t index;
    ct_launch nowhere; /* what a failed ct_emit lets the op write to */
};

const ct_op *ct_lowering_op(const ct_lowering *l) { return ct_op_of(l->ctx, l->record->op); }

uint32_t ct_n_in(const ct_lowering *l) { return l->record->n_in; }

static const ct_plan_value *input(const ct_lowering *l, uint32_t i)
{
    const ct_plan *p = &l->program->plan;
    return &p->values[ct_plan_in(p, l->record, i)->value];
}

static const ct_plan_value *output(const ct_lowering *l, uint32_t i)
{
    const ct_plan *p = &l->program->plan;
    return &p->values[ct_plan_out(p, l->record, i)->value];
}

const ct_shape *ct_in_shape(const ct_lowering *l, uint32_t i) { return &input(l, i)->shape; }
const ct_shape *ct_out_shape(const ct_lowering *l, uint32_t i) { return &output(l, i)->shape; }
void *ct_in(const ct_lowering *l, uint32_t i) { return input(l, i)->address; }
void *ct_out(const ct_lowering *l, uint32_t i) { return output(l, i)->address; }
bool ct_in_dropped(const ct_lowering *l, uint32_t i)
{
    return ct_plan_in(&l->program->plan, l->record, i)->value == CT_NO_VALUE;
}
int64_t ct_attr(const ct_lowering *l, uint32_t i) { return l->program->plan.attrs[l->record->attr + i]; }
const ct_scalar *ct_scalars(const ct_lowering *l)
{
    return l->record->n_scalar ? l->program->code.scalars + l->record->scalar : NULL;
}
bool ct_adds_to_output(const ct_lowering *l) { return l->record->adds; }
void *ct_scratch(const ct_lowering *l) { return l->record->scratch; }
uint64_t ct_lowering_seed(const ct_lowering *l) { return l->ctx->config.seed; }

void *ct_lowering_host(ct_lowering *l, size_t bytes)
{
    ct_program *p = l->program;
    void *memory = NULL;
    if (ct_grow(l->ctx, (void **)&p->host, &p->host_capacity, p->n_host + 1, sizeof *p->host))
        memory = ct_alloc(l->ctx, bytes);
    if (memory)
        p->host[p->n_host++] = memory;
    else
        ct_fail(l->ctx, CT_ERR_MEMORY, "compile: out of host memory");
    return memory;
}

void *ct_constant_bytes(ct_lowering *l, const void *data, size_t bytes)
{
    void *memory = ct_program_block(l->ctx, l->program, bytes);
    if (!memory) return NULL;
    ct_status status = l->ctx->device->upload(l->ctx->device, memory, data, bytes);
    if (status) ct_fail(l->ctx, status, "compile: %s", l->ctx->device->message);
    return memory;
}

bool ct_has_kernel(const ct_lowering *l, ct_kernel_id kernel, int32_t dtype)
{
    return l->ctx->device->supports(l->ctx->device, (uint16_t)kernel, dtype);
}

/* While an error stands, a place that nobody looks at. */
static ct_launch *add_launch(ct_lowering *l, ct_kernel_id kernel, int32_t dtype)
{
    ct_code *code = &l->program->code;
    ct_launch *launch = &l->nowhere;
    if (!l->ctx->status && !ct_grow(l->ctx, (void **)&code->launches, &l->program->launches_capacity,
                                    code->n_launches + 1, sizeof *launch))
        ct_fail(l->ctx, CT_ERR_MEMORY, "compile: out of host memory");
    if (!l->ctx->status) launch = &code->launches[code->n_launches++];
    *launch = (ct_launch){.record = l->index, .folded = CT_NOT_FOLDED, .run = 1};
    launch->args.kernel = (uint16_t)kernel;
    launch->args.dtype = (uint8_t)dtype;
    launch->args.scalar = ct_scalars(l);
    return launch;
}

ct_args *ct_emit(ct_lowering *l, ct_kernel_id kernel, int32_t dtype)
{
    if (!ct_has_kernel(l, kernel, dtype))
        ct_fail(l->ctx, CT_ERR_UNSUPPORTED, "%s: the %s device has no %s kernel for it", ct_lowering_op(l)->name,
                l->ctx->device->name, ct_dtype_name(dtype));
    return &add_launch(l, kernel, dtype)->args;
}

void ct_emit_custom(ct_lowering *l, const ct_custom_launch *custom)
{
    ct_launch *launch = add_launch(l, CT_KERNEL_custom, custom->outputs[0].dtype);
    launch->args.n = custom->in_ranges ? custom->outputs[0].numel : 1;
    launch->custom = custom;
}

/* Any element? An output that nobody reads is none. */
static bool writes(const ct_lowering *l)
{
    const ct_plan *p = &l->program->plan;
    bool any = false;
    for (uint32_t i = 0; !any && i < l->record->n_out; i++) any = ct_out(l, i) && ct_out_shape(l, i)->numel > 0;
    for (uint32_t i = 0; !any && i < l->record->n_in; i++)
        any = !ct_in_dropped(l, i) && ct_plan_in(p, l->record, i)->access & CT_WRITE && ct_in_shape(l, i)->numel > 0;
    return any;
}

void ct_cost(ct_lowering *l, double flops, double bytes)
{
    const bool works = writes(l);
    ct_program *p = l->program;
    ct_launch *launch = p->code.n_launches ? &p->code.launches[p->code.n_launches - 1] : &l->nowhere;
    launch->flops = works ? flops : 0;
    launch->bytes = works ? bytes : 0;
}

double ct_operand_bytes(const ct_lowering *l)
{
    const ct_plan *p = &l->program->plan;
    size_t bytes = 0;
    for (uint32_t i = 0; i < l->record->n_in; i++) {
        const ct_plan_operand *o = ct_plan_in(p, l->record, i);
        if (o->value == CT_NO_VALUE) continue;
        const size_t once = ct_shape_bytes(&p->values[o->value].shape);
        bytes += (o->access & CT_READ ? once : 0) + (o->access & CT_WRITE ? once : 0);
    }
    for (uint32_t i = 0; i < l->record->n_out; i++)
        if (ct_out(l, i)) bytes += ct_shape_bytes(ct_out_shape(l, i));
    return (double)bytes;
}

void ct_split_at(const ct_shape *s, int dim, ct_args *a)
{
    a->m = a->n = a->k = 1;
    for (int i = 0; i < s->ndim; i++) *(i < dim ? &a->m : i == dim ? &a->n : &a->k) *= s->dim[i];
}

/* ---- iteration ------------------------------------------------------------------------------ */

int32_t ct_stride(ct_lowering *l, int64_t stride)
{
    if (stride > INT32_MAX)
        ct_fail(l->ctx, CT_ERR_UNSUPPORTED,
                "%s: %s is too large to be broadcast, transposed or reduced in part (strides have 32 bits)",
                ct_lowering_op(l)->name, ct_shape_text(l->ctx, ct_in_shape(l, 0)));
    return (int32_t)stride;
}

static void add_dim(ct_lowering *l, ct_args *a, int n_in, int64_t size, const int64_t *stride)
{
    /* Joins the dim before it if every input walks over both in one go. */
    bool joins = a->ndim > 0;
    for (int j = 0; joins && j < n_in; j++) joins = a->stride[j][a->ndim - 1] == stride[j] * size;
    if (!joins) a->ndim++;
    int d = a->ndim - 1;
    a->shape[d] = joins ? a->shape[d] * size : size;
    for (int j = 0; j < n_in; j++) a->stride[j][d] = ct_stride(l, stride[j]);
}

void ct_iterate(ct_lowering *l, ct_args *a, const ct_shape *out, int n_in, const ct_shape *const *in)
{
    int64_t stride[CT_MAX_DIMS][CT_ARGS_INPUTS];
    for (int j = 0; j < n_in; j++) {
        int64_t step = 1;
        for (int i = out->ndim; i-- > 0;) {
            int d = i - (out->ndim - in[j]->ndim);
            int64_t size = d < 0 ? 1 : in[j]->dim[d];
            stride[i][j] = size == 1 ? 0 : step;
            step *= size;
        }
    }
    a->ndim = 0;
    a->n = out->numel;
    for (int i = 0; i < out->ndim && out->numel; i++)
        if (out->dim[i] != 1) add_dim(l, a, n_in, out->dim[i], stride[i]);
    if (a->ndim == 0) add_dim(l, a, n_in, 1, (int64_t[CT_ARGS_INPUTS]){0});
}

void ct_iterate_strided(ct_lowering *l, ct_args *a, const ct_shape *out, const int64_t *stride)
{
    a->ndim = 0;
    a->n = out->numel;
    for (int i = 0; i < out->ndim && out->numel; i++)
        if (out->dim[i] != 1) add_dim(l, a, 1, out->dim[i], &stride[i]);
    if (a->ndim == 0) add_dim(l, a, 1, 1, &(int64_t){0});
}

/* ---- elementwise ------------------------------------------------------------------------------ */

/* The FLOPs are those of kernels/elementwise.def, an element. */
typedef struct formula {
    uint16_t kernel, flops;
} formula;

static const formula formulas[CT_OP_COUNT] = {
#define CT_OF(name, flops) [CT_OP_##name] = {CT_KERNEL_##name, flops}
    CT_OF(neg, 1),        CT_OF(abs, 1),        CT_OF(exp, 1),     CT_OF(expm1, 1),     CT_OF(log, 1),
    CT_OF(log1p, 1),      CT_OF(sqrt, 1),       CT_OF(rsqrt, 2),   CT_OF(square, 1),    CT_OF(reciprocal, 1),
    CT_OF(sin, 1),        CT_OF(cos, 1),        CT_OF(tanh, 1),    CT_OF(sigmoid, 4),   CT_OF(relu, 1),
    CT_OF(silu, 4),       CT_OF(softplus, 6),   CT_OF(gelu, 5),    CT_OF(gelu_tanh, 9), CT_OF(leaky_relu, 2),
    CT_OF(elu, 3),        CT_OF(clamp, 2),      CT_OF(sign, 1),    CT_OF(cast, 0),      CT_OF(add_scalar, 1),
    CT_OF(mul_scalar, 1), CT_OF(pow_scalar, 1), CT_OF(add, 1),     CT_OF(sub, 1),       CT_OF(mul, 1),
    CT_OF(div, 1),        CT_OF(pow, 1),        CT_OF(maximum, 1), CT_OF(minimum, 1),   CT_OF(gt, 1),
    CT_OF(ge, 1),         CT_OF(lt, 1),         CT_OF(le, 1),      CT_OF(eq, 1),        CT_OF(where, 1),
#undef CT_OF
};

static const formula act_grads[] = {
    [CT_ACT_RELU] = {CT_KERNEL_act_grad_relu, 1},
    [CT_ACT_TANH] = {CT_KERNEL_act_grad_tanh, 3},
    [CT_ACT_SIGMOID] = {CT_KERNEL_act_grad_sigmoid, 3},
    [CT_ACT_GELU] = {CT_KERNEL_act_grad_gelu, 11},
    [CT_ACT_SILU] = {CT_KERNEL_act_grad_silu, 9},
    [CT_ACT_LEAKY_RELU] = {CT_KERNEL_act_grad_leaky_relu, 2},
    [CT_ACT_GELU_TANH] = {CT_KERNEL_act_grad_gelu_tanh, 18},
};

int ct_elementwise_flops(uint16_t op) { return formulas[op].flops; }

/* p[0..2]: inputs, p[3]: output.  flags: how many scalars.  i[0]: the other dtype, of the output of a cast and a
 * comparison, of the condition of a where. */
void ct_lower_elementwise(ct_lowering *l)
{
    const ct_shape *out = ct_out_shape(l, 0), *in[CT_ARGS_INPUTS];
    uint32_t n = ct_n_in(l);
    for (uint32_t i = 0; i < n; i++) in[i] = ct_in_shape(l, i);
    uint16_t op = l->record->op;
    const formula f = op == CT_OP_act_grad ? act_grads[ct_attr(l, 0)] : formulas[op];
    ct_args *a = ct_emit(l, (ct_kernel_id)f.kernel, op == CT_OP_where ? in[1]->dtype : in[0]->dtype);
    for (uint32_t i = 0; i < n; i++) a->p[i] = ct_in(l, i);
    a->p[3] = ct_out(l, 0);
    a->flags = l->record->n_scalar;
    a->i[0] = op == CT_OP_where ? in[0]->dtype : out->dtype;
    ct_iterate(l, a, out, (int)n, in);
    ct_cost(l, f.flops * (double)out->numel, ct_operand_bytes(l));
}

void ct_lower_copy(ct_lowering *l)
{
    const ct_shape *x = ct_in_shape(l, 0);
    ct_args *a = ct_emit(l, CT_KERNEL_copy, x->dtype);
    a->p[0] = ct_in(l, 0);
    a->p[1] = ct_out(l, 0);
    ct_iterate(l, a, x, 1, &x);
    ct_cost(l, 0, ct_operand_bytes(l));
}

/* ---- the whole ---------------------------------------------------------------------------------- */

ct_status ct_program_lower(ct_context *ctx, ct_program *program)
{
    ct_lowering l = {.ctx = ctx, .program = program};
    const ct_plan *plan = &program->plan;
    for (uint32_t k = 0; k < plan->n_records; k++) {
        l.record = &plan->records[k];
        l.index = k;
        const ct_op *op = ct_lowering_op(&l);
        if (!l.record->live || l.record->aliased || !op->lower) continue;
        op->lower(&l);
        if (ctx->status) return ctx->status;
    }
    return CT_OK;
}
