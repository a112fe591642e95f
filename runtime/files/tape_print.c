/* The current step as text, one line a record (ct_tape_print). Columns stand where they
 * stand, whatever is in them, so that two listings can be compared line by line:
 *
 *     #     phase     grad  op               of       operands
 *     3     forward   grad  linear                    h f32 [4,5]*, w f32 [2,5]* -> y f32 [4,2]*  activation=relu
 *     9     backward  -     matmul           3        %9 f32 [4,2], h f32 [4,5]* -> %12 f32 [2,5]  ta=1
 */
#include "files/tape_words.h"

enum { PHASE = 6, GRAD = PHASE + 10, OP = GRAD + 6, SOURCE = OP + 17, OPERANDS = SOURCE + 9 };

/* The operands that are read, or those that are written. */
static void say_operands(ct_context *ctx, ct_text *line, const ct_record *r, uint32_t access)
{
    const ct_tape *t = ctx->tape;
    const char *before = access == CT_WRITE ? "-> " : "";
    for (uint32_t i = 0; i < r->n_in + r->n_out; i++) {
        const ct_operand *o = &t->operands[r->operand + i];
        if (!(o->access & access) || ct_is_state(ctx, o->ref)) continue;
        ct_text_add(line, "%s", before);
        ct_say_name(ctx, line, o->ref);
        ct_text_add(line, " ");
        ct_say_shape(ctx, line, o->ref);
        if (ct_value_at(ctx, o->ref)->requires_grad) ct_text_add(line, "*");
        before = ", ";
    }
}

static void say_record(ct_context *ctx, ct_text *line, size_t number)
{
    const ct_record *r = &ctx->tape->records[number];
    ct_text_add(line, "%zu", number);
    ct_text_pad(line, PHASE);
    ct_text_add(line, "%s", ct_phase_name(r->phase));
    ct_text_pad(line, GRAD);
    ct_text_add(line, "%s", r->flags & CT_RECORD_GRAD ? "grad" : "-");
    ct_text_pad(line, OP);
    ct_say_op(ctx, line, r);
    ct_text_pad(line, SOURCE);
    if (r->flags & CT_RECORD_HOOK)
        ct_text_add(line, "hook");
    else if (r->source != CT_NO_RECORD)
        ct_text_add(line, "%u", r->source);
    ct_text_pad(line, OPERANDS);
    const size_t start = line->n;
    say_operands(ctx, line, r, CT_READ);
    if (line->n > start) ct_text_add(line, " ");
    say_operands(ctx, line, r, CT_WRITE);
    const uint32_t state = ct_count_state(ctx, r);
    if (state) ct_text_add(line, "%s+%u of state", line->n > start ? "  " : "", state);
    if (r->flags & CT_RECORD_SUMS) ct_text_add(line, "  sums adjoints");
    ct_say_attributes(ctx, line, r);
    if (r->flags & CT_RECORD_HOOK) {
        ct_text_add(line, "  hook of ");
        ct_say_name(ctx, line, r->source);
    }
}

static void say_header(ct_context *ctx, ct_lines *lines)
{
    ct_text *line = &lines->line;
    ct_say_step(ctx, line);
    ct_lines_end(lines);
    if (ctx->tape->n_records == 0) return;
    ct_text_add(line, "#");
    ct_text_pad(line, PHASE);
    ct_text_add(line, "phase");
    ct_text_pad(line, GRAD);
    ct_text_add(line, "grad");
    ct_text_pad(line, OP);
    ct_text_add(line, "op");
    ct_text_pad(line, SOURCE);
    ct_text_add(line, "rule of");
    ct_text_pad(line, OPERANDS);
    ct_text_add(line, "reads -> writes  (* requires a gradient)");
    ct_lines_end(lines);
}

ct_status ct_tape_print(ct_context *ctx, const char *path)
{
    ct_lines lines;
    ct_status status = ct_tape_words_ready(ctx);
    if (status) return status;
    status = ct_lines_open(&lines, ctx, path);
    if (!status) {
        say_header(ctx, &lines);
        for (size_t i = 0; i < ctx->tape->n_records; i++) {
            say_record(ctx, &lines.line, i);
            ct_lines_end(&lines);
        }
        status = ct_lines_close(&lines, "ct_tape_print");
    }
    return status;
}
