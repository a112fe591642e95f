/* The timeline of the page: one step, a track for the host, each phase and copies, a rectangle for each launch, and a
 * curve from a record to those of its gradient. See page.h. */
#include "profile/page.h"

#include <string.h>

#define MOST_LAUNCHES ((size_t)10000)
#define MANY 200u /* launches: curves are fainter, as they lie on one another */
#define NO_SPAN UINT32_MAX
#define LANE 26.0 /* the height of one; the host has two: what it does, and what it does within that */
#define TOP 4.0
#define LEAST_WIDTH 0.6

/* In the order in which they are shown. There is room for the curves between the tracks that they join. */
static const struct {
    const char *name;
    double lane, lanes;
} tracks[CT_TRACKS] = {
    [CT_TRACK_HOST] = {"host", 0, 2},         [CT_PHASE_FORWARD] = {"forward", 2, 1},
    [CT_PHASE_BACKWARD] = {"backward", 4, 1}, [CT_PHASE_UPDATE] = {"update", 5, 1},
    [CT_PHASE_DATA] = {"data", 6, 1},         [CT_TRACK_COPIES] = {"copies", 7, 1},
};
#define LANES 8

typedef struct timeline {
    const ct_report_of *r;
    const ct_profile *p;
    ct_lines *l;
    uint32_t step;
    uint32_t first, end; /* spans between which its launches stand */
    size_t n_launches, left_out;
    ct_scale x;
    uint32_t *span_of; /* of a row, the last in this step; NO_SPAN: none */
} timeline;

/* ---- what is shown -------------------------------------------------------------------------------------- */

static bool is_launch(const ct_profile_span *s) { return s->row != CT_NO_ROW; }

/* The last step that ended, with all its launches; if none did, the first. */
static uint32_t last_whole_step(const ct_profile *p)
{
    uint32_t last = 0;
    for (size_t i = 0; i < p->n_spans; i++)
        if (is_launch(&p->spans[i]) && p->spans[i].step < p->steps) last = p->spans[i].step;
    return p->spans_left_out && last ? last - 1 : last; /* of the last one some may be missing */
}

static void choose_launches(timeline *t)
{
    t->step = last_whole_step(t->p);
    for (uint32_t i = 0; i < t->p->n_spans; i++) {
        if (!is_launch(&t->p->spans[i]) || t->p->spans[i].step != t->step) continue;
        if (t->n_launches == MOST_LAUNCHES) {
            t->left_out++;
            continue;
        }
        if (!t->n_launches++) t->first = i;
        t->end = i + 1;
    }
}

/* From the first launch to the last, and what the host did for the step around them if that leaves them visible. */
static void choose_times(timeline *t)
{
    const int64_t first = t->p->spans[t->first].begin, last = t->p->spans[t->end - 1].end;
    int64_t begin = first, end = last > first ? last : first + 1;
    for (size_t i = 0; i < t->p->n_spans && !t->left_out; i++) {
        const ct_profile_span *s = &t->p->spans[i];
        if (s->track != CT_TRACK_HOST || strcmp(s->what, "step") != 0) continue;
        if (s->begin <= first && s->end >= last && s->end - s->begin < 3 * (end - begin))
            begin = s->begin, end = s->end;
    }
    t->x = (ct_scale){(double)begin, (double)end, CT_PAGE_LEFT, CT_PAGE_RIGHT, false};
}

/* ---- rectangles ------------------------------------------------------------------------------------------- */

static ct_box box_of(const timeline *t, const ct_profile_span *s, double lane)
{
    double begin = ct_scale_at(&t->x, (double)s->begin), end = ct_scale_at(&t->x, (double)s->end);
    if (begin < t->x.begin) begin = t->x.begin;
    if (end > t->x.end) end = t->x.end;
    const double width = end - begin > LEAST_WIDTH ? end - begin : LEAST_WIDTH;
    return (ct_box){begin, TOP + lane * LANE + 3, width, LANE - 6};
}

static bool is_shown(const timeline *t, const ct_profile_span *s)
{
    return is_launch(s) ? s->step == t->step : (double)s->end > t->x.from && (double)s->begin < t->x.to;
}

static void draw_launch(const timeline *t, const ct_profile_span *s)
{
    const ct_profile_row *row = &t->p->rows[s->row];
    const ct_box box = box_of(t, s, tracks[s->track].lane);
    ct_svg_open_rect(t->l, "launch", tracks[s->track].name, box);
    ct_page_say_row(&t->l->line, t->r, row, s->end - s->begin);
    ct_svg_close_rect(t->l);
    if (!ct_svg_label(t->l, box, row->label)) (void)ct_svg_label(t->l, box, row->op);
}

static void draw_launches(const timeline *t)
{
    for (uint32_t i = t->first; i < t->end; i++)
        if (is_launch(&t->p->spans[i]) && is_shown(t, &t->p->spans[i])) draw_launch(t, &t->p->spans[i]);
}

static void draw_other(const timeline *t, const ct_profile_span *s, bool within)
{
    const ct_box box = box_of(t, s, tracks[s->track].lane + within);
    ct_svg_open_rect(t->l, "span", tracks[s->track].name, box);
    ct_text_add(&t->l->line, "%s\n", s->what);
    ct_page_say_ns(&t->l->line, (double)(s->end - s->begin));
    if (s->bytes) {
        ct_text_add(&t->l->line, "; ");
        ct_say_prefixed(&t->l->line, (double)s->bytes);
        ct_text_add(&t->l->line, " bytes");
    }
    ct_svg_close_rect(t->l);
    (void)ct_svg_label(t->l, box, s->what);
}

/* What the host does and copies. They were noted as they ended: backwards, what contains others comes before them.
 * Returns how many are left out. */
static size_t draw_others(const timeline *t)
{
    size_t n = 0;
    int64_t open[CT_TRACKS];
    for (int i = 0; i < CT_TRACKS; i++) open[i] = INT64_MAX;
    for (size_t i = t->p->n_spans; i-- > 0;) {
        const ct_profile_span *s = &t->p->spans[i];
        if (is_launch(s) || !is_shown(t, s)) continue;
        const bool within = s->track == CT_TRACK_HOST && s->begin >= open[s->track];
        if (!within) open[s->track] = s->begin;
        if (n++ < CT_PAGE_MOST) draw_other(t, s, within);
    }
    return n > CT_PAGE_MOST ? n - CT_PAGE_MOST : 0;
}

/* ---- curves ------------------------------------------------------------------------------------------------ */

static void draw_curve(const timeline *t, const ct_profile_span *from, const ct_profile_span *to)
{
    const ct_box a = box_of(t, from, tracks[from->track].lane), b = box_of(t, to, tracks[to->track].lane);
    const bool down = b.y > a.y;
    const double y1 = down ? a.y + a.height : a.y, y2 = b.y;
    const double bend = down ? y1 + (y2 - y1) / 2 : y2 - LANE; /* of those of one track, above it */
    const double at[] = {a.x + a.width / 2, y1,   a.x + a.width / 2, bend,
                         b.x + b.width / 2, bend, b.x + b.width / 2, y2};
    ct_text_add(&t->l->line, "<path class=\"link%s\" d=\"M", t->n_launches > MANY ? " faint" : "");
    for (int i = 0; i < 8; i++) {
        if (i) ct_text_add(&t->l->line, "%s", i == 2 ? "C" : " ");
        ct_say_fixed(&t->l->line, at[i], 2);
    }
    ct_page_line(t->l, "\"/>");
}

/* To the first launch of a record, from the last of the one by whose rule it is. */
static void draw_curves(const timeline *t)
{
    memset(t->span_of, 0xff, t->p->n_rows * sizeof *t->span_of); /* NO_SPAN */
    for (uint32_t i = t->first; i < t->end; i++) {
        const ct_profile_span *s = &t->p->spans[i];
        if (!is_launch(s) || !is_shown(t, s)) continue;
        const uint32_t forward = t->p->rows[s->row].forward;
        const bool is_first = t->span_of[s->row] == NO_SPAN;
        if (is_first && forward != CT_NO_ROW && t->span_of[forward] != NO_SPAN)
            draw_curve(t, &t->p->spans[t->span_of[forward]], s);
        t->span_of[s->row] = i;
    }
}

/* ---- the axis ---------------------------------------------------------------------------------------------- */

static void draw_tracks(const timeline *t)
{
    for (int i = 0; i < CT_TRACKS; i++) {
        const double y = TOP + tracks[i].lane * LANE, height = tracks[i].lanes * LANE;
        ct_svg_text(t->l, "axis", "end", CT_PAGE_LEFT - 8, y + height / 2 + 4, tracks[i].name);
        ct_svg_line(t->l, "rule", CT_PAGE_LEFT, y + height, CT_PAGE_RIGHT, y + height);
    }
}

static void draw_ticks(const timeline *t)
{
    const double ns = t->x.to - t->x.from, unit = ns < 1e7 ? 1e3 : ns < 1e10 ? 1e6 : 1e9;
    const char *name = ns < 1e7 ? "us" : ns < 1e10 ? "ms" : "s";
    const double step = ct_round_step(ns / unit, 9), bottom = TOP + LANES * LANE;
    for (int i = 0; i * step <= ns / unit; i++) {
        const double x = ct_scale_at(&t->x, t->x.from + i * step * unit);
        ct_svg_line(t->l, "grid", x, TOP, x, bottom + 4);
        ct_svg_open_text(t->l, "axis", x > CT_PAGE_RIGHT - 24 ? "end" : "middle", x, bottom + 18);
        ct_say_fixed(&t->l->line, i * step, ct_step_decimals(step));
        ct_text_add(&t->l->line, " %s", name);
        ct_svg_close_text(t->l);
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static void write_notes(const timeline *t)
{
    ct_text *line = &t->l->line;
    ct_text_add(line, "<p class=\"note\">");
    if (t->p->steps)
        ct_text_add(line, "Step %u of %u", t->step + 1, t->p->steps);
    else
        ct_text_add(line, "A step that had not ended");
    ct_text_add(line, ": %zu launches. Curves lead from a record to those of its gradient.</p>",
                t->n_launches + t->left_out);
    ct_lines_end(t->l);
}

static void draw(const timeline *t)
{
    write_notes(t);
    ct_page_line(t->l, "<div class=\"plot\">");
    ct_svg_begin(t->l, "timeline of a step", TOP + LANES * LANE + 26);
    draw_ticks(t);
    draw_tracks(t);
    const size_t others_left_out = draw_others(t);
    draw_launches(t);
    draw_curves(t);
    ct_svg_end(t->l);
    ct_page_line(t->l, "</div>");
    ct_page_left_out(t->l, "launches of the step", t->left_out);
    ct_page_left_out(t->l, "calls and copies", others_left_out);
    ct_page_left_out(t->l, "launches, calls and copies, of which too many were there to keep all",
                     (size_t)t->p->spans_left_out);
}

bool ct_page_timeline(const ct_report_of *r, ct_lines *l)
{
    timeline t = {.r = r, .p = r->p, .l = l};
    t.span_of = ct_alloc(r->ctx, r->p->n_rows * sizeof *t.span_of);
    if (!t.span_of) return false;
    ct_page_line(l, "<section id=\"timeline\"><h2>Timeline of a step</h2>");
    choose_launches(&t);
    if (t.n_launches) {
        choose_times(&t);
        draw(&t);
    } else {
        ct_page_line(l, "<p class=\"none\">Nothing was launched.</p>");
    }
    ct_page_line(l, "</section>");
    ct_free(r->ctx, t.span_of);
    return true;
}
