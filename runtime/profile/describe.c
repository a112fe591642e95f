/* What is played, in words: rows for the records of a program that launch something, and
 * its values with their places. Names come from the tape, where the records of a step
 * stand until the next one begins: so this can tell of a replay too. */
#include "profile/describe.h"

#include "files/tape_words.h"
#include "profile/profile.h"

#include <string.h>

/* ---- labels ------------------------------------------------------------------------------------ */

static void say_input(ct_context *ctx, ct_text *text, const ct_record *source, uint32_t input)
{
    int length = 0;
    const char *operand = ct_operand_name(ct_op_of(ctx, source->op), input, &length);
    if (!operand) operand = "input", length = 5;
    ct_text_add(text, " d%.*s", length, operand);
    const ct_ref ref = ctx->tape->operands[source->operand + input].ref;
    if (!ct_has_name(ctx, ref)) return;
    ct_text_add(text, " (");
    ct_say_name(ctx, text, ref);
    ct_text_add(text, ")");
}

void ct_say_label(ct_context *ctx, ct_text *text, uint32_t number)
{
    const ct_tape *t = ctx->tape;
    const ct_record *r = &t->records[number];
    const uint32_t source = ct_source_record(t, r);
    const bool own = source == CT_NO_RECORD;
    ct_say_op(ctx, text, own ? r : &t->records[source]);
    ct_text_add(text, "#%u", own ? number : source);
    if (own) return;
    ct_text_add(text, r->flags & CT_RECORD_HOOK ? " hook" : " backward");
    if (r->gradient) say_input(ctx, text, &t->records[source], r->gradient - 1u);
}

/* ---- texts --------------------------------------------------------------------------------------- */

/* The text so far, as one of the profile's; the text is empty then. "" when out of memory. */
static const char *keep(ct_context *ctx, ct_text *text)
{
    ct_profile *p = ctx->profile;
    const bool room =
        !text->failed && ct_grow(ctx, (void **)&p->texts, &p->texts_capacity, p->n_texts + 1, sizeof *p->texts);
    char *copy = room ? ct_alloc(ctx, text->n + 1) : NULL;
    if (copy) {
        if (text->n) memcpy(copy, text->bytes, text->n);
        p->texts[p->n_texts++] = copy;
    }
    p->out_of_memory |= !copy;
    text->n = 0;
    return copy ? copy : "";
}

static const char *keep_shape(ct_context *ctx, ct_text *text, ct_ref ref)
{
    ct_say_shape(ctx, text, ref);
    return keep(ctx, text);
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static const ct_record *record_at(const ct_context *ctx, const ct_profile_program *program, uint32_t k)
{
    return &ctx->tape->records[program->first_record + k];
}

/* On the tape. */
static ct_ref ref_of(const ct_context *ctx, const ct_plan *plan, uint32_t value)
{
    const ct_tape *t = ctx->tape;
    return value < plan->n_externals ? t->externals[value] : (ct_ref)(t->first_value + value - plan->n_externals);
}

ct_ref ct_record_written(ct_context *ctx, const ct_plan *plan, const ct_plan_record *r, uint32_t *n)
{
    *n = 1;
    if (r->n_out) {
        const uint32_t value = ct_plan_out(plan, r, 0)->value;
        return ref_of(ctx, plan, plan->values[value].stored ? plan->values[value].storage : value);
    }
    ct_ref first = CT_REF_NONE, state = CT_REF_NONE;
    *n = 0;
    for (uint32_t i = 0; i < r->n_in; i++) {
        const ct_plan_operand *o = ct_plan_in(plan, r, i);
        if (o->value == CT_NO_VALUE || !(o->access & CT_WRITE)) continue;
        const ct_ref ref = ref_of(ctx, plan, o->value);
        if (ct_is_state(ctx, ref)) {
            if (state == CT_REF_NONE) state = ref;
        } else if ((*n)++ == 0) {
            first = ref;
        }
    }
    return first != CT_REF_NONE ? first : state;
}

static void say_written(ct_context *ctx, const ct_plan *plan, const ct_plan_record *r, ct_text *text,
                        ct_profile_row *row)
{
    uint32_t n;
    const ct_ref ref = ct_record_written(ctx, plan, r, &n);
    row->tensor = row->shape = "";
    if (ref == CT_REF_NONE) return;
    ct_say_name(ctx, text, ref);
    if (n > 1) ct_text_add(text, " and %u more", n - 1);
    row->tensor = keep(ctx, text);
    row->shape = keep_shape(ctx, text, ref);
    row->dtype = (uint8_t)ct_value_at(ctx, ref)->shape.dtype;
}

static ct_profile_row *add_row(ct_context *ctx, const ct_program *program, const ct_profile_program *out,
                               const ct_launch *l, ct_text *text)
{
    ct_profile *p = ctx->profile;
    if (!ct_grow(ctx, (void **)&p->rows, &p->rows_capacity, p->n_rows + 1, sizeof *p->rows)) return NULL;
    ct_profile_row *row = &p->rows[p->n_rows++];
    const ct_record *r = record_at(ctx, out, l->record);
    const bool folded = l->folded != CT_NOT_FOLDED;
    *row = (ct_profile_row){.program = (uint32_t)p->n_programs,
                            .record = out->first_record + l->record,
                            .stored = out->first_record + (folded ? l->folded : l->record),
                            .forward = CT_NO_ROW,
                            .phase = r->phase,
                            .dtype = l->args.dtype};
    ct_say_op(ctx, text, r);
    if (folded) {
        ct_text_add(text, " + ");
        ct_say_op(ctx, text, record_at(ctx, out, l->folded));
    }
    row->op = keep(ctx, text);
    ct_say_label(ctx, text, row->record);
    row->label = keep(ctx, text);
    say_written(ctx, &program->plan, &program->plan.records[row->stored - out->first_record], text, row);
    return row;
}

/* Launches of a record stand together. */
static bool add_rows(ct_context *ctx, const ct_program *program, ct_profile_program *out, ct_text *text)
{
    ct_profile_row *row = NULL;
    for (uint32_t i = 0; i < out->n_launches; i++) {
        const ct_launch *l = &program->code.launches[i];
        if (!row || row->record != out->first_record + l->record) row = add_row(ctx, program, out, l, text);
        if (!row) return false;
        out->row_with[l->record] = (uint32_t)(row - ctx->profile->rows);
        row->launches++;
        row->flops += l->flops;
        row->bytes += l->bytes;
        out->row_of[i] = (uint32_t)(row - ctx->profile->rows);
    }
    out->n_rows = (uint32_t)ctx->profile->n_rows - out->first_row;
    return true;
}

/* The row of a record of the step: in this program, or in one that the step has played before. */
static uint32_t row_with(const ct_profile *p, const ct_profile_program *program, uint32_t record)
{
    while (record < program->first_record) {
        if (program->before == CT_NO_PROGRAM) return CT_NO_ROW; /* of before the profile */
        program = &p->programs[program->before];
    }
    return program->row_with[record - program->first_record];
}

static void find_forward(const ct_context *ctx, const ct_profile_program *out)
{
    ct_profile *p = ctx->profile;
    for (uint32_t i = out->first_row; i < p->n_rows; i++) {
        const uint32_t source = ct_source_record(ctx->tape, &ctx->tape->records[p->rows[i].record]);
        if (source != CT_NO_RECORD) p->rows[i].forward = row_with(p, out, source);
    }
}

/* ---- values ------------------------------------------------------------------------------------------ */

static bool has_place(const ct_plan_value *v, uint32_t index)
{
    return !v->external && v->storage == index && v->offset != SIZE_MAX;
}

static void add_value(ct_profile_program *out, ct_profile_value value)
{
    out->values[out->n_values++] = value;
    const uint32_t first = value.first - out->first_record,
                   last = value.last == CT_NEVER ? out->n_records - 1 : value.last - out->first_record;
    for (uint32_t k = first; k <= last; k++) out->alive[k] += value.bytes;
}

static void describe_value(ct_context *ctx, const ct_plan *plan, uint32_t i, ct_profile_program *out, ct_text *text)
{
    const ct_plan_value *v = &plan->values[i];
    const uint32_t row = out->row_with[v->maker];
    const uint32_t k = row == CT_NO_ROW ? v->maker : ctx->profile->rows[row].stored - out->first_record;
    const ct_ref ref = ref_of(ctx, plan, k == v->maker ? i : ct_plan_out(plan, &plan->records[k], 0)->value);
    ct_say_name(ctx, text, ref);
    if (!ct_has_name(ctx, ref)) {
        ct_text_add(text, " of ");
        ct_say_op(ctx, text, record_at(ctx, out, k));
        ct_text_add(text, "#%u", out->first_record + k);
    }
    ct_profile_value value = {.name = keep(ctx, text),
                              .offset = v->offset,
                              .bytes = v->bytes,
                              .first = out->first_record + v->first,
                              .last = v->last == CT_NEVER ? CT_NEVER : out->first_record + v->last};
    value.shape = keep_shape(ctx, text, ref);
    add_value(out, value);
}

static void describe_scratch(ct_context *ctx, const ct_plan_record *r, uint32_t k, ct_profile_program *out,
                             ct_text *text)
{
    ct_text_add(text, "scratch of ");
    ct_say_op(ctx, text, record_at(ctx, out, k));
    ct_text_add(text, "#%u", out->first_record + k);
    const uint32_t at = out->first_record + k;
    add_value(out, (ct_profile_value){.name = keep(ctx, text),
                                      .shape = "",
                                      .offset = r->scratch_offset,
                                      .bytes = r->scratch_bytes,
                                      .first = at,
                                      .last = at});
}

/* Of the step's programs before this one. */
static void describe_kept(ct_context *ctx, const ct_plan *plan, ct_profile_program *out, ct_text *text)
{
    ct_text_add(text, "kept from before record %u", out->first_record);
    add_value(
        out,
        (ct_profile_value){
            .name = keep(ctx, text), .shape = "", .bytes = plan->base, .first = out->first_record, .last = CT_NEVER});
}

static bool add_values(ct_context *ctx, const ct_plan *plan, ct_profile_program *out, ct_text *text)
{
    out->values = ct_alloc(ctx, ((size_t)plan->n_values + plan->n_records + 1) * sizeof *out->values);
    out->alive = ct_alloc(ctx, plan->n_records * sizeof *out->alive);
    if (!out->values || !out->alive) return false;
    if (plan->base) describe_kept(ctx, plan, out, text);
    for (uint32_t i = plan->n_externals; i < plan->n_values; i++)
        if (has_place(&plan->values[i], i)) describe_value(ctx, plan, i, out, text);
    for (uint32_t k = 0; k < plan->n_records; k++)
        if (plan->records[k].scratch_bytes) describe_scratch(ctx, &plan->records[k], k, out, text);
    uint32_t peak = 0;
    for (uint32_t k = 0; k < plan->n_records; k++)
        if (out->alive[k] > out->alive[peak]) peak = k;
    out->peak = out->first_record + peak;
    out->arena_bytes = plan->end;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static bool make_room(ct_context *ctx, ct_profile_program *out)
{
    out->row_of = ct_alloc(ctx, out->n_launches * sizeof *out->row_of);
    out->times = ct_alloc(ctx, out->n_launches * sizeof *out->times);
    out->row_with = ct_alloc(ctx, out->n_records * sizeof *out->row_with);
    if (!out->row_of || !out->times || !out->row_with) return false;
    for (uint32_t k = 0; k < out->n_records; k++) out->row_with[k] = CT_NO_ROW;
    return true;
}

bool ct_profile_describe(ct_context *ctx, const ct_program *program, ct_profile_program *out)
{
    ct_text text = {.ctx = ctx};
    *out = (ct_profile_program){.number = program->number,
                                .before = ctx->profile->last,
                                .first_record = (uint32_t)ctx->tape->first_record,
                                .n_records = program->plan.n_records,
                                .first_row = (uint32_t)ctx->profile->n_rows,
                                .n_launches = program->code.n_launches};
    const bool done = make_room(ctx, out) && add_rows(ctx, program, out, &text) &&
                      add_values(ctx, &program->plan, out, &text) && !ctx->profile->out_of_memory;
    if (done) find_forward(ctx, out);
    ct_text_free(&text);
    return done;
}
