/* Growing text and lines of it: see text.h. */
#include "files/text.h"

#include <string.h>

static bool make_room(ct_text *t, size_t n)
{
    if (!t->failed && !ct_grow(t->ctx, (void **)&t->bytes, &t->capacity, t->n + n + 1, 1)) t->failed = true;
    return !t->failed;
}

void ct_text_put(ct_text *t, const char *bytes, size_t n)
{
    if (!make_room(t, n)) return;
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
    t->bytes[t->n] = 0;
}

void ct_text_add(ct_text *t, const char *format, ...)
{
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, list);
    if (n >= 0 && make_room(t, (size_t)n)) {
        vsnprintf(t->bytes + t->n, (size_t)n + 1, format, again);
        t->n += (size_t)n;
    }
    va_end(again);
    va_end(list);
}

void ct_text_pad(ct_text *t, size_t column)
{
    do ct_text_put(t, " ", 1);
    while (t->n < column && !t->failed);
}

size_t ct_utf8_bytes(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : (*at & 0xf0) == 0xe0 ? 3 : (*at & 0xf8) == 0xf0 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    uint32_t second = n > 2 ? at[1] : 0; /* no overlong forms, no surrogates, nothing above U+10FFFF */
    if ((*at == 0xe0 && second < 0xa0) || (*at == 0xed && second > 0x9f) || (*at == 0xf0 && second < 0x90) ||
        *at > 0xf4 || (*at == 0xf4 && second > 0x8f))
        return 0;
    return n;
}

void ct_text_json(ct_text *t, const char *text)
{
    ct_text_put(t, "\"", 1);
    for (size_t n; *text; text += n) {
        const size_t known = ct_utf8_bytes(text);
        n = known ? known : 1;
        if (!known)
            ct_text_add(t, "\\ufffd");
        else if (*text == '"' || *text == '\\')
            ct_text_add(t, "\\%c", *text);
        else if (*text == '\n')
            ct_text_add(t, "\\n");
        else if ((unsigned char)*text < 0x20)
            ct_text_add(t, "\\u%04x", (unsigned)*text);
        else
            ct_text_put(t, text, n);
    }
    ct_text_put(t, "\"", 1);
}

void ct_text_csv(ct_text *t, const char *text)
{
    const bool quoted = text[strcspn(text, ",\"\r\n")];
    if (quoted) ct_text_put(t, "\"", 1);
    for (; *text; text++) ct_text_put(t, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    if (quoted) ct_text_put(t, "\"", 1);
}

void ct_text_html(ct_text *t, const char *text)
{
    for (size_t n; *text; text += n) {
        const size_t known = ct_utf8_bytes(text);
        n = known ? known : 1;
        if (!known || ((unsigned char)*text < 0x20 && *text != '\n'))
            ct_text_add(t, "\xef\xbf\xbd");
        else if (strchr("&<>\"'", *text))
            ct_text_add(t, "&#%d;", *text);
        else
            ct_text_put(t, text, n);
    }
}

void ct_text_free(ct_text *t)
{
    ct_free(t->ctx, t->bytes);
    *t = (ct_text){.ctx = t->ctx};
}

/* ---- lines ------------------------------------------------------------------------------ */

ct_status ct_lines_open(ct_lines *l, ct_context *ctx, const char *path)
{
    *l = (ct_lines){.line = {.ctx = ctx}};
    return path ? ct_writer_open(&l->file, ctx, path) : CT_OK;
}

void ct_lines_end(ct_lines *l)
{
    ct_text *t = &l->line;
    if (l->file.file) ct_text_put(t, "\n", 1);
    if (t->failed) return;
    if (l->file.file)
        ct_writer_write(&l->file, t->bytes, t->n);
    else
        ct_log_text(t->ctx, t->n ? t->bytes : "");
    t->n = 0;
}

ct_status ct_lines_close(ct_lines *l, const char *call)
{
    bool failed = l->line.failed;
    ct_text_free(&l->line);
    if (!failed) return l->file.file ? ct_writer_commit(&l->file) : CT_OK;
    ct_writer_abandon(&l->file);
    return ct_report(l->line.ctx, CT_ERR_MEMORY, "%s: out of host memory", call);
}
