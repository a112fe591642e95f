/* Recording, segments and steps: see tape.h. */
#include "tape/tape.h"

#include "core/advice.h"
#include "core/pool.h"
#include "device/device.h"
#include "ops/op.h"
#include "ops/random.h"
#include "profile/span.h"
#include "program/program.h"

#include <stdio.h>
#include <string.h>

ct_status ct_tape_open(ct_context *ctx)
{
    ct_tape *tape = ct_alloc(ctx, sizeof *tape);
    if (!tape) return CT_ERR_MEMORY;
    ctx->tape = tape;
    tape->step = tape->segment = 1;
    tape->random_counter = CT_REF_NONE;
    tape->sweeping_record = CT_NO_RECORD;
    tape->hooked = CT_REF_NONE;
    tape->n_key = CT_KEY_HEADER;
    snprintf(tape->why_not, sizeof tape->why_not, "no step has ended yet");
    return CT_OK;
}

static void forget_names(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    for (size_t i = 0; i < t->n_names; i++) ct_free(ctx, t->names[i].name);
    t->n_names = 0;
}

void ct_tape_close(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    if (!t) return;
    forget_names(ctx);
    void *arrays[] = {t->values,    t->records,     t->operands, t->attrs,        t->scalars,
                      t->bound,     t->externals,   t->key,      t->bindings,     t->binding_taken,
                      t->list_refs, t->list_access, t->names,    t->sweep_leaves, t->hooks};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) ct_free(ctx, arrays[i]);
    ct_free(ctx, t);
    ctx->tape = NULL;
}

bool ct_grad_enabled(const ct_context *ctx)
{
    return ctx->no_grad_depth == 0 && (!ctx->tape->sweeping || ctx->tape->sweep_keeps);
}

const char *ct_phase_name(uint8_t phase)
{
    static const char *const names[] = {"forward", "backward", "update", "data"};
    return names[phase];
}

int64_t ct_tape_recorded(const ct_context *ctx) { return (int64_t)ctx->tape->n_records; }

/* ---- recording ------------------------------------------------------------------- */

#define GROW(field, n) ct_grow(ctx, (void **)&t->field, &t->field##_capacity, t->n_##field + (n), sizeof *t->field)

static bool reserve(ct_context *ctx, const ct_entry *e)
{
    ct_tape *t = ctx->tape;
    size_t operands = (size_t)e->n_in + e->n_out;
    /* An operand takes a key word, and up to four and its dims when it is first named. */
    size_t words = 2 + e->n_attr + operands * (5 + CT_MAX_DIMS);
    return GROW(records, 1) && GROW(values, e->n_out) && GROW(operands, operands) && GROW(attrs, e->n_attr) &&
           GROW(scalars, e->n_scalar) && GROW(bound, e->n_scalar) && GROW(externals, operands) && GROW(key, words);
}

/* The key's word for an operand: its number in the segment, or among the externals.
 * An external's address, dtype and sizes follow where it is first named. */
static void key_operand(ct_context *ctx, ct_ref ref)
{
    ct_tape *t = ctx->tape;
    if (!ct_ref_is_leaf(ref) && ref >= t->first_value) {
        t->key[t->n_key++] = ref - t->first_value;
        return;
    }
    ct_value *v = ct_value_at(ctx, ref);
    bool named = v->segment == t->segment;
    if (!named) {
        v->segment = t->segment;
        v->external = (uint32_t)t->n_externals;
        t->externals[t->n_externals++] = ref;
    }
    t->key[t->n_key++] = (uint64_t)CT_REF_LEAF | v->external;
    if (named) return;
    t->key[t->n_key++] = (uintptr_t)v->data;
    t->key[t->n_key++] = (uint64_t)v->shape.dtype << 8 | (uint64_t)v->shape.ndim | (uint64_t)ct_ref_is_leaf(ref) << 16;
    for (int i = 0; i < v->shape.ndim; i++) t->key[t->n_key++] = (uint64_t)v->shape.dim[i];
}

/* A value of an earlier segment has memory only if it was kept. */
static bool is_readable(ct_context *ctx, ct_ref ref)
{
    const ct_tape *t = ctx->tape;
    return ct_ref_is_leaf(ref) || ref >= t->first_value || t->values[ref].data || !t->values[ref].shape.numel;
}

/* What the key has bits for. */
#define MOST_INPUTS 0xffffffu

static ct_record *append(ct_context *ctx, const ct_entry *e)
{
    ct_tape *t = ctx->tape;
    if (ctx->status) return NULL; /* a rule goes on after an op of it failed */
    if (e->n_in > MOST_INPUTS || t->n_values + e->n_out > CT_MAX_INDEX) {
        ct_fail(ctx, CT_ERR_UNSUPPORTED, "%s: a record has at most %u inputs, a step %u values (ct_step_end ends it)",
                ct_op_of(ctx, e->op)->name, MOST_INPUTS, CT_MAX_INDEX);
        return NULL;
    }
    if (!reserve(ctx, e)) {
        ct_fail(ctx, CT_ERR_MEMORY, "%s: out of host memory at %zu records", ct_op_of(ctx, e->op)->name, t->n_records);
        return NULL;
    }
    if (t->n_records == 0) {
        forget_names(ctx); /* those of the last step, which could be replayed until now */
        ct_span_step_begin(ctx);
    }
    ct_record *r = &t->records[t->n_records];
    const bool hooked = t->hooked != CT_REF_NONE;
    *r = (ct_record){.op = e->op,
                     .phase = t->sweeping ? CT_PHASE_BACKWARD : e->phase,
                     .n_attr = e->n_attr,
                     .n_scalar = e->n_scalar,
                     .n_in = e->n_in,
                     .n_out = e->n_out,
                     .operand = (uint32_t)t->n_operands,
                     .attr = (uint32_t)t->n_attrs,
                     .scalar = (uint32_t)t->n_scalars,
                     .source = hooked ? t->hooked : t->sweeping_record};
    bool grad = false;
    ct_operand *operands = &t->operands[t->n_operands];
    size_t header = t->n_key++;
    for (uint32_t i = 0; i < e->n_in; i++) {
        ct_ref ref = e->in[i];
        if (!is_readable(ctx, ref)) {
            ct_fail(ctx, CT_ERR_STATE, "%s: %s was not kept when an earlier part of the step was launched",
                    ct_op_of(ctx, e->op)->name, ct_ref_text(ctx, ref));
            return NULL;
        }
        uint32_t access = e->access ? e->access[i] : CT_READ, version = 0;
        const bool flows = access == CT_READ && ct_value_at(ctx, ref)->requires_grad;
        key_operand(ctx, ref);
        if (ct_ref_is_leaf(ref)) {
            ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
            if (access & CT_WRITE) {
                ct_leaf_written(leaf, ct_op_of(ctx, e->op)->name);
                if (leaf->owner != CT_REF_NONE) ct_advice_written(ctx, leaf, e->op);
            }
            leaf->used_step = t->step;
            version = leaf->version;
        }
        grad |= flows;
        operands[i] = (ct_operand){ref, version, flows ? access | CT_FLOWS : access};
    }
    grad = grad && ct_op_of(ctx, e->op)->vjp && ct_grad_enabled(ctx);
    bool keep = !t->sweeping || t->sweep_keeps || t->callback || ctx->config.eager;
    r->flags = (uint8_t)((grad ? CT_RECORD_GRAD : 0) | (keep ? CT_RECORD_KEEP : 0) | (hooked ? CT_RECORD_HOOK : 0));
    for (uint32_t i = 0; i < e->n_out; i++) {
        ct_ref ref = (ct_ref)t->n_values++;
        ct_value *v = &t->values[ref];
        v->shape = e->out[i];
        v->data = NULL;
        v->record = (uint32_t)t->n_records;
        v->segment = 0;
        v->sweep = v->path = 0;
        v->requires_grad = grad && ct_is_float(v->shape.dtype);
        v->hooked = false;
        operands[e->n_in + i] = (ct_operand){ref, 0, CT_WRITE};
    }
    for (uint32_t i = 0; i < e->n_attr; i++) {
        t->attrs[t->n_attrs++] = e->attr[i];
        t->key[t->n_key++] = (uint64_t)e->attr[i];
    }
    for (uint32_t i = 0; i < e->n_scalar; i++) {
        uint32_t binding = e->binding ? e->binding[i] : 0;
        if (binding) t->bound[t->n_bound++] = (ct_bound_scalar){(uint32_t)(t->n_scalars - t->first_scalar), binding};
        t->scalars[t->n_scalars++] = e->scalar[i];
    }
    t->key[header] = (uint64_t)e->op | (uint64_t)r->flags << 16 | (uint64_t)e->n_attr << 24 | (uint64_t)e->n_in << 32 |
                     (uint64_t)e->n_out << 56;
    t->n_operands += e->n_in + e->n_out;
    if (++t->n_records == CT_LONG_STEP) ct_advice_long_step(ctx);
    return r;
}

static ct_status flush_segment(ct_context *ctx, const char *call);

static ct_status played_eagerly(ct_context *ctx) { return ctx->config.eager ? flush_segment(ctx, "eager") : CT_OK; }

ct_tensor ct_tape_add(ct_context *ctx, const ct_entry *e)
{
    ct_ref out = (ct_ref)ctx->tape->n_values;
    if (!append(ctx, e) || played_eagerly(ctx)) return (ct_tensor){0};
    return ct_handle(ctx, out);
}

ct_status ct_tape_add_effect(ct_context *ctx, const ct_entry *e)
{
    if (!append(ctx, e)) return ctx->status;
    return played_eagerly(ctx);
}

/* A word that no record starts with: the op number is out of range. */
#define KEY_KEEP ((uint64_t)0xffff)

void ct_tape_keep(ct_context *ctx, ct_ref ref)
{
    ct_tape *t = ctx->tape;
    if (ct_ref_is_leaf(ref) || ref < t->first_value) return;
    ct_record *r = &t->records[t->values[ref].record];
    if (r->flags & CT_RECORD_KEEP) return;
    if (!GROW(key, 2)) {
        ct_fail(ctx, CT_ERR_MEMORY, "%s: out of host memory", ct_op_of(ctx, r->op)->name);
        return;
    }
    r->flags |= CT_RECORD_KEEP;
    t->key[t->n_key++] = KEY_KEEP;
    t->key[t->n_key++] = t->values[ref].record - t->first_record;
}

bool ct_tape_names(ct_context *ctx, ct_ref ref) { return ct_value_at(ctx, ref)->segment == ctx->tape->segment; }

void ct_tape_note_release(ct_context *ctx, const ct_leaf_slot *leaf)
{
    ct_tape *t = ctx->tape;
    if (leaf->used_step != t->last_step && leaf->used_step != t->step) return;
    char *why = leaf->used_step == t->last_step ? t->why_not : t->released;
    snprintf(why, sizeof t->why_not, "the leaf %.60s%sof that step was released", leaf->name ? leaf->name : "",
             leaf->name ? " " : "");
    if (leaf->used_step == t->last_step) t->last = NULL;
}

/* ---- names of step values ---------------------------------------------------------------- */

static ct_named_value *find_name(ct_tape *t, ct_ref ref)
{
    for (size_t i = 0; i < t->n_names; i++)
        if (t->names[i].ref == ref) return &t->names[i];
    return NULL;
}

const char *ct_tape_name_of(ct_context *ctx, ct_ref ref)
{
    const ct_named_value *named = find_name(ctx->tape, ref);
    return named ? named->name : NULL;
}

ct_status ct_tape_name(ct_context *ctx, ct_ref ref, char *name)
{
    ct_tape *t = ctx->tape;
    ct_named_value *named = find_name(t, ref);
    if (!named) {
        if (!GROW(names, 1)) {
            ct_free(ctx, name);
            return ct_report(ctx, CT_ERR_MEMORY, "ct_set_name: out of host memory");
        }
        named = &t->names[t->n_names++];
        *named = (ct_named_value){.ref = ref};
    }
    ct_free(ctx, named->name);
    named->name = name;
    return CT_OK;
}

/* ---- bindings ---------------------------------------------------------------------- */

uint32_t ct_binding_make(ct_context *ctx, double value)
{
    ct_tape *t = ctx->tape;
    size_t i = 0;
    while (i < t->n_bindings && t->binding_taken[i]) i++;
    if (i == t->n_bindings) {
        if (!ct_grow(ctx, (void **)&t->bindings, &t->bindings_capacity, i + 1, sizeof *t->bindings) ||
            !ct_grow(ctx, (void **)&t->binding_taken, &t->taken_capacity, i + 1, sizeof *t->binding_taken))
            return 0;
        t->n_bindings++;
    }
    t->binding_taken[i] = true;
    t->bindings[i] = value;
    return (uint32_t)i + 1;
}

void ct_binding_set(ct_context *ctx, uint32_t binding, double value) { ctx->tape->bindings[binding - 1] = value; }

void ct_binding_free(ct_context *ctx, uint32_t binding)
{
    if (binding && ctx->open) ctx->tape->binding_taken[binding - 1] = false;
}

/* ---- the ends of segments and steps --------------------------------------------------- */

static void next_segment(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    t->segment++;
    t->first_value = t->n_values;
    t->first_record = t->n_records;
    t->first_scalar = t->n_scalars;
    t->n_externals = t->n_bound = 0;
    t->n_key = CT_KEY_HEADER;
}

static void next_step(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    ct_span_step_end(ctx);
    t->step++;
    t->n_values = t->n_records = t->n_operands = t->n_attrs = t->n_scalars = 0;
    t->random_records = 0;
    t->split = NULL;
    t->released[0] = 0;
    ct_hooks_step_ended(ctx);
    next_segment(ctx);
    ct_programs_step_ended(ctx);
    ct_leaves_reclaim(ctx);
}

void ct_tape_drop(ct_context *ctx)
{
    ct_tape *t = ctx->tape;
    for (ct_mirror *m = ctx->mirrors; m; m = m->next) m->rollback(m);
    if (t->n_records) {
        t->last = NULL;
        snprintf(t->why_not, sizeof t->why_not, "the step failed");
    }
    t->sweeping = t->sweep_keeps = false;
    ct_advice_dropped(ctx);
    t->sweeping_record = CT_NO_RECORD;
    t->hooked = CT_REF_NONE;
    next_step(ctx);
}

static ct_status launch(ct_context *ctx, bool final)
{
    ct_program *program;
    ct_status status = ct_program_get(ctx, final, &program);
    if (!status) status = ct_program_play(ctx, program);
    if (status) return status;
    for (ct_mirror *m = ctx->mirrors; m; m = m->next) m->commit(m);
    ctx->tape->last = program;
    return CT_OK;
}

static ct_status flush_segment(ct_context *ctx, const char *call)
{
    ct_tape *t = ctx->tape;
    if (t->n_records == t->first_record) return CT_OK;
    ct_status status = launch(ctx, false);
    if (status) return status;
    t->split = call;
    next_segment(ctx);
    return CT_OK;
}

ct_status ct_refuse_in_callback(ct_context *ctx, const char *call)
{
    const char *callback = ctx->tape->callback;
    if (!callback && ctx->tape->sweeping) callback = "a gradient rule";
    return callback ? ct_fail(ctx, CT_ERR_STATE, "%s: called by %s, which may only call ops", call, callback) : CT_OK;
}

ct_status ct_flush_open(ct_context *ctx, const char *call)
{
    ct_status status = ct_refuse_in_callback(ctx, call);
    return status ? status : flush_segment(ctx, call);
}

ct_status ct_flush(ct_context *ctx)
{
    ct_status status = ct_ready(ctx);
    return status ? status : ct_flush_open(ctx, "ct_flush");
}

ct_status ct_step_end(ct_context *ctx)
{
    ct_status status = ct_ready(ctx);
    if (!status) status = ct_refuse_in_callback(ctx, "ct_step_end");
    if (status) return status;
    ct_tape *t = ctx->tape;
    if (t->random_records) {
        status = ct_random_advance(ctx);
        if (status) return status;
    }
    bool pending = t->n_records > t->first_record;
    if (pending) status = launch(ctx, true);
    if (status) return status;
    if (t->split)
        snprintf(t->why_not, sizeof t->why_not, "%s split that step in two programs", t->split);
    else if (t->released[0])
        memcpy(t->why_not, t->released, sizeof t->why_not);
    else if (!pending)
        snprintf(t->why_not, sizeof t->why_not, "nothing was recorded in that step");
    else
        t->why_not[0] = 0;
    if (t->why_not[0]) t->last = NULL;
    t->last_step = t->step;
    if (t->n_records) ct_advice_step_ended(ctx);
    next_step(ctx);
    return CT_OK;
}

ct_status ct_replay(ct_context *ctx, int64_t n)
{
    ct_status status = ct_ready(ctx);
    if (!status) status = ct_refuse_in_callback(ctx, "ct_replay");
    if (status) return status;
    ct_tape *t = ctx->tape;
    if (n < 0) return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_replay: n is %lld", (long long)n);
    if (t->n_records > 0)
        return ct_fail(ctx, CT_ERR_STATE, "ct_replay: %zu records wait in a step that has not ended; call ct_step_end",
                       t->n_records);
    if (!t->last) return ct_fail(ctx, CT_ERR_STATE, "ct_replay: %s", t->why_not);
    for (ct_mirror *m = ctx->mirrors; m; m = m->next) {
        int64_t limit = m->replay_limit(m);
        if (n > limit)
            return ct_fail(ctx, CT_ERR_ARGUMENT,
                           "ct_replay: %lld replays would reach a partial batch; the largest n is %lld", (long long)n,
                           (long long)limit);
    }
    if (n == 0) return CT_OK;
    ct_advice_replayed(ctx, n);
    int64_t played;
    const int64_t began = ct_span_begin(ctx, CT_SPAN_REPLAY, n);
    status = ct_program_replay(ctx, t->last, n, &played);
    ct_span_end(ctx, CT_SPAN_REPLAY, n, began);
    for (ct_mirror *m = ctx->mirrors; m; m = m->next) m->replayed(m, played);
    return status;
}

ct_status ct_synchronize(ct_context *ctx)
{
    ct_status status = ct_ready(ctx);
    if (status) return status;
    status = ct_flush_open(ctx, "ct_synchronize");
    if (status) return status;
    const int64_t began = ct_span_begin(ctx, CT_SPAN_WAIT, 0);
    status = ctx->device->wait(ctx->device);
    ct_span_end(ctx, CT_SPAN_WAIT, 0, began);
    return ct_waited(ctx, "ct_synchronize", status);
}
