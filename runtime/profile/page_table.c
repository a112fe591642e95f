/* The tables of the page: the same cells as the text has (table.c), whole, for page.js to sort. See page.h. */
#include "profile/page.h"

#include <string.h>

/* ---- any table ---------------------------------------------------------------------------------------- */

static void write_titles(const ct_grid *g, ct_lines *l)
{
    ct_text_add(&l->line, "<thead><tr>");
    for (size_t i = 0; i < g->n_columns; i++)
        ct_text_add(&l->line, "<th scope=\"col\"%s>%s</th>", g->columns[i].right ? " class=\"number\"" : "",
                    g->columns[i].title);
    ct_page_line(l, "</tr></thead>");
}

/* Phases have their colours, shares a bar; what may be cut is whole in the tooltip. */
static void write_cell(const ct_column *c, const char *cell, ct_text *t)
{
    const bool is_phase = strcmp(c->title, "phase") == 0, is_share = strcmp(c->title, "%") == 0;
    ct_text_add(t, "<td");
    if (c->right) ct_text_add(t, " class=\"number%s\"", is_share ? " share" : "");
    if (is_share) ct_text_add(t, " style=\"--share:%s%%\"", strcmp(cell, "-") == 0 ? "0" : cell);
    if (c->most) {
        ct_text_add(t, " class=\"cut\" title=\"");
        ct_text_html(t, cell);
        ct_text_put(t, "\"", 1);
    }
    ct_text_put(t, ">", 1);
    if (is_phase) ct_text_add(t, "<i class=\"%s\"></i>", cell);
    ct_text_html(t, cell);
    ct_text_add(t, "</td>");
}

void ct_page_grid(ct_grid *g, const ct_report_of *r, const uint32_t *order, ct_lines *l)
{
    ct_text *t = &l->line;
    t->failed |= g->cells.failed;
    ct_page_line(l, "<div class=\"scroll\"><table>");
    write_titles(g, l);
    ct_page_line(l, "<tbody>");
    const char *at = g->cells.bytes, *end = at ? at + g->cells.n : NULL;
    for (size_t row = 0; at < end && !t->failed; row++) {
        ct_text_add(t, "<tr");
        if (order) {
            ct_text_add(t, " title=\"");
            ct_text_html(t, r->p->rows[order[row]].label);
            ct_text_put(t, "\"", 1);
        }
        ct_text_put(t, ">", 1);
        for (size_t i = 0; i < g->n_columns; at += strlen(at) + 1) write_cell(&g->columns[i++], at, t);
        ct_page_line(l, "</tr>");
    }
    ct_page_line(l, "</tbody></table></div>");
    ct_text_free(&g->cells);
}

/* ---- rows and pairs ----------------------------------------------------------------------------------- */

static void write_rows(const ct_report_of *r, ct_lines *l)
{
    ct_grid g = ct_rows_as_grid(r, CT_PAGE_MOST);
    ct_page_line(l, "<section id=\"table\"><h2>Rows</h2>");
    ct_page_line(l,
                 "<p class=\"note\">Figures of one call. <b>of</b>: the forward record by whose gradient rule it is; "
                 "<b>% roof</b>: how near it comes to the roofline, bound by arithmetic (c) or memory (m). "
                 "<span class=\"scripted\">A click on a title sorts.</span></p>");
    ct_page_grid(&g, r, r->order, l);
    ct_page_left_out(l, "rows", r->p->n_rows > CT_PAGE_MOST ? r->p->n_rows - CT_PAGE_MOST : 0);
    ct_page_line(l, "</section>");
}

static void write_pairs(const ct_report_of *r, ct_lines *l)
{
    size_t n = 0;
    for (uint32_t i = 0; i < r->p->n_rows; i++) n += ct_is_pair(r, i);
    ct_grid g = ct_pairs_as_grid(r, CT_PAGE_MOST);
    ct_page_line(l, "<section id=\"pairs\"><h2>Forward and backward</h2>");
    ct_page_line(l,
                 "<p class=\"note\">Time of a forward record and of all that its gradient takes, over all calls.</p>");
    if (n)
        ct_page_grid(&g, r, NULL, l);
    else
        ct_page_line(l, "<p class=\"none\">No record of this profile has a gradient.</p>");
    ct_page_left_out(l, "pairs", n > CT_PAGE_MOST ? n - CT_PAGE_MOST : 0);
    ct_page_line(l, "</section>");
}

void ct_page_tables(const ct_report_of *r, ct_lines *l)
{
    write_rows(r, l);
    write_pairs(r, l);
}
