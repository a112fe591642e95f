/* All of a profile as JSON, for ct_profile_table: sums, rows, pairs, programs with their
 * memory. Times are in microseconds; what was not measured is null. */
#include "profile/table.h"

#include <math.h>

/* ---- members ---------------------------------------------------------------------------------------- */

static void name(ct_text *t, const char *key) { ct_text_add(t, "\"%s\": ", key); }

/* A member and a comma. */
static void put_number(ct_text *t, const char *key, double value)
{
    name(t, key);
    ct_say_number(t, value, "null");
    ct_text_add(t, ", ");
}

static void put_integer(ct_text *t, const char *key, long long value)
{
    name(t, key);
    ct_text_add(t, "%lld, ", value);
}

static void put_text(ct_text *t, const char *key, const char *text)
{
    name(t, key);
    ct_text_json(t, text);
    ct_text_add(t, ", ");
}

/* The last member, in place of the comma of the one before. */
static void close_object(ct_text *t)
{
    if (t->n > 2) t->n -= 2;
    ct_text_add(t, "}");
}

/* Ends the line of an item of an array. */
static void end_item(ct_lines *l, bool last)
{
    close_object(&l->line);
    if (!last) ct_text_add(&l->line, ",");
    ct_lines_end(l);
}

static void open_array(ct_lines *l, const char *key)
{
    ct_text_add(&l->line, "\"%s\": [", key);
    ct_lines_end(l);
}

static void close_array(ct_lines *l, bool last)
{
    ct_text_add(&l->line, last ? "]" : "],");
    ct_lines_end(l);
}

static double us(int64_t ns) { return (double)ns / 1000; }

/* ---- parts -------------------------------------------------------------------------------------------- */

static void write_heading(const ct_report_of *r, ct_lines *l)
{
    ct_text *t = &l->line;
    ct_text_add(t, "{");
    put_text(t, "device", ct_device_name(r->ctx));
    put_integer(t, "steps", r->p->steps);
    put_number(t, "wall_us", us(r->p->end - r->p->begin));
    put_number(t, "launches_us", us(r->sums.ns));
    put_number(t, "gaps_us", us(r->sums.gap_ns));
    put_integer(t, "pool_bytes", (long long)r->p->pool_bytes);
    ct_lines_end(l);
}

static void write_peaks(const ct_peaks *peaks, ct_lines *l)
{
    ct_text *t = &l->line;
    ct_text_add(t, "\"peaks\": {");
    put_number(t, "f32_gflop_per_s", ct_measured(peaks->flops[0] / 1e9));
    put_number(t, "f64_gflop_per_s", ct_measured(peaks->flops[1] / 1e9));
    ct_text_add(t, "\"copies\": [");
    for (int i = 0; i < peaks->n_sizes; i++) {
        ct_text_add(t, i ? ", {" : "{");
        put_number(t, "bytes", ct_measured(peaks->copied[i]));
        put_number(t, "gb_per_s", ct_measured(peaks->bandwidth[i] / 1e9));
        close_object(t);
    }
    ct_text_add(t, "]},");
    ct_lines_end(l);
}

static void write_phases(const ct_report_of *r, ct_lines *l)
{
    open_array(l, "phases");
    for (uint8_t i = 0; i <= CT_PHASE_DATA; i++) {
        const ct_phase_sum *s = &r->sums.phases[i];
        ct_text *t = &l->line;
        ct_text_add(t, "{");
        put_text(t, "phase", ct_phase_name(i));
        put_number(t, "total_us", us(s->ns));
        put_number(t, "share_percent", 100 * ct_ratio((double)s->ns, (double)r->sums.ns));
        put_number(t, "flop", s->flops);
        put_number(t, "bytes", s->bytes);
        put_integer(t, "launches", s->launches);
        end_item(l, i == CT_PHASE_DATA);
    }
    close_array(l, false);
}

static void put_bound(ct_text *t, const ct_report_of *r, const ct_profile_row *row, double roofline)
{
    name(t, "bound_by");
    ct_text_add(t, "%s, ",
                !isfinite(roofline)                   ? "null"
                : ct_profile_compute_bound(r->p, row) ? "\"compute\""
                                                      : "\"memory\"");
}

static void put_row(ct_text *t, const ct_report_of *r, uint32_t number)
{
    const ct_profile_row *row = &r->p->rows[number];
    const double roofline = ct_row_roofline(r->p, row);
    ct_text_add(t, "{");
    put_integer(t, "row", number);
    put_integer(t, "program", r->p->programs[row->program].number);
    put_integer(t, "record", row->record);
    put_number(t, "forward_row", row->forward == CT_NO_ROW ? (double)NAN : row->forward);
    put_text(t, "phase", ct_phase_name(row->phase));
    put_text(t, "dtype", ct_dtype_name(row->dtype));
    put_text(t, "op", row->op);
    put_text(t, "label", row->label);
    put_text(t, "tensor", row->tensor);
    put_text(t, "shape", row->shape);
    put_integer(t, "calls", row->calls);
    put_integer(t, "launches_per_call", row->launches);
    put_number(t, "time_us", ct_row_us(row, row->ns));
    put_number(t, "least_us", us(row->least_ns));
    put_number(t, "most_us", us(row->most_ns));
    put_number(t, "total_us", us(row->ns));
    put_number(t, "share_percent", 100 * ct_ratio((double)row->ns, (double)r->sums.ns));
    put_number(t, "flop", row->flops);
    put_number(t, "bytes", row->bytes);
    put_number(t, "gflop_per_s", ct_row_rate(row, row->flops) / 1e9);
    put_number(t, "gb_per_s", ct_row_rate(row, row->bytes) / 1e9);
    put_number(t, "roofline_percent", roofline);
    put_bound(t, r, row, roofline);
    put_number(t, "gap_us", ct_row_us(row, row->gap_ns));
    put_number(t, "host_us", ct_row_us(row, row->host_ns));
}

static void write_rows(const ct_report_of *r, ct_lines *l)
{
    open_array(l, "rows");
    for (size_t i = 0; i < r->p->n_rows; i++) {
        put_row(&l->line, r, r->order[i]);
        end_item(l, i + 1 == r->p->n_rows);
    }
    close_array(l, false);
}

static void write_pairs(const ct_report_of *r, ct_lines *l)
{
    ct_text *t = &l->line;
    open_array(l, "pairs");
    bool any = false;
    for (size_t i = 0; i < r->p->n_rows; i++) {
        const uint32_t number = r->order[i];
        const ct_profile_row *row = &r->p->rows[number];
        if (!ct_is_pair(r, number)) continue;
        if (any) ct_text_add(t, ",");
        ct_text_add(t, "{");
        any = true;
        put_integer(t, "row", number);
        put_text(t, "forward", row->label);
        put_number(t, "forward_us", us(row->ns));
        put_number(t, "backward_us", us(r->sums.backward_ns[number]));
        put_number(t, "ratio", ct_ratio((double)r->sums.backward_ns[number], (double)row->ns));
        close_object(t);
        ct_lines_end(l);
    }
    close_array(l, false);
}

/* ---- programs ------------------------------------------------------------------------------------------ */

static void put_value(ct_text *t, const ct_profile_value *v)
{
    ct_text_add(t, "{");
    put_text(t, "name", v->name);
    put_text(t, "shape", v->shape);
    put_integer(t, "offset", (long long)v->offset);
    put_integer(t, "bytes", (long long)v->bytes);
    put_integer(t, "first", v->first);
    put_number(t, "last", v->last == CT_NEVER ? (double)NAN : v->last);
}

/* alive_at_peak: places in `values`. */
static bool write_program(const ct_report_of *r, const ct_profile_program *g, ct_lines *l)
{
    ct_text *t = &l->line;
    uint32_t n;
    uint32_t *alive = ct_alive_at_peak(r->ctx, g, &n);
    if (!alive) return false;
    ct_text_add(t, "{");
    put_integer(t, "program", g->number);
    put_integer(t, "first_record", g->first_record);
    put_integer(t, "records", g->n_records);
    put_integer(t, "launches", g->n_launches);
    put_integer(t, "plays", g->plays);
    put_number(t, "total_us", us(g->ns));
    put_integer(t, "arena_bytes", (long long)g->arena_bytes);
    put_integer(t, "peak_record", g->peak);
    put_integer(t, "peak_bytes", (long long)ct_peak_bytes(g));
    ct_text_add(t, "\"alive_at_peak\": [");
    for (uint32_t i = 0; i < n; i++) ct_text_add(t, "%s%u", i ? ", " : "", alive[i]);
    ct_text_add(t, "],");
    ct_lines_end(l);
    ct_free(r->ctx, alive);
    open_array(l, "values");
    for (uint32_t i = 0; i < g->n_values; i++) {
        put_value(t, &g->values[i]);
        end_item(l, i + 1 == g->n_values);
    }
    ct_text_add(t, "]}");
    return true;
}

bool ct_write_json(const ct_report_of *r, ct_lines *l)
{
    write_heading(r, l);
    write_peaks(&r->p->peaks, l);
    write_phases(r, l);
    write_rows(r, l);
    write_pairs(r, l);
    open_array(l, "programs");
    for (size_t i = 0; i < r->p->n_programs; i++) {
        if (!write_program(r, &r->p->programs[i], l)) return false;
        if (i + 1 < r->p->n_programs) ct_text_add(&l->line, ",");
        ct_lines_end(l);
    }
    close_array(l, true);
    ct_text_add(&l->line, "}");
    ct_lines_end(l);
    return true;
}
