/* Columns of text: see grid.h. Widths are in characters, names being UTF-8. */
#include "profile/grid.h"

#include <string.h>

#define MOST_COLUMNS 24

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Bytes of the first n characters. */
static size_t bytes_of(const char *text, size_t n)
{
    const char *at = text;
    while (*at && n--) do
            at++;
        while (((unsigned char)*at & 0xc0) == 0x80);
    return (size_t)(at - text);
}

void ct_grid_next(ct_grid *g) { ct_text_put(&g->cells, "", 1); }

void ct_grid_say(ct_grid *g, const char *cell)
{
    ct_text_add(&g->cells, "%s", cell);
    ct_grid_next(g);
}

static void put_cell(ct_text *line, const ct_column *column, const char *cell, size_t width, bool last)
{
    const size_t n = characters(cell), blanks = n < width ? width - n : 0;
    if (column->right) ct_text_add(line, "%*s", (int)blanks, "");
    if (n > width)
        ct_text_add(line, "%.*s...", (int)bytes_of(cell, width - 3), cell);
    else
        ct_text_add(line, "%s", cell);
    if (last) return;
    ct_text_add(line, "%*s", (int)(column->right ? 0 : blanks) + 2, "");
}

static size_t width_of(const ct_column *column, size_t n)
{
    return column->most && n > column->most ? column->most : n;
}

static void write_row(const ct_grid *g, ct_lines *lines, const size_t *widths, const char **at)
{
    for (size_t i = 0; i < g->n_columns; i++) {
        const ct_column *c = &g->columns[i];
        put_cell(&lines->line, c, at ? *at : c->title, widths[i], i == g->n_columns - 1);
        if (at) *at += strlen(*at) + 1;
    }
    ct_lines_end(lines);
}

void ct_grid_write(ct_grid *g, ct_lines *lines)
{
    size_t widths[MOST_COLUMNS] = {0};
    const char *end = g->cells.n ? g->cells.bytes + g->cells.n : NULL;
    lines->line.failed |= g->cells.failed;
    for (size_t i = 0; i < g->n_columns; i++) widths[i] = width_of(&g->columns[i], characters(g->columns[i].title));
    for (const char *at = g->cells.bytes; end && !g->cells.failed && at < end;)
        for (size_t i = 0; i < g->n_columns; i++) {
            const size_t width = width_of(&g->columns[i], characters(at));
            if (width > widths[i]) widths[i] = width;
            at += strlen(at) + 1;
        }
    write_row(g, lines, widths, NULL);
    for (const char *at = g->cells.bytes; end && !g->cells.failed && at < end;) write_row(g, lines, widths, &at);
    ct_text_free(&g->cells);
}
