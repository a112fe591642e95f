/* The last profile as a table (ct_profile_table): text for people, rows as CSV; json.c has
 * the JSON. Reads what profile.h holds, and the context's name of the device. */
#include "profile/table.h"

#include <math.h>
#include <string.h>

enum {
    MOST_ALIVE = 10, /* values that are listed at a peak */
    MOST_PROGRAMS = 8
};

#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- cells -------------------------------------------------------------------------------------- */

static ct_grid grid(const ct_report_of *r, const ct_column *columns, size_t n)
{
    return (ct_grid){.columns = columns, .n_columns = n, .cells = {.ctx = r->ctx}};
}

static void fixed(ct_grid *g, double value, int decimals)
{
    ct_say_fixed(&g->cells, value, decimals);
    ct_grid_next(g);
}

static void prefixed(ct_grid *g, double value)
{
    ct_say_prefixed(&g->cells, value);
    ct_grid_next(g);
}

static void integer(ct_grid *g, long long value)
{
    ct_text_add(&g->cells, "%lld", value);
    ct_grid_next(g);
}

static void title(ct_lines *l, const char *text)
{
    ct_lines_end(l);
    ct_text_add(&l->line, "%s", text);
    ct_lines_end(l);
}

/* ---- heading ------------------------------------------------------------------------------------- */

static double ms(int64_t ns) { return (double)ns / 1e6; }

static void write_heading(const ct_report_of *r, ct_lines *l)
{
    ct_text *t = &l->line;
    ct_text_add(t, "profile of %u step%s on %s", r->p->steps, r->p->steps == 1 ? "" : "s", ct_device_name(r->ctx));
    ct_lines_end(l);
    ct_text_add(t, "wall ");
    ct_say_fixed(t, ms(r->p->end - r->p->begin), 3);
    ct_text_add(t, " ms, launches ");
    ct_say_fixed(t, ms(r->sums.ns), 3);
    ct_text_add(t, " ms, gaps between launches ");
    ct_say_fixed(t, ms(r->sums.gap_ns), 3);
    ct_text_add(t, " ms");
    ct_lines_end(l);
}

static void say_copies(ct_text *t, const ct_peaks *peaks, int i)
{
    ct_say_fixed(t, ct_measured(peaks->bandwidth[i] / 1e9), 1);
    ct_text_add(t, " GB/s (copies of ");
    ct_say_prefixed(t, ct_measured(peaks->copied[i]));
    ct_text_add(t, " bytes)");
}

static void write_peaks(const ct_peaks *peaks, ct_lines *l)
{
    ct_text *t = &l->line;
    ct_text_add(t, "peaks: ");
    ct_say_fixed(t, ct_measured(peaks->flops[0] / 1e9), 1);
    ct_text_add(t, " GFLOP/s f32, ");
    ct_say_fixed(t, ct_measured(peaks->flops[1] / 1e9), 1);
    ct_text_add(t, " GFLOP/s f64; cache ");
    say_copies(t, peaks, 0);
    ct_text_add(t, ", memory ");
    say_copies(t, peaks, peaks->n_sizes ? peaks->n_sizes - 1 : 0);
    ct_lines_end(l);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static void add_row(const ct_report_of *r, const ct_profile_row *row, ct_grid *g)
{
    const double roofline = ct_row_roofline(r->p, row);
    if (r->p->n_programs > 1) integer(g, r->p->programs[row->program].number);
    integer(g, row->record);
    ct_grid_say(g, ct_phase_name(row->phase));
    ct_grid_say(g, row->op);
    if (row->forward != CT_NO_ROW) ct_text_add(&g->cells, "%u", r->p->rows[row->forward].record);
    ct_grid_next(g);
    ct_grid_say(g, row->tensor);
    ct_grid_say(g, row->shape);
    integer(g, row->calls);
    fixed(g, ct_row_us(row, row->ns), 2);
    fixed(g, 100 * ct_ratio((double)row->ns, (double)r->sums.ns), 1);
    prefixed(g, row->flops);
    prefixed(g, row->bytes);
    fixed(g, ct_row_rate(row, row->flops) / 1e9, 2);
    fixed(g, ct_row_rate(row, row->bytes) / 1e9, 2);
    ct_say_fixed(&g->cells, roofline, 1);
    if (isfinite(roofline)) ct_text_add(&g->cells, " %c", ct_profile_compute_bound(r->p, row) ? 'c' : 'm');
    ct_grid_next(g);
    fixed(g, ct_row_us(row, row->gap_ns), 2);
}

ct_grid ct_rows_as_grid(const ct_report_of *r, size_t most)
{
    static const ct_column columns[] = {
        {"prog", true, 0},    {"#", true, 0},        {"phase", false, 0},  {"op", false, 18},
        {"of", true, 0},      {"tensor", false, 24}, {"shape", false, 18}, {"calls", true, 0},
        {"us", true, 0},      {"%", true, 0},        {"FLOP", true, 0},    {"bytes", true, 0},
        {"GFLOP/s", true, 0}, {"GB/s", true, 0},     {"% roof", true, 0},  {"gap us", true, 0},
    };
    const size_t skipped = r->p->n_programs > 1 ? 0 : 1; /* one program needs no number */
    ct_grid g = grid(r, columns + skipped, LENGTH(columns) - skipped);
    for (size_t i = 0; i < r->p->n_rows && i < most; i++) add_row(r, &r->p->rows[r->order[i]], &g);
    return g;
}

static void write_rows(const ct_report_of *r, ct_lines *l)
{
    ct_grid g = ct_rows_as_grid(r, SIZE_MAX);
    title(l, "rows, of a call  (of: the forward record; % roof: c bound by arithmetic, m by memory)");
    ct_grid_write(&g, l);
}

/* ---- phases and pairs ------------------------------------------------------------------------------ */

static void write_phases(const ct_report_of *r, ct_lines *l)
{
    static const ct_column columns[] = {{"phase", false, 0}, {"us", true, 0},    {"us/step", true, 0}, {"%", true, 0},
                                        {"FLOP", true, 0},   {"bytes", true, 0}, {"launches", true, 0}};
    ct_grid g = grid(r, columns, LENGTH(columns));
    for (uint8_t i = 0; i <= CT_PHASE_DATA; i++) {
        const ct_phase_sum *s = &r->sums.phases[i];
        const double us = (double)s->ns / 1000;
        ct_grid_say(&g, ct_phase_name(i));
        fixed(&g, us, 2);
        fixed(&g, ct_ratio(us, r->p->steps), 2);
        fixed(&g, 100 * ct_ratio((double)s->ns, (double)r->sums.ns), 1);
        prefixed(&g, s->flops);
        prefixed(&g, s->bytes);
        integer(&g, s->launches);
    }
    title(l, "phases, in all");
    ct_grid_write(&g, l);
}

ct_grid ct_pairs_as_grid(const ct_report_of *r, size_t most)
{
    static const ct_column columns[] = {
        {"forward", false, 60}, {"forward us", true, 0}, {"backward us", true, 0}, {"backward/forward", true, 0}};
    ct_grid g = grid(r, columns, LENGTH(columns));
    for (size_t i = 0, n = 0; i < r->p->n_rows && n < most; i++) {
        const uint32_t number = r->order[i];
        const ct_profile_row *row = &r->p->rows[number];
        if (!ct_is_pair(r, number)) continue;
        ct_text_add(&g.cells, "%s#%u", row->op, row->record);
        ct_grid_next(&g);
        fixed(&g, (double)row->ns / 1000, 2);
        fixed(&g, (double)r->sums.backward_ns[number] / 1000, 2);
        fixed(&g, ct_ratio((double)r->sums.backward_ns[number], (double)row->ns), 2);
        n++;
    }
    return g;
}

static void write_pairs(const ct_report_of *r, ct_lines *l)
{
    ct_grid g = ct_pairs_as_grid(r, SIZE_MAX);
    title(l, "forward and backward, in all");
    ct_grid_write(&g, l);
}

/* ---- memory ------------------------------------------------------------------------------------------ */

static bool write_memory(const ct_report_of *r, const ct_profile_program *program, ct_lines *l)
{
    static const ct_column columns[] = {{"value", false, 60}, {"shape", false, 30}, {"bytes", true, 0}};
    ct_grid g = grid(r, columns, LENGTH(columns));
    uint32_t n;
    uint32_t *alive = ct_alive_at_peak(r->ctx, program, &n);
    if (!alive) return false;
    ct_lines_end(l);
    ct_text_add(&l->line, "memory of program %u: %zu bytes for a step; at the peak, record %u, %zu are alive",
                program->number, program->arena_bytes, program->peak, ct_peak_bytes(program));
    ct_lines_end(l);
    for (uint32_t i = 0; i < n && i < MOST_ALIVE; i++) {
        const ct_profile_value *v = &program->values[alive[i]];
        ct_grid_say(&g, v->name);
        ct_grid_say(&g, v->shape);
        integer(&g, (long long)v->bytes);
    }
    if (n) ct_grid_write(&g, l);
    if (n > MOST_ALIVE) {
        ct_text_add(&l->line, "and %u more", n - MOST_ALIVE);
        ct_lines_end(l);
    }
    ct_free(r->ctx, alive);
    return true;
}

/* Of those that keep values. */
static bool write_memories(const ct_report_of *r, ct_lines *l)
{
    uint32_t n = 0;
    for (size_t i = 0; i < r->p->n_programs; i++)
        if (r->p->programs[i].n_values && n++ < MOST_PROGRAMS && !write_memory(r, &r->p->programs[i], l)) return false;
    if (n <= MOST_PROGRAMS) return true;
    ct_lines_end(l);
    ct_text_add(&l->line, "and the memory of %u more programs", n - MOST_PROGRAMS);
    ct_lines_end(l);
    return true;
}

static bool write_text(const ct_report_of *r, ct_lines *l)
{
    write_heading(r, l);
    write_peaks(&r->p->peaks, l);
    write_rows(r, l);
    write_phases(r, l);
    write_pairs(r, l);
    return write_memories(r, l);
}

/* ---- CSV --------------------------------------------------------------------------------------------- */

static void csv_text(ct_text *t, const char *text)
{
    ct_text_csv(t, text);
    ct_text_put(t, ",", 1);
}

static void csv_number(ct_text *t, double value)
{
    ct_say_number(t, value, "");
    ct_text_put(t, ",", 1);
}

static void csv_row(const ct_report_of *r, const ct_profile_row *row, ct_text *t)
{
    const double roofline = ct_row_roofline(r->p, row);
    ct_text_add(t, "%u,%u,%s,", r->p->programs[row->program].number, row->record, ct_phase_name(row->phase));
    csv_text(t, row->op);
    csv_text(t, row->label);
    if (row->forward != CT_NO_ROW) ct_text_add(t, "%u", r->p->rows[row->forward].record);
    ct_text_put(t, ",", 1);
    csv_text(t, row->tensor);
    csv_text(t, row->shape);
    ct_text_add(t, "%lld,%u,", (long long)row->calls, row->launches);
    csv_number(t, ct_row_us(row, row->ns));
    csv_number(t, (double)row->least_ns / 1000);
    csv_number(t, (double)row->most_ns / 1000);
    csv_number(t, (double)row->ns / 1000);
    csv_number(t, 100 * ct_ratio((double)row->ns, (double)r->sums.ns));
    csv_number(t, row->flops);
    csv_number(t, row->bytes);
    csv_number(t, ct_row_rate(row, row->flops) / 1e9);
    csv_number(t, ct_row_rate(row, row->bytes) / 1e9);
    csv_number(t, roofline);
    ct_text_add(t, "%s,", !isfinite(roofline) ? "" : ct_profile_compute_bound(r->p, row) ? "compute" : "memory");
    csv_number(t, ct_row_us(row, row->gap_ns));
    ct_say_number(t, ct_row_us(row, row->host_ns), "");
}

static bool write_csv(const ct_report_of *r, ct_lines *l)
{
    ct_text_add(&l->line, "program,record,phase,op,label,forward_record,tensor,shape,calls,launches_per_call,time_us,"
                          "least_us,most_us,total_us,share_percent,flop,bytes,gflop_per_s,gb_per_s,roofline_percent,"
                          "bound_by,gap_us,host_us");
    ct_lines_end(l);
    for (size_t i = 0; i < r->p->n_rows; i++) {
        csv_row(r, &r->p->rows[r->order[i]], &l->line);
        ct_lines_end(l);
    }
    return true;
}

/* ---- the call ------------------------------------------------------------------------------------------ */

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = path ? strlen(path) : 0, m = strlen(ending);
    return n >= m && strcmp(path + n - m, ending) == 0;
}

ct_status ct_profile_table(ct_context *ctx, const char *path)
{
    ct_status status;
    ct_lines lines;
    ct_report_of r = {.ctx = ctx, .p = ct_profile_ready(ctx, "ct_profile_table", &status)};
    if (status) return status;
    status = ct_lines_open(&lines, ctx, path);
    if (status) return status;
    r.order = ct_profile_sorted(ctx, r.p);
    bool written = r.order && ct_profile_sum(ctx, r.p, &r.sums);
    if (written)
        written = (ends_in(path, ".csv") ? write_csv : ends_in(path, ".json") ? ct_write_json : write_text)(&r, &lines);
    lines.line.failed |= !written;
    ct_free(ctx, r.order);
    ct_free(ctx, r.sums.backward_ns);
    return ct_lines_close(&lines, "ct_profile_table");
}
