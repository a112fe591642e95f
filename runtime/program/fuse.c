/* What is done to a launch list once its addresses are known:
 *   - the adjoint of an activation becomes the epilogue of the product before it, which it is
 *     computed in place of: the product is rounded as it was, so that no bit changes;
 *   - launches that depend on none of each other are marked as a run, which a device may play as
 *     one: dX beside dW beside the column sum for the bias.
 * Dependence is read off the operands, as bytes that one writes and another touches.
 */
#include "ops/matrix.h"
#include "program/program.h"

/* ---- dependence ----------------------------------------------------------------------------- */

typedef struct span {
    uintptr_t from, to;
    bool written;
} span;

static bool clash(span a, span b) { return (a.written || b.written) && a.from < b.to && b.from < a.to; }

static span span_of(const ct_plan *p, const ct_plan_record *r, uint32_t i)
{
    const ct_plan_operand *o = ct_plan_in(p, r, i);
    if (o->value == CT_NO_VALUE) return (span){0};
    const ct_plan_value *v = &p->values[o->value];
    const uintptr_t from = (uintptr_t)v->address;
    if (!from) return (span){0};
    return (span){from, from + v->bytes, i >= r->n_in || (o->access & CT_WRITE)};
}

static uint32_t n_operands(const ct_plan_record *r) { return r->n_in + r->n_out; }

static bool touches(const ct_plan *p, const ct_plan_record *r, span s)
{
    for (uint32_t i = 0; i < n_operands(r); i++)
        if (clash(span_of(p, r, i), s)) return true;
    const uintptr_t scratch = (uintptr_t)r->scratch;
    return r->scratch_bytes && clash((span){scratch, scratch + r->scratch_bytes, true}, s);
}

static bool records_depend(const ct_plan *p, const ct_plan_record *a, const ct_plan_record *b)
{
    for (uint32_t i = 0; i < n_operands(a); i++)
        if (touches(p, b, span_of(p, a, i))) return true;
    const uintptr_t scratch = (uintptr_t)a->scratch;
    return a->scratch_bytes && touches(p, b, (span){scratch, scratch + a->scratch_bytes, true});
}

/* A launch does the work of its record, and of the one folded into it. */
static bool depend(const ct_plan *p, const ct_launch *a, const ct_launch *b)
{
    const uint32_t of_a[] = {a->record, a->folded}, of_b[] = {b->record, b->folded};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (of_a[i] != CT_NOT_FOLDED && of_b[j] != CT_NOT_FOLDED &&
                (of_a[i] == of_b[j] || records_depend(p, &p->records[of_a[i]], &p->records[of_b[j]])))
                return true;
    return false;
}

/* ---- epilogues -------------------------------------------------------------------------------- */

/* Those of a product, by the number of the activation; 0: none. */
static uint8_t epilogue_of(uint16_t kernel)
{
    switch (kernel) {
    case CT_KERNEL_act_grad_relu: return CT_ACT_RELU;
    case CT_KERNEL_act_grad_tanh: return CT_ACT_TANH;
    case CT_KERNEL_act_grad_sigmoid: return CT_ACT_SIGMOID;
    default: return 0;
    }
}

/* Does a record write y, or touch g? */
static bool stands_between(const ct_plan *p, const ct_plan_record *r, span y, span g)
{
    for (uint32_t i = 0; i < n_operands(r); i++) {
        const span s = span_of(p, r, i);
        if ((s.written && clash(s, y)) || clash(s, g)) return true;
    }
    return false;
}

/* The product among the first n launches that `launch`, act_grad(g, y), is computed in place of, if it
 * may do that work itself: then nothing that comes between them has to do with either. */
static ct_launch *product_before(const ct_program *program, uint32_t n, const ct_launch *launch)
{
    const ct_plan *p = &program->plan;
    const ct_args *grad = &launch->args;
    if (grad->p[0] != grad->p[3] || grad->p[1] == grad->p[0]) return NULL;
    if (grad->ndim != 1 || grad->stride[0][0] != 1 || grad->stride[1][0] != 1) return NULL;
    const ct_plan_record *r = &p->records[launch->record];
    const span y = span_of(p, r, 1);
    span g = span_of(p, r, 0);
    g.written = true;
    for (uint32_t i = n; i-- > 0;) {
        ct_launch *l = &program->code.launches[i];
        const ct_plan_record *maker = &p->records[l->record];
        if (l->args.kernel == CT_KERNEL_gemm && l->args.p[2] == grad->p[0]) {
            const bool plain = l->args.i[3] < CT_GEMM_ADD && !l->args.flags && !l->args.p[3];
            return plain && l->args.dtype == grad->dtype ? l : NULL;
        }
        if (stands_between(p, maker, y, g)) return NULL;
        if (l->folded != CT_NOT_FOLDED && stands_between(p, &p->records[l->folded], y, g)) return NULL;
    }
    return NULL;
}

static void fold_epilogues(ct_program *program)
{
    ct_code *code = &program->code;
    uint32_t n = 0;
    for (uint32_t i = 0; i < code->n_launches; i++) {
        const ct_launch *l = &code->launches[i];
        const uint8_t activation = epilogue_of(l->args.kernel);
        ct_launch *product = activation ? product_before(program, n, l) : NULL;
        if (!product) {
            code->launches[n++] = *l;
            continue;
        }
        product->args.i[3] |= CT_GEMM_GRAD;
        product->args.flags = activation;
        product->args.p[5] = l->args.p[1];
        product->folded = l->record;
        product->flops += l->flops;
        product->bytes += l->bytes / 3; /* y; the rest stays in registers */
    }
    code->n_launches = n;
}

/* ---- runs ---------------------------------------------------------------------------------------- */

#define LONGEST_RUN 8

static void find_runs(ct_program *program)
{
    ct_code *code = &program->code;
    for (uint32_t first = 0, n; first < code->n_launches; first += n) {
        for (n = 1; n < LONGEST_RUN && first + n < code->n_launches; n++) {
            bool free = true;
            for (uint32_t i = 0; free && i < n; i++)
                free = !depend(&program->plan, &code->launches[first + i], &code->launches[first + n]);
            if (!free) break;
            code->launches[first + n].run = 0;
        }
        code->launches[first].run = n;
    }
}

void ct_program_fuse(ct_program *program)
{
    fold_epilogues(program);
    find_runs(program);
}
