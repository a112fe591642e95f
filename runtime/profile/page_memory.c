/* The memory of the page: for each program where its values lie in step memory, and from when to when; the bytes that
 * are alive; and what is, at the peak. See page.h. */
#include "profile/page.h"

#include <string.h>

#define MOST_PROGRAMS ((size_t)8)
#define MOST_VALUES 20000u
#define MOST_POINTS 2000u /* of the line */
#define TOP 20.0
#define LAYOUT_BOTTOM 250.0
#define ALIVE_TOP 300.0
#define ALIVE_BOTTOM 380.0
#define HEIGHT 420.0
#define LEAST_HEIGHT 1.0

typedef struct chart {
    const ct_report_of *r;
    const ct_profile_program *g;
    ct_lines *l;
    ct_scale x, offset, alive;
} chart;

/* ---- scales and axes --------------------------------------------------------------------------------------- */

static void choose_scales(chart *c)
{
    const ct_profile_program *g = c->g;
    size_t from = SIZE_MAX, to = 0;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const ct_profile_value *v = &g->values[i];
        if (v->offset < from) from = v->offset;
        if (v->offset + v->bytes > to) to = v->offset + v->bytes;
    }
    const double first = g->first_record;
    c->x = (ct_scale){first, first + g->n_records, CT_PAGE_LEFT, CT_PAGE_RIGHT, false};
    c->offset = (ct_scale){(double)from, (double)(to > from ? to : from + 1), LAYOUT_BOTTOM, TOP, false};
    const size_t peak = ct_peak_bytes(g);
    c->alive = (ct_scale){0, peak ? (double)peak : 1, ALIVE_BOTTOM, ALIVE_TOP, false};
}

static void draw_bytes(const chart *c, const ct_scale *s, int most)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB"};
    int prefix = 0;
    double unit = 1;
    for (; s->to >= 1000 * unit && prefix < 4; unit *= 1000) prefix++;
    const double step = ct_round_step((s->to - s->from) / unit, most);
    double at = 0;
    while (at * unit < s->from) at += step;
    for (; at * unit <= s->to; at += step) {
        const double y = ct_scale_at(s, at * unit);
        ct_svg_line(c->l, "grid", CT_PAGE_LEFT, y, CT_PAGE_RIGHT, y);
        ct_svg_open_text(c->l, "axis", "end", CT_PAGE_LEFT - 8, y + 4);
        ct_say_fixed(&c->l->line, at, ct_step_decimals(step));
        ct_text_add(&c->l->line, " %s", names[prefix]);
        ct_svg_close_text(c->l);
    }
}

static void draw_axes(const chart *c)
{
    draw_bytes(c, &c->offset, 6);
    draw_bytes(c, &c->alive, 2);
    ct_svg_text(c->l, "axis", "start", 4, TOP - 8, "offset");
    ct_svg_text(c->l, "axis", "start", 4, ALIVE_TOP - 16, "alive");
    double step = ct_round_step(c->g->n_records, 16);
    if (step < 1) step = 1;
    for (double k = 0; k < c->g->n_records; k += step) {
        const double number = c->g->first_record + k, x = ct_scale_at(&c->x, number + 0.5);
        ct_svg_open_text(c->l, "axis", "middle", x, ALIVE_BOTTOM + 16);
        ct_say_fixed(&c->l->line, number, 0);
        ct_svg_close_text(c->l);
    }
    ct_svg_text(c->l, "axis", "middle", (CT_PAGE_LEFT + CT_PAGE_RIGHT) / 2, ALIVE_BOTTOM + 34, "record");
}

/* ---- values -------------------------------------------------------------------------------------------------- */

/* The phase of the launch that makes it: of the last row that does not stand behind it. */
static const char *class_of(const chart *c, const ct_profile_value *v)
{
    if (!*v->shape) return "scratch";
    const ct_profile_row *rows = &c->r->p->rows[c->g->first_row];
    uint32_t first = 0, end = c->g->n_rows;
    while (end - first > 1) {
        const uint32_t middle = first + (end - first) / 2;
        if (rows[middle].record <= v->first)
            first = middle;
        else
            end = middle;
    }
    return end ? ct_phase_name(rows[first].phase) : "scratch";
}

static void draw_value(const chart *c, const ct_profile_value *v)
{
    const bool kept = v->last == CT_NEVER;
    const double x = ct_scale_at(&c->x, v->first), end = kept ? c->x.end : ct_scale_at(&c->x, (double)v->last + 1);
    const double bottom = ct_scale_at(&c->offset, (double)v->offset);
    const double height = bottom - ct_scale_at(&c->offset, (double)(v->offset + v->bytes));
    const double high = height > LEAST_HEIGHT ? height : LEAST_HEIGHT;
    const ct_box box = {x, bottom - high, end - x, high};
    ct_text *t = &c->l->line;
    ct_svg_open_rect(c->l, "value", class_of(c, v), box);
    ct_text_html(t, v->name);
    ct_text_put(t, "\n", 1);
    ct_text_html(t, v->shape);
    ct_text_add(t, "%s%zu bytes at %zu\n", *v->shape ? ", " : "", v->bytes, v->offset);
    if (kept)
        ct_text_add(t, "from record %u until the step ends", v->first);
    else
        ct_text_add(t, "records %u to %u", v->first, v->last);
    ct_svg_close_rect(c->l);
    (void)ct_svg_label(c->l, box, v->name);
}

/* ---- bytes alive --------------------------------------------------------------------------------------------- */

/* A level for each record; of many, for each group of them the most. */
static void draw_alive(const chart *c)
{
    const uint32_t n = c->g->n_records, group = (n + MOST_POINTS - 1) / MOST_POINTS;
    ct_text *t = &c->l->line;
    ct_text_add(t, "<path class=\"alive\" d=\"M%d %d", (int)CT_PAGE_LEFT, (int)ALIVE_BOTTOM);
    for (uint32_t k = 0; k < n; k += group) {
        const uint32_t end = n - k > group ? k + group : n;
        size_t most = 0;
        for (uint32_t i = k; i < end; i++)
            if (c->g->alive[i] > most) most = c->g->alive[i];
        ct_text_put(t, "V", 1);
        ct_say_fixed(t, ct_scale_at(&c->alive, (double)most), 2);
        ct_text_put(t, "H", 1);
        ct_say_fixed(t, ct_scale_at(&c->x, c->x.from + end), 2);
    }
    ct_text_add(t, "V%d", (int)ALIVE_BOTTOM);
    ct_page_line(c->l, "\"/>");
}

static void draw_peak(const chart *c)
{
    ct_text *t = &c->l->line;
    const double x = ct_scale_at(&c->x, c->g->peak + 0.5);
    const bool left = x < (CT_PAGE_LEFT + CT_PAGE_RIGHT) / 2;
    ct_svg_line(c->l, "peak", x, TOP, x, ALIVE_BOTTOM);
    ct_text_add(t, "<circle class=\"peak\" r=\"3.5\"");
    ct_svg_number(t, "cx", x);
    ct_svg_number(t, "cy", ALIVE_TOP);
    ct_page_line(c->l, "/>");
    ct_svg_open_text(c->l, "peak-label", left ? "start" : "end", x + (left ? 8 : -8), ALIVE_TOP - 10);
    ct_text_add(t, "peak: ");
    ct_say_prefixed(t, (double)ct_peak_bytes(c->g));
    ct_text_add(t, " bytes, record %u", c->g->peak);
    ct_svg_close_text(c->l);
}

/* ---- what is alive at the peak --------------------------------------------------------------------------------- */

static bool write_alive(const chart *c)
{
    static const ct_column columns[] = {{"value", false, 60}, {"shape", false, 30}, {"bytes", true, 0}, {"%", true, 0}};
    ct_grid g = {.columns = columns, .n_columns = sizeof columns / sizeof *columns, .cells = {.ctx = c->r->ctx}};
    const double peak = (double)ct_peak_bytes(c->g);
    uint32_t n;
    uint32_t *alive = ct_alive_at_peak(c->r->ctx, c->g, &n);
    if (!alive) return false;
    for (uint32_t i = 0; i < n && i < CT_PAGE_MOST; i++) {
        const ct_profile_value *v = &c->g->values[alive[i]];
        ct_grid_say(&g, v->name);
        ct_grid_say(&g, v->shape);
        ct_text_add(&g.cells, "%zu", v->bytes);
        ct_grid_next(&g);
        ct_say_fixed(&g.cells, 100 * ct_ratio((double)v->bytes, peak), 1);
        ct_grid_next(&g);
    }
    ct_text_add(&c->l->line, "<h3>Alive at the peak, record %u</h3>", c->g->peak);
    ct_lines_end(c->l);
    ct_page_grid(&g, c->r, NULL, c->l);
    ct_page_left_out(c->l, "values", n > CT_PAGE_MOST ? n - CT_PAGE_MOST : 0);
    ct_free(c->r->ctx, alive);
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static void draw(const chart *c)
{
    ct_page_line(c->l, "<div class=\"plot\">");
    ct_svg_begin(c->l, "layout of step memory", HEIGHT);
    draw_axes(c);
    for (uint32_t i = 0; i < c->g->n_values && i < MOST_VALUES; i++) draw_value(c, &c->g->values[i]);
    draw_alive(c);
    draw_peak(c);
    ct_svg_end(c->l);
    ct_page_line(c->l, "</div>");
    ct_page_left_out(c->l, "values", c->g->n_values > MOST_VALUES ? c->g->n_values - MOST_VALUES : 0);
}

static bool write_program(const ct_report_of *r, const ct_profile_program *g, ct_lines *l)
{
    chart c = {.r = r, .g = g, .l = l};
    ct_text_add(&l->line, "<section class=\"memory\"><h2>Memory of program %u</h2>", g->number);
    ct_lines_end(l);
    if (!g->n_values) {
        ct_page_line(l, "<p class=\"none\">It keeps no values in step memory.</p></section>");
        return true;
    }
    ct_text_add(&l->line, "<p class=\"note\">%u values share ", g->n_values);
    ct_say_prefixed(&l->line, (double)g->arena_bytes);
    ct_page_line(l, " bytes of step memory. A rectangle for each, from the record that makes it to the last that reads "
                    "it, in the colour of the phase that makes it.</p>");
    choose_scales(&c);
    draw(&c);
    const bool whole = write_alive(&c);
    ct_page_line(l, "</section>");
    return whole;
}

bool ct_page_memory(const ct_report_of *r, ct_lines *l)
{
    const size_t n = r->p->n_programs;
    for (size_t i = 0; i < n && i < MOST_PROGRAMS; i++)
        if (!write_program(r, &r->p->programs[i], l)) return false;
    ct_page_left_out(l, "programs", n > MOST_PROGRAMS ? n - MOST_PROGRAMS : 0);
    return true;
}
