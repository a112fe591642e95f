/* Anomaly mode: what is said. The records of a step stand on the tape until the next one begins, so that this can
 * name those of a replay too. See anomaly.h. */
#include "program/anomaly.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct message {
    char text[CT_MESSAGE_BYTES];
    size_t used;
} message;

static void __attribute__((format(printf, 2, 3))) say(message *m, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(m->text + m->used, sizeof m->text - m->used, format, list);
    va_end(list);
    m->used += n > 0 ? (size_t)n : 0;
    if (m->used >= sizeof m->text) m->used = sizeof m->text - 1;
}

static void say_index(message *m, const ct_shape *shape, int64_t index)
{
    int64_t at[CT_MAX_DIMS];
    for (int i = shape->ndim; i-- > 0; index /= shape->dim[i]) at[i] = index % shape->dim[i];
    for (int i = 0; i < shape->ndim; i++) say(m, "%s%lld", i ? "," : "[", (long long)at[i]);
    say(m, shape->ndim ? "]" : "its element");
}

/* "w [3,4]", "the gradient of w [3,4]", or only the shape. */
static void say_tensor(message *m, ct_context *ctx, ct_ref ref)
{
    const ct_leaf_slot *leaf = ct_ref_is_leaf(ref) ? ct_leaf_at(ctx, ref) : NULL;
    const bool is_grad = leaf && !leaf->name && leaf->owner != CT_REF_NONE;
    say(m, "%s%s", is_grad ? "the gradient of " : "", ct_ref_text(ctx, is_grad ? leaf->owner : ref));
}

static const ct_record *record_at(const ct_context *ctx, uint32_t number) { return &ctx->tape->records[number]; }

static const ct_operand *operand_at(const ct_context *ctx, uint32_t number, uint32_t i)
{
    return &ctx->tape->operands[record_at(ctx, number)->operand + i];
}

#define MOST_TENSORS 4

/* Operands [first, first + n) of a record, and how many more there are. */
static void say_operands(message *m, ct_context *ctx, uint32_t number, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n && i < MOST_TENSORS; i++) {
        say(m, i ? ", " : "");
        say_tensor(m, ctx, operand_at(ctx, number, first + i)->ref);
    }
    if (n > MOST_TENSORS) say(m, " and %u more", n - MOST_TENSORS);
}

static const char *op_name(const ct_context *ctx, uint32_t number)
{
    return ct_op_of(ctx, record_at(ctx, number)->op)->name;
}

/* Of long lists, those that belong to the bad operand: the last one before it that has a name, and what follows. */
static void say_inputs(message *m, ct_context *ctx, uint32_t number, uint32_t bad)
{
    const uint32_t n = record_at(ctx, number)->n_in;
    uint32_t first = 0;
    if (n > MOST_TENSORS && bad < n) {
        for (first = bad; first > 0 && bad - first < MOST_TENSORS - 1; first--) {
            const ct_ref ref = operand_at(ctx, number, first)->ref;
            if (ct_ref_is_leaf(ref) && ct_leaf_at(ctx, ref)->name) break;
        }
    }
    say_operands(m, ctx, number, first, n - first);
}

static void say_scalars(message *m, const ct_program *p, const ct_plan_record *r)
{
    for (uint32_t i = 0; i < r->n_scalar; i++)
        if (!isfinite(p->scalars[r->scalar + i])) say(m, "; its scalar %u is %g", i, p->scalars[r->scalar + i]);
}

/* The records by whose gradient rules it came about, or the tensors by whose hooks: one, or more for a gradient of a
 * gradient. */
static void say_sources(message *m, ct_context *ctx, uint32_t number)
{
    for (const char *begin = "; it";; begin = ", which") {
        const ct_record *r = record_at(ctx, number);
        const bool hook = r->flags & CT_RECORD_HOOK;
        number = ct_source_record(ctx->tape, r);
        if (hook) {
            say(m, "%s is by a gradient hook of ", begin);
            say_tensor(m, ctx, r->source);
        }
        if (number == CT_NO_RECORD) return;
        say(m, "%s%s %s (record %u), ", hook ? "" : begin, hook ? ", made by" : " belongs to the gradient of",
            op_name(ctx, number), number);
        const ct_record *source = record_at(ctx, number);
        say_operands(m, ctx, number, 0, source->n_in);
        say(m, " -> ");
        say_operands(m, ctx, number, source->n_in, source->n_out);
    }
}

static void say_replay(message *m, const ct_finding *f)
{
    if (f->replays) say(m, "at replay %lld of %lld: ", (long long)f->replay, (long long)f->replays);
}

ct_status ct_anomaly_blame(ct_context *ctx, const ct_program *p, const ct_finding *f)
{
    const uint32_t number = (uint32_t)ctx->tape->first_record + f->record;
    const ct_record *r = record_at(ctx, number);
    const ct_ref ref = operand_at(ctx, number, f->operand)->ref;
    const char *value = isnan(f->value) ? "a NaN" : f->value > 0 ? "an Inf" : "a -Inf";
    message m = {.used = 0};
    say_replay(&m, f);
    say(&m, "%s (record %u, %s) made %s at ", op_name(ctx, number), number, ct_phase_name(r->phase), value);
    say_index(&m, &ct_value_at(ctx, ref)->shape, f->index);
    say(&m, " of ");
    say_tensor(&m, ctx, ref);
    if (f->into != CT_REF_NONE) {
        say(&m, p->plan.records[f->record].adds ? ", added to " : ", stored in ");
        say_tensor(&m, ctx, f->into);
        say(&m, ",");
    }
    say(&m, " out of finite inputs: ");
    say_inputs(&m, ctx, number, f->operand);
    say_scalars(&m, p, &p->plan.records[f->record]);
    say_sources(&m, ctx, number);
    return ct_fail(ctx, CT_ERR_NUMERIC, "%s", m.text);
}

/* Lines of a context: leaves that are made anew in every step have no end. */
#define MOST_TOLD 32

void ct_anomaly_tell(ct_context *ctx, const ct_finding *f, uint32_t record, ct_ref ref, int64_t index)
{
    ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
    uint32_t *told = &ctx->programs->told;
    if (leaf->told || *told == MOST_TOLD) return;
    leaf->told = true;
    const uint32_t number = (uint32_t)ctx->tape->first_record + record;
    message m = {.used = 0};
    say(&m, "detect_anomaly: ");
    say_replay(&m, f);
    say_tensor(&m, ctx, ref);
    say(&m, " holds a NaN or an Inf at ");
    say_index(&m, &leaf->value.shape, index);
    say(&m, " already; %s (record %u) passes it on, which is no error", op_name(ctx, number), number);
    if (++*told == MOST_TOLD) say(&m, " (the last of %d such lines)", MOST_TOLD);
    ct_log_line(ctx, "%s", m.text);
}
