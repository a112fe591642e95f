/* Text that grows, and lines of it that go to a file or to the log (files/text.c). */
#ifndef CUTAPE_FILES_TEXT_H
#define CUTAPE_FILES_TEXT_H

#include "files/writer.h"

typedef struct ct_text {
    ct_context *ctx;
    char *bytes; /* n of them, and a zero if there is any */
    size_t n, capacity;
    bool failed; /* out of host memory: what was added since is not there */
} ct_text;

void ct_text_add(ct_text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ct_text_put(ct_text *, const char *bytes, size_t n);
/* Blanks up to a column of the line. */
void ct_text_pad(ct_text *, size_t column);
/* A JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void ct_text_json(ct_text *, const char *text);
/* A field of a CSV file, in quotes where it needs them. */
void ct_text_csv(ct_text *, const char *text);
/* In HTML or XML, as text or in a quoted attribute. What may not stand there becomes U+FFFD. */
void ct_text_html(ct_text *, const char *text);
void ct_text_free(ct_text *);

/* Bytes of the UTF-8 character at `at`; 0 if there is none. */
size_t ct_utf8_bytes(const char *at);

/* A destination of lines: build one in `line`, then end it. */
typedef struct ct_lines {
    ct_text line;
    ct_writer file; /* not open: the lines go to the log */
} ct_lines;

/* path NULL: to the log. */
ct_status ct_lines_open(ct_lines *, ct_context *, const char *path);
void ct_lines_end(ct_lines *);
/* Commits the file, or abandons it if memory ran out on the way; `call` is for that message. */
ct_status ct_lines_close(ct_lines *, const char *call);

#endif
