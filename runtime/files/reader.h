/* A stream of bytes out of a file that is plain or gzip (files/reader.c).
 *
 * Only idx.c and csv.c use it. It reports its own errors: a file that is missing,
 * a directory, empty, unreadable, or damaged inside its gzip layer.
 */
#ifndef CUTAPE_FILES_READER_H
#define CUTAPE_FILES_READER_H

#include "core/context.h"
#include <zlib.h>

typedef struct ct_reader {
    ct_context *ctx;
    const char *name;    /* the path, for messages; the end of it if it is very long       */
    int64_t plain_bytes; /* the file's size; -1 if it is compressed or not a regular file  */
    gzFile file;         /* NULL when closed                                               */
} ct_reader;

/* On failure the reader is closed. A zeroed reader may be closed too. */
ct_status ct_reader_open(ct_reader *, ct_context *, const char *path);
void ct_reader_close(ct_reader *);

/* Reads `bytes` bytes; fewer only where the file ends, and then it ends soundly. */
ct_status ct_reader_read(ct_reader *, void *to, size_t bytes, size_t *got);

#endif
