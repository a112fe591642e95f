/* The roofline of the page, on logarithmic scales: what the device reaches at so many FLOPs a byte, and a dot for each
 * row, its area the row's share of the time. See page.h, and roofline.c for what is measured. */
#include "profile/page.h"

#include <math.h>
#include <string.h>

#define TOP 22.0
#define BOTTOM 372.0
#define HEIGHT 412.0
#define LARGEST_RADIUS 34.0 /* of a row that takes all the time */
#define LEAST_RADIUS 3.0
#define MOST_LABELS 8 /* of dots */
#define ROOF_STEP 8.0 /* less than a label is high */
#define LETTER 6.4    /* the width of one, on a generous average */

enum { MOST_BOXES = 640 };

typedef struct chart {
    const ct_report_of *r;
    ct_lines *l;
    const uint32_t *order; /* of the rows, the longest first */
    ct_scale x, y;
    ct_box taken[MOST_BOXES]; /* by lines, labels and large dots: nothing else is written there */
    size_t n_taken;
    size_t n_dots, n_without;
} chart;

/* ---- numbers ----------------------------------------------------------------------------------------------- */

static double intensity(const ct_profile_row *row) { return row->flops / row->bytes; }
static double gflops(const ct_profile_row *row) { return ct_row_rate(row, row->flops) / 1e9; }

static bool has_dot(const ct_profile_row *row) { return row->flops > 0 && row->bytes > 0 && gflops(row) > 0; }

static bool has_f64(const ct_profile *p)
{
    for (size_t i = 0; i < p->n_rows; i++)
        if (p->rows[i].dtype == CT_F64 && has_dot(&p->rows[i])) return true;
    return false;
}

static double peak_gflops(const chart *c)
{
    const double f32 = c->r->p->peaks.flops[0], f64 = has_f64(c->r->p) ? c->r->p->peaks.flops[1] : 0;
    return fmax(f32, f64) / 1e9;
}

/* GB/s of the largest copy, and of the fastest. */
static double memory_rate(const ct_peaks *p) { return p->n_sizes ? p->bandwidth[p->n_sizes - 1] / 1e9 : 0; }
static double cache_rate(const ct_peaks *p) { return ct_peak_bandwidth(p, 0) / 1e9; }

static void include(ct_scale *s, double number)
{
    if (!(number > 0) || !isfinite(number)) return;
    if (!(s->from <= number)) s->from = number;
    if (!(s->to >= number)) s->to = number;
}

/* Whole decades, with room above the highest. */
static void widen(ct_scale *s)
{
    s->from = pow(10, floor(log10(s->from) - 0.05));
    s->to = pow(10, ceil(log10(s->to) + 0.15));
}

/* False: there is nothing to show. */
static bool choose_scales(chart *c)
{
    const ct_profile *p = c->r->p;
    c->x = (ct_scale){NAN, NAN, CT_PAGE_LEFT, CT_PAGE_RIGHT, true};
    c->y = (ct_scale){NAN, NAN, BOTTOM, TOP, true};
    for (size_t i = 0; i < p->n_rows; i++) {
        if (!has_dot(&p->rows[i])) continue;
        include(&c->x, intensity(&p->rows[i]));
        include(&c->y, gflops(&p->rows[i]));
    }
    if (!isfinite(c->x.from)) return false;
    const double peak = peak_gflops(c);
    include(&c->y, peak);
    include(&c->x, ct_ratio(peak, memory_rate(&p->peaks)));
    include(&c->x, ct_ratio(peak, cache_rate(&p->peaks)));
    widen(&c->x);
    widen(&c->y);
    return true;
}

/* ---- what is taken ------------------------------------------------------------------------------------------ */

static bool is_free(const chart *c, ct_box b)
{
    if (b.x < CT_PAGE_LEFT + 2 || b.x + b.width > CT_PAGE_RIGHT - 2 || b.y < TOP + 2 || b.y + b.height > BOTTOM - 2)
        return false;
    for (size_t i = 0; i < c->n_taken; i++) {
        const ct_box o = c->taken[i];
        if (b.x < o.x + o.width && o.x < b.x + b.width && b.y < o.y + o.height && o.y < b.y + b.height) return false;
    }
    return true;
}

static void take(chart *c, ct_box b)
{
    if (c->n_taken < MOST_BOXES) c->taken[c->n_taken++] = b;
}

static void draw_roof(chart *c, double x1, double y1, double x2, double y2)
{
    ct_svg_line(c->l, "roof", x1, y1, x2, y2);
    const int boxes = (int)(hypot(x2 - x1, y2 - y1) / ROOF_STEP);
    for (int i = 0; i <= boxes; i++) {
        const double part = (double)i / fmax(boxes, 1);
        take(c, (ct_box){x1 + part * (x2 - x1) - 2, y1 + part * (y2 - y1) - 2, 4, 4});
    }
}

/* ---- axes --------------------------------------------------------------------------------------------------- */

static void draw_decades(const chart *c)
{
    for (double at = c->x.from; at < c->x.to * 1.5; at *= 10) {
        const double x = ct_scale_at(&c->x, at);
        ct_svg_line(c->l, "grid", x, TOP, x, BOTTOM);
        ct_svg_open_text(c->l, "axis", x > CT_PAGE_RIGHT - 24 ? "end" : "middle", x, BOTTOM + 20);
        ct_say_number(&c->l->line, at, "");
        ct_svg_close_text(c->l);
    }
    for (double at = c->y.from; at < c->y.to * 1.5; at *= 10) {
        const double y = ct_scale_at(&c->y, at);
        ct_svg_line(c->l, "grid", CT_PAGE_LEFT, y, CT_PAGE_RIGHT, y);
        ct_svg_open_text(c->l, "axis", "end", CT_PAGE_LEFT - 8, y + 4);
        ct_say_number(&c->l->line, at, "");
        ct_svg_close_text(c->l);
    }
    ct_svg_text(c->l, "axis", "middle", (CT_PAGE_LEFT + CT_PAGE_RIGHT) / 2, BOTTOM + 36, "FLOP / byte");
    ct_svg_text(c->l, "axis", "start", 4, TOP - 10, "GFLOP/s");
}

/* ---- roofs -------------------------------------------------------------------------------------------------- */

/* The peak of an element type, from where the fastest memory reaches it. */
static void draw_peak(chart *c, double peak, const char *dtype)
{
    if (!(peak > 0)) return;
    const double y = ct_scale_at(&c->y, peak), ridge = ct_ratio(peak, cache_rate(&c->r->p->peaks));
    const double x = ridge > c->x.from ? ct_scale_at(&c->x, ridge) : CT_PAGE_LEFT;
    draw_roof(c, x, y, CT_PAGE_RIGHT, y);
    ct_text text = {.ctx = c->r->ctx};
    ct_say_fixed(&text, peak, peak < 99.95 ? 1 : 0);
    ct_text_add(&text, " GFLOP/s %s", dtype);
    const ct_box box = {CT_PAGE_RIGHT - (double)text.n * LETTER - 8, y - 16, (double)text.n * LETTER + 4, 13};
    if (!text.failed && is_free(c, box)) {
        ct_svg_text(c->l, "roof-label", "end", CT_PAGE_RIGHT - 6, y - 5, text.bytes);
        take(c, box);
    }
    c->l->line.failed |= text.failed;
    ct_text_free(&text);
}

/* The place of a text that is turned, in boxes of two letters. */
static void take_slope(chart *c, double x, double y, double angle, double rise, size_t letters)
{
    const double middle = rise + 4, width = 2 * (fabs(cos(angle)) * LETTER + fabs(sin(angle)) * 8),
                 height = 2 * (fabs(sin(angle)) * LETTER + fabs(cos(angle)) * 8);
    for (size_t i = 0; i < letters; i += 2) {
        const double along = (double)(i + 1) * LETTER;
        const double at_x = x + cos(angle) * along + sin(angle) * middle,
                     at_y = y + sin(angle) * along - cos(angle) * middle;
        take(c, (ct_box){at_x - width / 2, at_y - height / 2, width, height});
    }
}

/* Along the line from (x,y), `rise` beside it. */
static void label_slope(chart *c, double x, double y, double angle, double rise, const ct_text *text)
{
    ct_text *t = &c->l->line;
    ct_text_add(t, "<text class=\"roof-label\" transform=\"translate(");
    ct_say_fixed(t, x + sin(angle) * rise, 2);
    ct_text_put(t, " ", 1);
    ct_say_fixed(t, y - cos(angle) * rise, 2);
    ct_text_add(t, ") rotate(");
    ct_say_fixed(t, angle * 180 / 3.14159265358979, 2);
    ct_text_add(t, ")\">%s", text->failed ? "" : text->bytes);
    ct_svg_close_text(c->l);
    take_slope(c, x, y, angle, rise, text->n);
}

/* What memory allows: so many GB/s times FLOP / byte, up to the peak. */
static void draw_slope(chart *c, double rate, const char *name, double rise)
{
    if (!(rate > 0)) return;
    const double peak = peak_gflops(c), top = peak > 0 ? peak : c->y.to;
    const double from = fmax(c->x.from, c->y.from / rate), to = fmin(c->x.to, top / rate);
    if (!(to > from)) return;
    const double x1 = ct_scale_at(&c->x, from), y1 = ct_scale_at(&c->y, from * rate);
    const double x2 = ct_scale_at(&c->x, to), y2 = ct_scale_at(&c->y, to * rate);
    draw_roof(c, x1, y1, x2, y2);
    ct_text text = {.ctx = c->r->ctx};
    ct_text_add(&text, "%s ", name);
    ct_say_fixed(&text, rate, rate < 99.95 ? 1 : 0);
    ct_text_add(&text, " GB/s");
    const double angle = atan2(y2 - y1, x2 - x1);
    if (hypot(x2 - x1, y2 - y1) > (double)text.n * LETTER + 40)
        label_slope(c, x1 + 24 * cos(angle), y1 + 24 * sin(angle), angle, rise, &text);
    c->l->line.failed |= text.failed;
    ct_text_free(&text);
}

static void draw_roofs(chart *c)
{
    const ct_peaks *p = &c->r->p->peaks;
    const double memory = memory_rate(p), cache = cache_rate(p);
    if (cache > memory) draw_slope(c, cache, "cache", 6);
    draw_slope(c, memory, "memory", -14);
    draw_peak(c, p->flops[0] / 1e9, "f32");
    if (has_f64(c->r->p)) draw_peak(c, p->flops[1] / 1e9, "f64");
}

/* ---- dots ---------------------------------------------------------------------------------------------------- */

static ct_box around(const chart *c, const ct_profile_row *row)
{
    const double share = ct_ratio((double)row->ns, (double)c->r->sums.ns);
    const double radius = fmax(LEAST_RADIUS, LARGEST_RADIUS * sqrt(share));
    const double x = ct_scale_at(&c->x, intensity(row)), y = ct_scale_at(&c->y, gflops(row));
    return (ct_box){x - radius, y - radius, 2 * radius, 2 * radius};
}

static void draw_dot(chart *c, const ct_profile_row *row)
{
    const ct_box box = around(c, row);
    ct_text *t = &c->l->line;
    ct_text_add(t, "<circle class=\"dot %s\"", ct_phase_name(row->phase));
    ct_svg_number(t, "cx", box.x + box.width / 2);
    ct_svg_number(t, "cy", box.y + box.height / 2);
    ct_svg_number(t, "r", box.width / 2);
    ct_text_add(t, "><title>");
    ct_page_say_row(t, c->r, row, row->ns / row->calls);
    ct_text_put(t, "\n", 1);
    ct_say_prefixed(t, intensity(row));
    ct_text_add(t, " FLOP/byte, ");
    ct_say_prefixed(t, gflops(row));
    ct_text_add(t, " GFLOP/s");
    ct_page_line(c->l, "</title></circle>");
    c->n_dots++;
}

/* Beside the dot, over or under it: where there is room. */
static void label_dot(chart *c, const ct_profile_row *row)
{
    ct_text text = {.ctx = c->r->ctx};
    ct_text_add(&text, "%s#%u", row->op, row->record);
    c->l->line.failed |= text.failed;
    const ct_box dot = around(c, row);
    const double width = (double)text.n * LETTER, middle = dot.x + dot.width / 2;
    const ct_box places[] = {{dot.x + dot.width + 3, dot.y + dot.height / 2 - 7, width, 14},
                             {dot.x - 3 - width, dot.y + dot.height / 2 - 7, width, 14},
                             {middle - width / 2, dot.y - 16, width, 14},
                             {middle - width / 2, dot.y + dot.height + 2, width, 14}};
    static const char *const anchors[] = {"start", "end", "middle", "middle"};
    for (int i = 0; i < 4 && !text.failed; i++) {
        if (!is_free(c, places[i])) continue;
        const double x = places[i].x + (i == 0 ? 0 : i == 1 ? width : width / 2);
        ct_svg_text(c->l, "dot-label", anchors[i], x, places[i].y + 11, text.bytes);
        take(c, places[i]);
        break;
    }
    ct_text_free(&text);
}

static void draw_dots(chart *c)
{
    const ct_profile *p = c->r->p;
    for (size_t i = 0; i < p->n_rows; i++) {
        const ct_profile_row *row = &p->rows[c->order[i]];
        if (!has_dot(row))
            c->n_without++;
        else if (c->n_dots < CT_PAGE_MOST)
            draw_dot(c, row);
    }
    int labels = 0;
    for (size_t i = 0; i < p->n_rows && c->n_taken < MOST_BOXES / 2; i++)
        if (has_dot(&p->rows[c->order[i]])) take(c, around(c, &p->rows[c->order[i]]));
    for (size_t i = 0; i < p->n_rows && labels < MOST_LABELS; i++)
        if (has_dot(&p->rows[c->order[i]])) label_dot(c, &p->rows[c->order[i]]), labels++;
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

static void draw(chart *c)
{
    ct_page_line(c->l, "<div class=\"plot\">");
    ct_svg_begin(c->l, "roofline", HEIGHT);
    draw_decades(c);
    draw_roofs(c);
    draw_dots(c);
    ct_svg_end(c->l);
    ct_page_line(c->l, "</div>");
    const size_t shown = c->n_dots + c->n_without;
    ct_page_left_out(c->l, "rows, without FLOPs or a time that could be measured", c->n_without);
    ct_page_left_out(c->l, "rows", c->r->p->n_rows - shown);
}

bool ct_page_roofline(const ct_report_of *r, ct_lines *l)
{
    ct_profile by_time = *r->p;
    by_time.order = CT_PROFILE_BY_TIME;
    uint32_t *order = ct_profile_sorted(r->ctx, &by_time);
    if (!order) return false;
    chart c = {.r = r, .l = l, .order = order};
    ct_page_line(l, "<section id=\"roofline\"><h2>Roofline</h2>");
    ct_page_line(l, "<p class=\"note\">A dot for each row, its area the row's share of the time. Under a slope memory "
                    "bounds it, under a level arithmetic; both were measured on this device.</p>");
    if (choose_scales(&c))
        draw(&c);
    else
        ct_page_line(l, "<p class=\"none\">No row has FLOPs and a time that could be measured.</p>");
    ct_page_line(l, "</section>");
    ct_free(r->ctx, order);
    return true;
}
