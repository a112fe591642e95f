/* What the drawings of the page share: scales, shapes, text. See page.h. */
#include "profile/page.h"

#include <math.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------------- */

void ct_page_line(ct_lines *l, const char *html)
{
    ct_text_put(&l->line, html, strlen(html));
    ct_lines_end(l);
}

void ct_page_left_out(ct_lines *l, const char *what, size_t n)
{
    if (!n) return;
    ct_text_add(&l->line, "<p class=\"note left-out\">Not shown: %zu of the %s.</p>", n, what);
    ct_lines_end(l);
}

void ct_page_say_ns(ct_text *t, double ns)
{
    static const struct {
        double ns;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {0, "us"}};
    int i = 0;
    while (ns < units[i].ns) i++;
    const double value = ns / (units[i].ns > 0 ? units[i].ns : 1e3);
    ct_say_fixed(t, value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
    ct_text_add(t, " %s", units[i].name);
}

void ct_page_say_row(ct_text *t, const ct_report_of *r, const ct_profile_row *row, int64_t ns)
{
    ct_text_html(t, row->label);
    ct_text_put(t, "\n", 1);
    ct_text_html(t, row->tensor);
    ct_text_put(t, "  ", 2);
    ct_text_html(t, row->shape);
    ct_text_put(t, "\n", 1);
    ct_page_say_ns(t, (double)ns);
    ct_text_add(t, "; ");
    ct_say_fixed(t, 100 * ct_ratio((double)row->ns, (double)r->sums.ns), 1);
    ct_text_add(t, " %% of all time\n");
    const double roofline = ct_row_roofline(r->p, row);
    ct_say_fixed(t, roofline, 1);
    ct_text_add(t, " %% of the roofline");
    if (isfinite(roofline))
        ct_text_add(t, ", bound by %s", ct_profile_compute_bound(r->p, row) ? "arithmetic" : "memory");
}

/* ---- scales ------------------------------------------------------------------------------------------- */

double ct_scale_at(const ct_scale *s, double number)
{
    const double share = s->log ? log(number / s->from) / log(s->to / s->from) : (number - s->from) / (s->to - s->from);
    return s->begin + share * (s->end - s->begin);
}

double ct_round_step(double range, int n)
{
    const double least = range / n, power = pow(10, floor(log10(least)));
    const double steps[] = {1, 2, 5};
    for (int i = 0; i < 3; i++)
        if (steps[i] * power >= least) return steps[i] * power;
    return 10 * power;
}

int ct_step_decimals(double step) { return step >= 1 ? 0 : (int)-floor(log10(step) + 1e-9); }

/* ---- shapes ------------------------------------------------------------------------------------------- */

void ct_svg_begin(ct_lines *l, const char *label, double height)
{
    ct_text_add(&l->line, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", (int)CT_PAGE_WIDTH, (int)height,
                label);
    ct_lines_end(l);
}

void ct_svg_end(ct_lines *l) { ct_page_line(l, "</svg>"); }

void ct_svg_number(ct_text *t, const char *name, double value)
{
    ct_text_add(t, " %s=\"", name);
    ct_say_fixed(t, value, 2);
    ct_text_put(t, "\"", 1);
}

static void put_box(ct_text *t, ct_box box)
{
    ct_svg_number(t, "x", box.x);
    ct_svg_number(t, "y", box.y);
    ct_svg_number(t, "width", box.width);
    ct_svg_number(t, "height", box.height);
}

void ct_svg_open_rect(ct_lines *l, const char *class, const char *more, ct_box box)
{
    const bool is_thin = box.width < 3 || box.height < 3; /* an outline would be all that is seen of it */
    ct_text_add(&l->line, "<rect class=\"%s %s%s\"", class, more, is_thin ? " thin" : "");
    put_box(&l->line, box);
    ct_text_add(&l->line, "><title>");
}

void ct_svg_close_rect(ct_lines *l) { ct_page_line(l, "</title></rect>"); }

void ct_svg_line(ct_lines *l, const char *class, double x1, double y1, double x2, double y2)
{
    ct_text_add(&l->line, "<line class=\"%s\"", class);
    ct_svg_number(&l->line, "x1", x1);
    ct_svg_number(&l->line, "y1", y1);
    ct_svg_number(&l->line, "x2", x2);
    ct_svg_number(&l->line, "y2", y2);
    ct_page_line(l, "/>");
}

void ct_svg_open_text(ct_lines *l, const char *class, const char *anchor, double x, double y)
{
    ct_text_add(&l->line, "<text class=\"%s\" text-anchor=\"%s\"", class, anchor);
    ct_svg_number(&l->line, "x", x);
    ct_svg_number(&l->line, "y", y);
    ct_text_put(&l->line, ">", 1);
}

void ct_svg_close_text(ct_lines *l) { ct_page_line(l, "</text>"); }

void ct_svg_text(ct_lines *l, const char *class, const char *anchor, double x, double y, const char *text)
{
    ct_svg_open_text(l, class, anchor, x, y);
    ct_text_html(&l->line, text);
    ct_svg_close_text(l);
}

#define LABEL_HEIGHT 13.0
#define LABEL_LETTER 6.4 /* the width of one, on a generous average, at the size that page.css has for .label */
#define LABEL_RISE 3.8   /* of the middle of its letters over their base                                  */

bool ct_svg_label(ct_lines *l, ct_box box, const char *text)
{
    const double letters = (double)strlen(text);
    if (box.height < LABEL_HEIGHT || box.width < letters * LABEL_LETTER + 6) return false;
    ct_svg_text(l, "label", "middle", box.x + box.width / 2, box.y + box.height / 2 + LABEL_RISE, text);
    return true;
}
