/* ct_profile_page: the last profile as one HTML page, which asks nothing of the network. Here the whole and its
 * heading; page.h tells of the rest. The style and the script of it are page.css and page.js, which the build turns
 * into page_style.h; without the script, which only sorts tables, everything is there. */
#include "profile/page.h"

#include "page_style.h"

/* ---- heading ---------------------------------------------------------------------------------------- */

static void write_fact(ct_lines *l, const char *name, double ns)
{
    ct_text_add(&l->line, "<div><dt>%s</dt><dd>", name);
    ct_page_say_ns(&l->line, ns);
    ct_page_line(l, "</dd></div>");
}

static void write_facts(const ct_report_of *r, ct_lines *l)
{
    ct_text *t = &l->line;
    ct_text_add(t, "<dl class=\"facts\"><div><dt>device</dt><dd>");
    ct_text_html(t, ct_device_name(r->ctx));
    ct_text_add(t, "</dd></div><div><dt>steps</dt><dd>%u</dd></div>", r->p->steps);
    ct_lines_end(l);
    write_fact(l, "wall time", (double)(r->p->end - r->p->begin));
    write_fact(l, "time of launches", (double)r->sums.ns);
    write_fact(l, "the same, per step", ct_ratio((double)r->sums.ns, r->p->steps));
    write_fact(l, "gaps between them", (double)r->sums.gap_ns);
    ct_page_line(l, "</dl>");
}

static double phase_percent(const ct_report_of *r, uint8_t phase)
{
    return 100 * ct_ratio((double)r->sums.phases[phase].ns, (double)r->sums.ns);
}

/* The share of each phase, and what the colours mean. */
static void write_phases(const ct_report_of *r, ct_lines *l)
{
    ct_text *t = &l->line;
    ct_page_line(l, "<div class=\"shares\" aria-hidden=\"true\">");
    for (uint8_t i = 0; i <= CT_PHASE_DATA; i++) {
        if (r->sums.phases[i].ns <= 0) continue;
        ct_text_add(t, "<span class=\"%s\" style=\"width:", ct_phase_name(i));
        ct_say_fixed(t, phase_percent(r, i), 3);
        ct_text_add(t, "%%\"></span>");
    }
    ct_page_line(l, "</div>");
    ct_page_line(l, "<ul class=\"legend\">");
    for (uint8_t i = 0; i <= CT_PHASE_DATA; i++) {
        const ct_phase_sum *s = &r->sums.phases[i];
        ct_text_add(t, "<li><i class=\"%s\"></i>%s <b>", ct_phase_name(i), ct_phase_name(i));
        ct_say_fixed(t, phase_percent(r, i), 1);
        ct_text_add(t, " %%</b> <span>");
        ct_page_say_ns(t, (double)s->ns);
        ct_text_add(t, ", %lld launches</span></li>", (long long)s->launches);
        ct_lines_end(l);
    }
    ct_page_line(l, "</ul>");
}

static void write_heading(const ct_report_of *r, ct_lines *l)
{
    ct_text_add(&l->line, "<section id=\"overview\"><h1>Profile of %u step%s</h1>", r->p->steps,
                r->p->steps == 1 ? "" : "s");
    ct_lines_end(l);
    write_facts(r, l);
    write_phases(r, l);
    ct_page_line(l, "</section>");
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static void write_file(ct_lines *l, const unsigned char *bytes, size_t n)
{
    ct_text_put(&l->line, (const char *)bytes, n);
    ct_lines_end(l);
}

static void write_head(ct_lines *l)
{
    ct_page_line(l, "<!DOCTYPE html>");
    ct_page_line(l, "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>cutape profile</title>");
    ct_page_line(l, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    ct_page_line(l, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">");
    ct_page_line(l, "<link rel=\"icon\" href=\"data:,\">");
    ct_page_line(l, "<style>");
    write_file(l, page_css, sizeof page_css);
    ct_page_line(l, "</style></head><body><main>");
}

static bool write_page(const ct_report_of *r, ct_lines *l)
{
    write_head(l);
    write_heading(r, l);
    if (!ct_page_timeline(r, l) || !ct_page_roofline(r, l)) return false;
    ct_page_tables(r, l);
    if (!ct_page_memory(r, l)) return false;
    ct_page_line(l, "</main><script>");
    write_file(l, page_js, sizeof page_js);
    ct_page_line(l, "</script></body></html>");
    return true;
}

ct_status ct_profile_page(ct_context *ctx, const char *path)
{
    ct_status status;
    ct_lines lines;
    ct_report_of r = {.ctx = ctx, .p = ct_profile_ready(ctx, "ct_profile_page", &status)};
    if (status) return status;
    if (!path) return ct_report(ctx, CT_ERR_ARGUMENT, "ct_profile_page: the path is NULL");
    status = ct_lines_open(&lines, ctx, path);
    if (status) return status;
    r.order = ct_profile_sorted(ctx, r.p);
    const bool written = r.order && ct_profile_sum(ctx, r.p, &r.sums) && write_page(&r, &lines);
    lines.line.failed |= !written;
    ct_free(ctx, r.order);
    ct_free(ctx, r.sums.backward_ns);
    return ct_lines_close(&lines, "ct_profile_page");
}
