/* CSV files: a line reader over a growing buffer, a number parser, and the table.
 *
 * Numbers do not depend on the process's locale. Short ones (nearly all in practice)
 * are converted here, exactly; the rest by strtof_l in the "C" locale.
 * Called by data/ for ct_dataset_load_csv.
 */
#define _GNU_SOURCE /* strtof_l, strtod_l */

#include "files/files.h"
#include "files/reader.h"
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    FIRST_BUFFER_BYTES = 1 << 18,
    MAX_LINE_BYTES = 64 << 20,
    MAX_CELL_TEXT = 44, /* of a cell quoted in a message */
};

/* One line without its end. text[length] is 0, so parsing may run up to it. */
typedef struct line {
    const char *text;
    size_t length;
    int64_t number; /* from 1 */
} line;

typedef struct csv {
    ct_reader in;
    locale_t c_locale;

    void *buffer; /* [capacity] bytes; of them [begin, end) are read and not yet taken */
    size_t capacity, begin, end;
    bool at_end; /* nothing more to read into the buffer */
    int64_t lines;

    int64_t columns, target; /* target from 0 */
    bool classes;
    void *x, *y; /* float [rows, columns - 1]; float or int32_t [rows] */
    size_t x_capacity, y_capacity;
    int64_t rows;
} csv;

/* ---- lines ---------------------------------------------------------------- */

/* Moves what is left to the front, doubles the buffer if that fills it, and reads on. */
static ct_status refill(csv *c)
{
    size_t left = c->end - c->begin, got = 0;
    if (left > 0 && c->begin > 0) memmove(c->buffer, (char *)c->buffer + c->begin, left);
    c->begin = 0;
    c->end = left;

    size_t need = left + 2 > FIRST_BUFFER_BYTES ? left + 2 : FIRST_BUFFER_BYTES; /* one more byte, and a 0 */
    if (!ct_grow(c->in.ctx, &c->buffer, &c->capacity, need, 1)) {
        return ct_report(c->in.ctx, CT_ERR_MEMORY, "%s: line %" PRId64 ": no memory for the line", c->in.name,
                         c->lines + 1);
    }
    size_t space = c->capacity - c->end - 1;
    ct_status status = ct_reader_read(&c->in, (char *)c->buffer + c->end, space, &got);
    c->end += got;
    c->at_end = got < space;
    return status;
}

/* The next line; *found is false at the end of the file. Valid until the next call. */
static ct_status next_line(csv *c, line *out, bool *found)
{
    size_t length = 0; /* of the line so far; all of it has been searched for a newline */
    char *newline = NULL;
    for (;;) {
        size_t unsearched = c->end - c->begin - length;
        if (unsearched > 0) newline = memchr((char *)c->buffer + c->begin + length, '\n', unsearched);
        length = newline ? (size_t)(newline - ((char *)c->buffer + c->begin)) : length + unsearched;
        if (length > MAX_LINE_BYTES) {
            return ct_report(c->in.ctx, CT_ERR_IO, "%s: line %" PRId64 " is longer than %d bytes", c->in.name,
                             c->lines + 1, MAX_LINE_BYTES);
        }
        if (newline || c->at_end) break;
        ct_status status = refill(c);
        if (status != CT_OK) return status;
    }
    *found = newline || length > 0;
    if (!*found) return CT_OK;

    char *text = (char *)c->buffer + c->begin;
    c->begin += length + (newline ? 1 : 0);
    if (length > 0 && text[length - 1] == '\r') length--;
    text[length] = 0;
    *out = (line){.text = text, .length = length, .number = ++c->lines};
    return CT_OK;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t') p++;
    return p;
}

static bool is_blank(const line *l) { return skip_blanks(l->text) == l->text + l->length; }

/* ---- numbers -------------------------------------------------------------- */

typedef struct number {
    const char *begin, *end;
    bool negative;
    bool is_short;   /* its value is digits * 10^exponent, and digits is complete */
    uint32_t digits; /* below 2^24 */
    int exponent;
} number;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The exponent at p, if there is one: e or E, a sign, digits. Returns where it ends. */
static const char *scan_exponent(const char *p, int *exponent)
{
    *exponent = 0;
    if (*p != 'e' && *p != 'E') return p;
    const char *q = p + 1;
    bool negative = *q == '-';
    if (*q == '-' || *q == '+') q++;
    if (!is_digit(*q)) return p;
    for (; is_digit(*q); q++) {
        if (*exponent < 100000) *exponent = *exponent * 10 + (*q - '0');
    }
    if (negative) *exponent = -*exponent;
    return q;
}

/* [+-] digits [. digits] [e [+-] digits], with at least one digit before the e; nothing else, so
 * neither "nan" nor "0x1p3", which strtof would take. False if there is no number at p. */
static bool scan_number(const char *p, number *out)
{
    *out = (number){.begin = p, .negative = *p == '-', .is_short = true};
    if (*p == '-' || *p == '+') p++;
    const char *first = p;
    uint32_t digits = 0;
    int places = 0; /* after the point */
    size_t count = 0;
    for (bool point = false; is_digit(*p) || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        count++;
        if (!out->is_short) continue;
        digits = digits * 10 + (uint32_t)(*p - '0');
        places += point;
        if (digits >= 1u << 24 || p - first > 24) out->is_short = false;
    }
    if (count == 0) return false;
    out->end = scan_exponent(p, &out->exponent);
    out->exponent -= places;
    out->digits = digits;
    return true;
}

/* Rounded once: digits and the power of ten are both exact floats, so one product or quotient of
 * them is the nearest float. */
static float to_float(const csv *c, const number *n)
{
    static const float powers[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
    if (!n->is_short || n->exponent > 10 || n->exponent < -10) return strtof_l(n->begin, NULL, c->c_locale);
    float value = (float)n->digits;
    value = n->exponent < 0 ? value / powers[-n->exponent] : value * powers[n->exponent];
    return n->negative ? -value : value;
}

static double to_double(const csv *c, const number *n)
{
    if (n->is_short && n->exponent == 0) return n->negative ? -(double)n->digits : (double)n->digits;
    return strtod_l(n->begin, NULL, c->c_locale);
}

/* ---- cells ---------------------------------------------------------------- */

typedef struct cell {
    const char *text; /* blanks around it left off */
    size_t length;
    const char *end; /* of the cell: its comma, or the line's end */
} cell;

static cell cell_between(const char *begin, const char *end)
{
    const char *last = end;
    while (begin < end && (*begin == ' ' || *begin == '\t')) begin++;
    while (last > begin && (last[-1] == ' ' || last[-1] == '\t')) last--;
    return (cell){.text = begin, .length = (size_t)(last - begin), .end = end};
}

static cell cell_at(const char *begin, const char *line_end)
{
    const char *comma = memchr(begin, ',', (size_t)(line_end - begin));
    return cell_between(begin, comma ? comma : line_end);
}

static bool is_number(const cell *v)
{
    number n;
    return scan_number(v->text, &n) && n.end == v->text + v->length;
}

/* What printf writes for a number that is not finite. */
static bool is_nonfinite(const cell *v)
{
    static const char *const words[] = {"nan", "inf", "infinity"};
    size_t sign = v->length > 0 && (v->text[0] == '-' || v->text[0] == '+');
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i]);
        if (v->length == sign + length && strncasecmp(v->text + sign, words[i], length) == 0) return true;
    }
    return false;
}

/* The cell's text, fit for a message: cut, and without control characters. */
static const char *cell_text(const cell *v, char text[MAX_CELL_TEXT])
{
    size_t room = MAX_CELL_TEXT - 4, length = v->length < room ? v->length : room;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)v->text[i];
        text[i] = byte < 0x20 || byte > 0x7e ? '?' : (char)byte;
    }
    memcpy(text + length, "...", 4);
    if (length == v->length) text[length] = 0;
    return text;
}

/* Reports that the cell at `column` (from 0; shown from 1) is not what was `expected`. */
static ct_status report_cell(csv *c, const line *l, int64_t column, const cell *v, const char *expected)
{
    char text[MAX_CELL_TEXT];
    if (v->length == 0) {
        return ct_report(c->in.ctx, CT_ERR_IO,
                         "%s: line %" PRId64 ", column %" PRId64 ": the cell is empty, "
                         "expected %s",
                         c->in.name, l->number, column + 1, expected);
    }
    return ct_report(c->in.ctx, CT_ERR_IO, "%s: line %" PRId64 ", column %" PRId64 ": expected %s, found '%s'",
                     c->in.name, l->number, column + 1, expected, cell_text(v, text));
}

static ct_status report_not_a_number(csv *c, const line *l, int64_t column, const char *begin)
{
    cell v = cell_at(begin, l->text + l->length);
    const char *expected = "a number";
    if (v.length > 0 && v.text[0] == '"') expected = "a number without quotes";
    if (is_nonfinite(&v)) expected = "a finite number";
    return report_cell(c, l, column, &v, expected);
}

/* ---- rows ----------------------------------------------------------------- */

static ct_status report_ragged(csv *c, const line *l)
{
    int64_t found = 1;
    for (size_t i = 0; i < l->length; i++) found += l->text[i] == ',';
    return ct_report(c->in.ctx, CT_ERR_IO,
                     "%s: line %" PRId64 ": expected %" PRId64 " columns as in line 1, "
                     "found %" PRId64,
                     c->in.name, l->number, c->columns, found);
}

/* Into y[rows]. */
static ct_status store_target(csv *c, const line *l, const number *n)
{
    cell v = {.text = n->begin, .length = (size_t)(n->end - n->begin), .end = n->end};
    if (!c->classes) {
        float value = to_float(c, n);
        if (!isfinite(value)) return report_cell(c, l, c->target, &v, "a number in the range of F32");
        ((float *)c->y)[c->rows] = value;
        return CT_OK;
    }
    double label = to_double(c, n);
    if (!(label >= 0 && label < 2147483648.0) || label != floor(label)) {
        return report_cell(c, l, c->target, &v, "a class, an integer from 0 below 2^31");
    }
    ((int32_t *)c->y)[c->rows] = (int32_t)label;
    return CT_OK;
}

static ct_status grow_table(csv *c, const line *l)
{
    size_t rows = (size_t)c->rows + 1, width = (size_t)c->columns - 1;
    if (rows <= SIZE_MAX / sizeof(float) / width &&
        ct_grow(c->in.ctx, &c->x, &c->x_capacity, rows * width, sizeof(float)) &&
        ct_grow(c->in.ctx, &c->y, &c->y_capacity, rows, sizeof(float))) {
        return CT_OK;
    }
    return ct_report(c->in.ctx, CT_ERR_MEMORY, "%s: line %" PRId64 ": no memory for the table", c->in.name, l->number);
}

static ct_status parse_row(csv *c, const line *l)
{
    ct_status status = grow_table(c, l);
    if (status != CT_OK) return status;

    float *x = (float *)c->x + c->rows * (c->columns - 1);
    const char *p = l->text, *end = l->text + l->length;
    for (int64_t column = 0; column < c->columns; column++) {
        const char *begin = p;
        number n;
        if (!scan_number(skip_blanks(p), &n)) return report_not_a_number(c, l, column, begin);
        p = skip_blanks(n.end);
        if (*p != ',' && p != end) return report_not_a_number(c, l, column, begin);
        if (column == c->target) {
            status = store_target(c, l, &n);
            if (status != CT_OK) return status;
        } else {
            *x = to_float(c, &n);
            if (!isfinite(*x++)) {
                cell v = cell_at(begin, end);
                return report_cell(c, l, column, &v, "a number in the range of F32");
            }
        }
        bool last_expected = column + 1 == c->columns, last_found = p == end;
        if (last_expected != last_found) return report_ragged(c, l);
        p++; /* over the comma; past the end only when this was the last cell */
    }
    c->rows++;
    return CT_OK;
}

/* ---- the first line ------------------------------------------------------- */

/* The end of a header cell that starts with a quote at p: its comma, or the line's end. A doubled
 * quote stands for one. NULL if the quote is not closed. */
static const char *quoted_cell_end(const char *p, const char *line_end)
{
    for (p++;; p += 2) {
        p = memchr(p, '"', (size_t)(line_end - p));
        if (!p) return NULL;
        if (p + 1 == line_end || p[1] != '"') break;
    }
    const char *comma = memchr(p, ',', (size_t)(line_end - p));
    return comma ? comma : line_end;
}

/* Counts the columns, and tells whether any cell is text, which makes the line a header. */
static ct_status inspect_first_line(csv *c, const line *l, bool *is_header)
{
    const char *end = l->text + l->length;
    *is_header = false;
    for (const char *p = l->text;; p++) {
        cell v = cell_at(p, end);
        if (v.length > 0 && v.text[0] == '"') {
            *is_header = true;
            v.end = quoted_cell_end(v.text, end);
            if (!v.end) return report_cell(c, l, c->columns, &v, "a closing quote");
        } else if (v.length > 0 && !is_number(&v) && !is_nonfinite(&v)) {
            *is_header = true;
        }
        c->columns++;
        p = v.end;
        if (p == end) return CT_OK;
    }
}

static ct_status set_target(csv *c, int target_column)
{
    if (c->columns < 2) {
        return ct_report(c->in.ctx, CT_ERR_IO, "%s: line 1: expected at least 2 columns, found %" PRId64, c->in.name,
                         c->columns);
    }
    c->target = target_column < 0 ? c->columns + target_column : target_column;
    if (c->target < 0 || c->target >= c->columns) {
        return ct_report(c->in.ctx, CT_ERR_ARGUMENT,
                         "%s: line 1: target column %d is out of range: the file has %" PRId64 " columns", c->in.name,
                         target_column, c->columns);
    }
    return CT_OK;
}

static ct_status read_first_line(csv *c, int target_column)
{
    line l;
    bool found = false, is_header = false;
    ct_status status = next_line(c, &l, &found);
    if (status != CT_OK) return status;
    if (!found) return ct_report(c->in.ctx, CT_ERR_IO, "%s: the file is empty", c->in.name);
    if (strncmp(l.text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
        l.text += 3;
        l.length -= 3;
    }
    if (is_blank(&l)) return ct_report(c->in.ctx, CT_ERR_IO, "%s: line 1 is empty", c->in.name);

    status = inspect_first_line(c, &l, &is_header);
    if (status == CT_OK) status = set_target(c, target_column);
    if (status == CT_OK && !is_header) status = parse_row(c, &l);
    return status;
}

/* ---- the file ------------------------------------------------------------- */

static ct_status read_rows(csv *c)
{
    int64_t empty = 0; /* the first empty line; one is allowed only if nothing follows */
    for (;;) {
        line l;
        bool found = false;
        ct_status status = next_line(c, &l, &found);
        if (status != CT_OK) return status;
        if (!found) break;
        if (is_blank(&l)) {
            if (!empty) empty = l.number;
            continue;
        }
        if (empty) return ct_report(c->in.ctx, CT_ERR_IO, "%s: line %" PRId64 " is empty", c->in.name, empty);
        status = parse_row(c, &l);
        if (status != CT_OK) return status;
    }
    if (c->rows > 0) return CT_OK;
    return ct_report(c->in.ctx, CT_ERR_IO, "%s: line 1 is a header, and no rows follow it", c->in.name);
}

static ct_status read_table(csv *c, ct_context *ctx, const char *path, int target_column)
{
    ct_status status = ct_reader_open(&c->in, ctx, path);
    if (status != CT_OK) return status;
    c->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c->c_locale) return ct_report(ctx, CT_ERR_MEMORY, "%s: no memory for a locale", c->in.name);
    status = read_first_line(c, target_column);
    if (status != CT_OK) return status;
    return read_rows(c);
}

/* Hands the table over to the caller. */
static void take_table(csv *c, ct_array_file *x, ct_array_file *y)
{
    int64_t width = c->columns - 1;
    *x = (ct_array_file){.dtype = CT_F32, .ndim = 2, .shape = {c->rows, width}, .numel = c->rows * width, .data = c->x};
    *y = (ct_array_file){.dtype = CT_F32, .ndim = 2, .shape = {c->rows, 1}, .numel = c->rows, .data = c->y};
    if (c->classes)
        *y = (ct_array_file){.dtype = CT_I32, .ndim = 1, .shape = {c->rows}, .numel = c->rows, .data = c->y};
    c->x = NULL;
    c->y = NULL;
}

ct_status ct_csv_read(ct_context *ctx, const char *path, int target_column, bool classes, ct_array_file *x,
                      ct_array_file *y)
{
    if (x) memset(x, 0, sizeof *x);
    if (y) memset(y, 0, sizeof *y);
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!path) return ct_report(ctx, CT_ERR_ARGUMENT, "reading a CSV file: the path is NULL");
    if (!x || !y) return ct_report(ctx, CT_ERR_ARGUMENT, "%s: reading a CSV file: a result pointer is NULL", path);

    csv c = {.classes = classes};
    ct_status status = read_table(&c, ctx, path, target_column);
    if (status == CT_OK) take_table(&c, x, y);
    if (c.c_locale) freelocale(c.c_locale);
    ct_reader_close(&c.in);
    ct_free(ctx, c.buffer);
    ct_free(ctx, c.x);
    ct_free(ctx, c.y);
    return status;
}
