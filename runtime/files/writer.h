/* A file that is written aside and renamed when it is whole (files/writer.c).
 *
 * Whatever goes wrong, the path holds the old file or the new one, never a part. Used by
 * all that writes files. Errors are CT_ERR_IO with the path and the reason, reported.
 */
#ifndef CUTAPE_FILES_WRITER_H
#define CUTAPE_FILES_WRITER_H

#include "core/context.h"
#include <stdio.h>

typedef struct ct_writer {
    ct_context *ctx;
    const char *name; /* the path, for messages                                                    */
    char *target;     /* the file to replace; NULL: written in place, being no regular file        */
    char *aside;      /* where it is written, beside the target                                    */
    FILE *file;
    int error; /* errno of the first write that failed                                             */
} ct_writer;

/* On failure nothing is open, and nothing was written. A path that names something other than a
 * regular file, such as a terminal or a pipe, or one in /dev, such as /dev/stdout, is written directly. */
ct_status ct_writer_open(ct_writer *, ct_context *, const char *path);

/* A failure is kept, and reported by ct_writer_commit. */
void ct_writer_write(ct_writer *, const void *bytes, size_t n);

/* Brings the bytes to the disk, then renames. On failure it abandons. */
ct_status ct_writer_commit(ct_writer *);

/* Leaves the old file as it was. A writer that is committed or abandoned, or zeroed, is let be. */
void ct_writer_abandon(ct_writer *);

#endif
