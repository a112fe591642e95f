/* The current step as a Graphviz file (ct_tape_to_dot).
 *
 * A record is a node, in the cluster of its phase. A value is the edge from its maker to
 * its reader; one that is read more than once, or never, has a point of its own. A leaf
 * is a box as the step finds it, and another as the step leaves it; what is written in
 * between is an edge, like a value. State of the runtime (counts, moments) is a number
 * on the record that uses it.
 */
#include "files/tape_words.h"

/* A drawing that nobody can read helps nobody: what is beyond is left out, and counted. */
enum { MOST_RECORDS = 1000, MOST_OPERANDS = 256 };

#define ACCUMULATION_COLOUR "#c0392b"
#define KEPT_COLOUR "#909090"

/* A leaf as the records go by. */
typedef struct leaf_state {
    uint32_t version;
    uint32_t writer;      /* of that version; CT_NO_RECORD: it came from outside the step */
    uint32_t last_writer; /* in the step                                                  */
    uint32_t boxes;       /* drawn so far                                                 */
    bool has_box;         /* this version is one of them                                  */
} leaf_state;

typedef struct drawing {
    ct_context *ctx;
    ct_lines lines;
    ct_text scratch; /* before it is quoted */
    uint32_t n_records;
    uint32_t *readers; /* of each value                                      */
    bool *has_rule;    /* by record: are there records of its gradient rule? */
    leaf_state *leaves;
} drawing;

static const ct_record *record_at(const drawing *d, uint32_t i) { return &d->ctx->tape->records[i]; }
static const ct_operand *inputs_of(const drawing *d, uint32_t i)
{
    return &d->ctx->tape->operands[record_at(d, i)->operand];
}
static uint32_t n_drawn(const ct_record *r) { return r->n_in < MOST_OPERANDS ? r->n_in : MOST_OPERANDS; }
static uint32_t number_of(ct_ref leaf) { return leaf & ~CT_REF_LEAF; }
static leaf_state *leaf_at(const drawing *d, ct_ref leaf) { return &d->leaves[number_of(leaf)]; }

/* ---- quoting ---------------------------------------------------------------------------- */

/* The scratch, from a byte on, into the line: Graphviz reads escapes and entities in a quoted label. */
static void flush_scratch(drawing *d, size_t first)
{
    ct_text *line = &d->lines.line, *what = &d->scratch;
    for (size_t i = first; i < what->n; i++) {
        char c = what->bytes[i];
        if (c == '"' || c == '\\')
            ct_text_add(line, "\\%c", c);
        else if (c == '&')
            ct_text_add(line, "&amp;");
        else
            ct_text_put(line, &c, 1);
    }
    what->n = 0;
}

/* The name, if it has one, over dtype and shape. */
static void put_tensor(drawing *d, ct_ref ref, const char *indent)
{
    ct_text *line = &d->lines.line;
    ct_text_add(line, "%s", indent);
    if (ct_has_name(d->ctx, ref) || ct_ref_is_leaf(ref)) {
        ct_say_name(d->ctx, &d->scratch, ref);
        flush_scratch(d, 0);
        ct_text_add(line, "\\n%s", indent);
    }
    ct_say_shape(d->ctx, line, ref);
}

/* ---- records ---------------------------------------------------------------------------- */

static bool accumulates(const ct_record *r)
{
    return (r->flags & CT_RECORD_SUMS) || r->op == CT_OP_accumulate || r->op == CT_OP_zero;
}

/* A record and those of its gradient rule are one colour: a turn of the golden angle for each. */
static void put_hue(drawing *d, uint32_t i)
{
    const ct_record *r = record_at(d, i);
    for (uint32_t source; (source = ct_source_record(d->ctx->tape, r)) != CT_NO_RECORD;) r = record_at(d, i = source);
    if (!d->has_rule[i]) return;
    uint32_t thousandths = (uint32_t)(i * 618ull % 1000);
    ct_text_add(&d->lines.line, ", fillcolor=\"0.%03u 0.25 1.000\"", thousandths);
}

static void put_title(drawing *d, uint32_t i)
{
    ct_say_op(d->ctx, &d->scratch, record_at(d, i));
    flush_scratch(d, 0);
    ct_text_add(&d->lines.line, " #%u", i);
}

static void draw_record(drawing *d, uint32_t i)
{
    ct_text *line = &d->lines.line;
    const ct_record *r = record_at(d, i);
    ct_text_add(line, "    r%u [label=\"", i);
    put_title(d, i);
    ct_say_attributes(d->ctx, &d->scratch, r);
    if (d->scratch.n) {
        ct_text_add(line, "\\n");
        flush_scratch(d, 1); /* without the blank in front */
    }
    if (r->flags & CT_RECORD_HOOK) {
        ct_text_add(line, "\\nhook of ");
        ct_say_name(d->ctx, &d->scratch, r->source);
        flush_scratch(d, 0);
    } else if (r->source != CT_NO_RECORD) {
        ct_text_add(line, "\\nof ");
        put_title(d, r->source);
    }
    if (r->flags & CT_RECORD_SUMS) ct_text_add(line, "\\nsums adjoints");
    uint32_t state = ct_count_state(d->ctx, r);
    if (state) ct_text_add(line, "\\n+%u of state", state);
    if (n_drawn(r) < r->n_in) ct_text_add(line, "\\n%u more operands left out", r->n_in - n_drawn(r));
    ct_text_add(line, "\", style=\"rounded,filled%s\"", r->flags & CT_RECORD_GRAD ? "" : ",dashed");
    put_hue(d, i);
    if (accumulates(r)) ct_text_add(line, ", color=\"" ACCUMULATION_COLOUR "\", penwidth=2");
    ct_text_add(line, "];");
    ct_lines_end(&d->lines);
}

/* Points of the values that are not read just once. */
static void draw_points(drawing *d, uint32_t i)
{
    const ct_record *r = record_at(d, i);
    const ct_operand *out = inputs_of(d, i) + r->n_in;
    for (uint32_t k = 0; k < r->n_out; k++) {
        ct_ref ref = out[k].ref;
        if (d->readers[ref] == 1) continue;
        ct_text_add(&d->lines.line, "    v%u [shape=circle, label=\"\", width=0.1, height=0.1, fillcolor=%s];", ref,
                    d->readers[ref] ? "black" : "white");
        ct_lines_end(&d->lines);
    }
}

/* The records of a phase from `first` up to `end`. */
static void draw_cluster(drawing *d, uint8_t phase, const char *id, const char *label, uint32_t first, uint32_t end)
{
    ct_text *line = &d->lines.line;
    bool open = false;
    for (uint32_t i = first; i < end; i++) {
        if (record_at(d, i)->phase != phase) continue;
        if (!open) {
            ct_text_add(line, "  subgraph cluster_%s { label=\"%s\"; style=rounded; color=\"#b0b0b0\";", id, label);
            ct_lines_end(&d->lines);
            open = true;
        }
        draw_record(d, i);
        draw_points(d, i);
    }
    if (!open) return;
    ct_text_add(line, "  }");
    ct_lines_end(&d->lines);
}

/* What is updated before the backward pass, as gradients are zeroed, stands apart: else edges would go up. */
static void draw_clusters(drawing *d)
{
    uint32_t backward = 0, end = d->n_records;
    while (backward < end && record_at(d, backward)->phase != CT_PHASE_BACKWARD) backward++;
    if (backward == end) backward = 0;
    draw_cluster(d, CT_PHASE_DATA, "data", "data", 0, end);
    draw_cluster(d, CT_PHASE_FORWARD, "forward", "forward", 0, end);
    draw_cluster(d, CT_PHASE_UPDATE, "update_before", "update before backward", 0, backward);
    draw_cluster(d, CT_PHASE_BACKWARD, "backward", "backward", 0, end);
    draw_cluster(d, CT_PHASE_UPDATE, "update", "update", backward, end);
}

/* ---- edges ------------------------------------------------------------------------------ */

/* The tensor is said on the edge unless a box or a point says it. */
static void end_edge(drawing *d, ct_ref said, bool solid, bool kept)
{
    ct_text *line = &d->lines.line;
    ct_text_add(line, " [style=%s", solid ? "solid" : "dashed");
    if (kept) ct_text_add(line, ", color=\"" KEPT_COLOUR "\", fontcolor=\"" KEPT_COLOUR "\"");
    if (said != CT_REF_NONE) {
        ct_text_add(line, ", label=\"");
        put_tensor(d, said, "  "); /* beside the edge, not on it */
        ct_text_add(line, "\"");
    }
    ct_text_add(line, "];");
    ct_lines_end(&d->lines);
}

/* Is it made by one phase, and read by another that comes later? */
static bool is_kept(const drawing *d, uint32_t reader, const ct_operand *o)
{
    const uint8_t phase = record_at(d, reader)->phase;
    if (phase != CT_PHASE_BACKWARD && phase != CT_PHASE_UPDATE) return false;
    if (ct_ref_is_leaf(o->ref)) return phase == CT_PHASE_BACKWARD && !ct_is_grad(d->ctx, o->ref);
    const ct_record *maker = record_at(d, ct_value_at(d->ctx, o->ref)->record);
    return phase == CT_PHASE_BACKWARD && maker->phase != phase;
}

static void draw_box(drawing *d, ct_ref ref)
{
    static const struct {
        const char *shape, *style, *colour;
    } looks[] = {
        {"box", "filled,dashed", "#eeeeee"}, {"box", "filled", "#cfe2f3"}, {"note", "filled,dashed", "#fde3cf"}};
    enum { INPUT, PARAMETER, GRAD };
    ct_text *line = &d->lines.line;
    leaf_state *s = leaf_at(d, ref);
    const bool parameter = ct_value_at(d->ctx, ref)->requires_grad;
    const int look = ct_is_grad(d->ctx, ref) ? GRAD : parameter ? PARAMETER : INPUT;
    ct_text_add(line, "  l%u_%u [label=\"", number_of(ref), ++s->boxes);
    put_tensor(d, ref, "");
    if (s->writer != CT_NO_RECORD) ct_text_add(line, "\\nafter #%u", s->writer);
    ct_text_add(line, "\", shape=%s, style=\"%s\", fillcolor=\"%s\"];", looks[look].shape, looks[look].style,
                looks[look].colour);
    ct_lines_end(&d->lines);
    s->has_box = true;
}

/* Records touch a leaf in turn; the version tells whether the host wrote it in between. */
static void draw_leaf_read(drawing *d, uint32_t i, uint32_t k)
{
    const ct_operand *in = inputs_of(d, i);
    const ct_ref ref = in[k].ref;
    leaf_state *s = leaf_at(d, ref);
    uint32_t version = in[k].version;
    for (uint32_t j = 0; j <= k; j++) version -= in[j].ref == ref && (in[j].access & CT_WRITE); /* its own writes */
    if (s->version != version || (s->writer == CT_NO_RECORD && !s->has_box)) {
        s->version = version;
        s->writer = CT_NO_RECORD;
        draw_box(d, ref);
    }
    if (s->has_box)
        ct_text_add(&d->lines.line, "  l%u_%u -> r%u", number_of(ref), s->boxes, i);
    else
        ct_text_add(&d->lines.line, "  r%u -> r%u", s->writer, i);
    end_edge(d, s->has_box ? CT_REF_NONE : ref, in[k].access & CT_FLOWS, is_kept(d, i, &in[k]));
}

static void draw_leaf_write(drawing *d, uint32_t i, const ct_operand *o)
{
    leaf_state *s = leaf_at(d, o->ref);
    s->version = o->version;
    s->writer = i;
    s->has_box = false;
    if (s->last_writer != i) return;
    draw_box(d, o->ref);
    ct_text_add(&d->lines.line, "  r%u -> l%u_%u", i, number_of(o->ref), s->boxes);
    end_edge(d, CT_REF_NONE, false, false);
}

static void draw_value_read(drawing *d, uint32_t i, const ct_operand *o)
{
    const ct_value *v = ct_value_at(d->ctx, o->ref);
    const bool shared = d->readers[o->ref] > 1;
    ct_text_add(&d->lines.line, shared ? "  v%u -> r%u" : "  r%u -> r%u", shared ? o->ref : v->record, i);
    end_edge(d, shared ? CT_REF_NONE : o->ref, v->requires_grad, is_kept(d, i, o));
}

static void draw_edges(drawing *d, uint32_t i)
{
    const ct_record *r = record_at(d, i);
    const ct_operand *in = inputs_of(d, i), *out = in + r->n_in;
    for (uint32_t k = 0; k < n_drawn(r); k++) {
        if (!(in[k].access & CT_READ) || ct_is_state(d->ctx, in[k].ref)) continue;
        if (ct_ref_is_leaf(in[k].ref))
            draw_leaf_read(d, i, k);
        else
            draw_value_read(d, i, &in[k]);
    }
    for (uint32_t k = 0; k < n_drawn(r); k++)
        if ((in[k].access & CT_WRITE) && !ct_is_state(d->ctx, in[k].ref)) draw_leaf_write(d, i, &in[k]);
    for (uint32_t k = 0; k < r->n_out; k++) {
        if (d->readers[out[k].ref] == 1) continue;
        ct_text_add(&d->lines.line, "  r%u -> v%u", i, out[k].ref);
        end_edge(d, out[k].ref, ct_value_at(d->ctx, out[k].ref)->requires_grad, false);
    }
}

/* ---- the file --------------------------------------------------------------------------- */

static void put_line(drawing *d, const char *text)
{
    ct_text_add(&d->lines.line, "%s", text);
    ct_lines_end(&d->lines);
}

static void draw_title(drawing *d)
{
    ct_text *line = &d->lines.line;
    const size_t n = d->ctx->tape->n_records;
    ct_text_add(line, "  label=\"");
    ct_say_step(d->ctx, line);
    if (n > d->n_records) ct_text_add(line, "; the last %zu are left out", n - d->n_records);
    ct_text_add(line, "\\nsolid: requires a gradient   dashed: does not   red: gradients add up   "
                      "grey: kept for later\";");
    ct_lines_end(&d->lines);
}

static void draw(drawing *d)
{
    put_line(d, "digraph tape {");
    draw_title(d);
    put_line(d, "  graph [fontname=\"Helvetica\", fontsize=12, labelloc=t, rankdir=TB, nodesep=0.3, ranksep=0.4];");
    put_line(d, "  node [shape=box, fontname=\"Helvetica\", fontsize=11, style=filled, fillcolor=white, height=0.3];");
    put_line(d, "  edge [fontname=\"Helvetica\", fontsize=9, arrowsize=0.7];");
    draw_clusters(d);
    for (uint32_t i = 0; i < d->n_records; i++) draw_edges(d, i);
    put_line(d, "}");
}

/* Who reads a value, who writes a leaf last, which record is of whose rule. */
static void survey(drawing *d)
{
    for (uint32_t i = 0; i < d->n_records; i++) {
        const ct_record *r = record_at(d, i);
        const ct_operand *in = inputs_of(d, i);
        const uint32_t source = ct_source_record(d->ctx->tape, r);
        if (source != CT_NO_RECORD) d->has_rule[source] = true;
        for (uint32_t k = 0; k < n_drawn(r); k++) {
            if (!ct_ref_is_leaf(in[k].ref))
                d->readers[in[k].ref]++;
            else if (in[k].access & CT_WRITE)
                leaf_at(d, in[k].ref)->last_writer = i;
        }
    }
}

static bool take_memory(drawing *d, ct_context *ctx)
{
    const size_t n_leaves = ctx->tensors->n_leaves;
    d->readers = ct_alloc(ctx, ctx->tape->n_values * sizeof *d->readers);
    d->has_rule = ct_alloc(ctx, d->n_records * sizeof *d->has_rule);
    d->leaves = ct_alloc(ctx, n_leaves * sizeof *d->leaves);
    if (!d->readers || !d->has_rule || !d->leaves) return false;
    for (size_t i = 0; i < n_leaves; i++)
        d->leaves[i] = (leaf_state){.writer = CT_NO_RECORD, .last_writer = CT_NO_RECORD};
    return true;
}

ct_status ct_tape_to_dot(ct_context *ctx, const char *path)
{
    ct_status status = ct_tape_words_ready(ctx);
    if (status) return status;
    drawing d = {.ctx = ctx};
    d.n_records = ctx->tape->n_records < MOST_RECORDS ? (uint32_t)ctx->tape->n_records : MOST_RECORDS;
    d.scratch.ctx = ctx;
    if (!path) status = ct_report(ctx, CT_ERR_ARGUMENT, "ct_tape_to_dot: the path is NULL");
    if (!status && !take_memory(&d, ctx)) status = ct_report(ctx, CT_ERR_MEMORY, "ct_tape_to_dot: out of host memory");
    if (!status) status = ct_lines_open(&d.lines, ctx, path);
    if (!status) {
        survey(&d);
        draw(&d);
        d.lines.line.failed |= d.scratch.failed;
        status = ct_lines_close(&d.lines, "ct_tape_to_dot");
    }
    ct_text_free(&d.scratch);
    ct_free(ctx, d.readers);
    ct_free(ctx, d.has_rule);
    ct_free(ctx, d.leaves);
    return status;
}
