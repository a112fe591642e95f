/* The page of a profile (ct_profile_page): page.c has the whole and its heading, a file beside it each section, and
 * page_draw.c what their drawings share.
 *
 * A drawing is an SVG that is CT_PAGE_WIDTH units wide, whatever the width of the window. Numbers are written with a
 * point in every locale, names escaped. Every function writes whole lines.
 */
#ifndef CUTAPE_PROFILE_PAGE_H
#define CUTAPE_PROFILE_PAGE_H

#include "profile/table.h"

#define CT_PAGE_WIDTH 960.0
#define CT_PAGE_LEFT 72.0   /* of a plot: what stands before it is for names and numbers */
#define CT_PAGE_RIGHT 948.0 /* of a plot                                                 */
#define CT_PAGE_MOST 2000   /* rows, dots and the like; the page tells how many it leaves out */

/* ---- sections: page_*.c; false: host memory is out -------------------------------------------------- */

bool ct_page_timeline(const ct_report_of *, ct_lines *);
bool ct_page_roofline(const ct_report_of *, ct_lines *);
void ct_page_tables(const ct_report_of *, ct_lines *);
bool ct_page_memory(const ct_report_of *, ct_lines *);

/* A table; row i of it is about the profile's row order[i] if there is an order. The grid is empty then. */
void ct_page_grid(ct_grid *, const ct_report_of *, const uint32_t *order, ct_lines *);

/* ---- text ------------------------------------------------------------------------------------------- */

void ct_page_line(ct_lines *, const char *html);
/* A note that so many of the "rows" are not shown; nothing if none is missing. */
void ct_page_left_out(ct_lines *, const char *what, size_t n);
/* For people: "12.3 us", "4.56 ms". */
void ct_page_say_ns(ct_text *, double ns);
/* What a row is, in the lines of a tooltip, after `ns` of one launch or call. */
void ct_page_say_row(ct_text *, const ct_report_of *, const ct_profile_row *, int64_t ns);

/* ---- drawing ---------------------------------------------------------------------------------------- */

/* Where a number lies, from one place to another; on a scale of logarithms both numbers are positive. */
typedef struct ct_scale {
    double from, to;   /* numbers */
    double begin, end; /* places  */
    bool log;
} ct_scale;
double ct_scale_at(const ct_scale *, double number);
/* 1, 2 or 5 times a power of ten, so that at most n steps fit in a range. */
double ct_round_step(double range, int n);
/* The digits after the point that multiples of a round step need. */
int ct_step_decimals(double step);

typedef struct ct_box {
    double x, y, width, height;
} ct_box;

void ct_svg_begin(ct_lines *, const char *label, double height);
void ct_svg_end(ct_lines *);
/* ` name="12.34"`, into the line. */
void ct_svg_number(ct_text *, const char *name, double value);
/* Opens a rectangle and its tooltip, which is then the line's end; ct_svg_close_rect ends both. */
void ct_svg_open_rect(ct_lines *, const char *class, const char *more, ct_box);
void ct_svg_close_rect(ct_lines *);
void ct_svg_line(ct_lines *, const char *class, double x1, double y1, double x2, double y2);
/* The anchor is "start", "middle" or "end". */
void ct_svg_open_text(ct_lines *, const char *class, const char *anchor, double x, double y);
void ct_svg_close_text(ct_lines *);
void ct_svg_text(ct_lines *, const char *class, const char *anchor, double x, double y, const char *text);
/* The text in a rectangle, if it is sure to fit there; false: it does not. */
bool ct_svg_label(ct_lines *, ct_box, const char *text);

#endif
