/* Opens and reads a plain or gzip file through zlib, which tells the two apart.
 *
 * Called by idx.c and csv.c. ct_array_file_free is here too: it belongs to both.
 */
#define _POSIX_C_SOURCE 200809L /* open, fstat */

#include "files/reader.h"
#include "files/files.h"
#include "files/path.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_AHEAD_BYTES = 1 << 18 };

ct_status ct_reader_open(ct_reader *r, ct_context *ctx, const char *path)
{
    *r = (ct_reader){.ctx = ctx, .name = ct_path_text(path), .plain_bytes = -1};

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ct_report(ctx, CT_ERR_IO, "%s: cannot open: %s", r->name, strerror(errno));

    ct_status status;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = ct_report(ctx, CT_ERR_IO, "%s: cannot query: %s", r->name, strerror(errno));
        goto fail;
    }
    if (S_ISDIR(info.st_mode)) {
        status = ct_report(ctx, CT_ERR_IO, "%s: is a directory, expected a file", r->name);
        goto fail;
    }
    if (S_ISREG(info.st_mode) && info.st_size == 0) {
        status = ct_report(ctx, CT_ERR_IO, "%s: the file is empty", r->name);
        goto fail;
    }
    r->file = gzdopen(fd, "rb");
    if (!r->file) {
        status = ct_report(ctx, CT_ERR_MEMORY, "%s: no memory to open the file", r->name);
        goto fail;
    }
    gzbuffer(r->file, READ_AHEAD_BYTES);
    if (S_ISREG(info.st_mode) && gzdirect(r->file)) r->plain_bytes = (int64_t)info.st_size;
    return CT_OK;

fail:
    close(fd);
    return status;
}

void ct_reader_close(ct_reader *r)
{
    if (r->file) gzclose_r(r->file);
    r->file = NULL;
}

/* zlib knows of a truncated stream only here: gzread returns what there was, as at a good end. */
static ct_status check_stream(ct_reader *r)
{
    int code = Z_OK;
    const char *text = gzerror(r->file, &code);
    if (code == Z_OK || code == Z_STREAM_END) return CT_OK;
    if (code == Z_ERRNO) return ct_report(r->ctx, CT_ERR_IO, "%s: cannot read: %s", r->name, strerror(errno));
    if (code == Z_MEM_ERROR) return ct_report(r->ctx, CT_ERR_MEMORY, "%s: no memory to decompress", r->name);
    if (code == Z_BUF_ERROR) {
        return ct_report(r->ctx, CT_ERR_IO, "%s: the gzip data is truncated: unexpected end of file", r->name);
    }
    return ct_report(r->ctx, CT_ERR_IO, "%s: the gzip data is damaged: %s", r->name, text);
}

ct_status ct_reader_read(ct_reader *r, void *to, size_t bytes, size_t *got)
{
    *got = 0;
    while (*got < bytes) {
        size_t left = bytes - *got;
        unsigned ask = left < READ_AHEAD_BYTES ? (unsigned)left : (unsigned)READ_AHEAD_BYTES;
        int n = gzread(r->file, (char *)to + *got, ask);
        if (n > 0) *got += (size_t)n;
        if (n < 0 || (unsigned)n < ask) return check_stream(r);
    }
    return CT_OK;
}

void ct_array_file_free(ct_context *ctx, ct_array_file *array)
{
    if (!array) return;
    if (array->data) ct_free(ctx, array->data);
    memset(array, 0, sizeof *array);
}
