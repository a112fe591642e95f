/* IDX files: two zero bytes, a type byte, the number of dimensions, their sizes as
 * big-endian 32-bit numbers, then the elements, big-endian too.
 *
 * The header is never believed: a plain file must have exactly the size it implies,
 * and out of a gzip file the array grows only with the data that is really there.
 * Called by data/ for ct_dataset_load_idx.
 */
#include "files/files.h"
#include "files/reader.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    CHUNK_BYTES = 1 << 16, /* read at a time; a multiple of every element size */
    MAX_SHAPE_TEXT = 80,   /* six numbers of ten digits, commas, brackets      */
};

static uint64_t big_endian(const unsigned char *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | from[i];
    return value;
}

static void convert_u8(void *to, const unsigned char *from, size_t n) { memcpy(to, from, n); }

static void convert_i8(void *to, const unsigned char *from, size_t n)
{
    int32_t *out = to;
    for (size_t i = 0; i < n; i++) out[i] = (int8_t)from[i];
}

static void convert_i16(void *to, const unsigned char *from, size_t n)
{
    int32_t *out = to;
    for (size_t i = 0; i < n; i++) out[i] = (int16_t)big_endian(from + 2 * i, 2);
}

/* i32 and f32 differ only in what the bits mean, and so do i64 and f64. */
static void convert_32(void *to, const unsigned char *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)big_endian(from + 4 * i, 4);
        memcpy((char *)to + 4 * i, &bits, 4);
    }
}

static void convert_64(void *to, const unsigned char *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = big_endian(from + 8 * i, 8);
        memcpy((char *)to + 8 * i, &bits, 8);
    }
}

typedef struct idx_type {
    unsigned char code;  /* the type byte          */
    ct_dtype dtype;      /* of the array it becomes */
    size_t stored_bytes; /* of an element, in the file */
    size_t bytes;        /* of an element, in memory   */
    void (*convert)(void *to, const unsigned char *from, size_t n);
} idx_type;

static const idx_type idx_types[] = {
    {0x08, CT_U8, 1, 1, convert_u8},  {0x09, CT_I32, 1, 4, convert_i8}, {0x0B, CT_I32, 2, 4, convert_i16},
    {0x0C, CT_I32, 4, 4, convert_32}, {0x0D, CT_F32, 4, 4, convert_32}, {0x0E, CT_F64, 8, 8, convert_64},
};

static const idx_type *find_type(unsigned char code)
{
    for (size_t i = 0; i < sizeof idx_types / sizeof idx_types[0]; i++) {
        if (idx_types[i].code == code) return &idx_types[i];
    }
    return NULL;
}

static const char *shape_text(const ct_array_file *array, char text[MAX_SHAPE_TEXT])
{
    int used = 0;
    for (int d = 0; d < array->ndim; d++) {
        used += snprintf(text + used, (size_t)(MAX_SHAPE_TEXT - used), "%c%" PRId64, d ? ',' : '[', array->shape[d]);
    }
    snprintf(text + used, (size_t)(MAX_SHAPE_TEXT - used), "]");
    return text;
}

static ct_status read_header_bytes(ct_reader *in, unsigned char *to, size_t bytes, size_t offset)
{
    size_t got;
    ct_status status = ct_reader_read(in, to, bytes, &got);
    if (status != CT_OK || got == bytes) return status;
    if (offset + got == 0) return ct_report(in->ctx, CT_ERR_IO, "%s: the file is empty", in->name);
    return ct_report(in->ctx, CT_ERR_IO, "%s: truncated in the IDX header: expected %zu bytes of it, found %zu",
                     in->name, offset + bytes, offset + got);
}

/* numel, if the data can be addressed both as stored and as converted. */
static ct_status count_elements(ct_reader *in, const idx_type *type, ct_array_file *out)
{
    char text[MAX_SHAPE_TEXT];
    size_t widest = type->bytes > type->stored_bytes ? type->bytes : type->stored_bytes;
    int64_t limit = (int64_t)((size_t)PTRDIFF_MAX / 2 / widest); /* half: room for the header beside it */
    int64_t numel = 1;
    for (int d = 0; d < out->ndim; d++) {
        if (out->shape[d] == 0) {
            return ct_report(in->ctx, CT_ERR_IO, "%s: the IDX header gives the shape %s: dimension %d is zero",
                             in->name, shape_text(out, text), d);
        }
        if (numel > limit / out->shape[d]) {
            return ct_report(in->ctx, CT_ERR_IO,
                             "%s: the IDX header gives the shape %s, which overflows: "
                             "expected at most %" PRId64 " elements",
                             in->name, shape_text(out, text), limit);
        }
        numel *= out->shape[d];
    }
    out->numel = numel;
    return CT_OK;
}

static ct_status read_header(ct_reader *in, const idx_type **type, ct_array_file *out)
{
    unsigned char magic[4], sizes[4 * CT_MAX_DIMS];
    ct_status status = read_header_bytes(in, magic, sizeof magic, 0);
    if (status != CT_OK) return status;
    if (magic[0] != 0 || magic[1] != 0) {
        return ct_report(in->ctx, CT_ERR_IO,
                         "%s: not an IDX file: expected it to begin with the bytes 00 00, "
                         "found %02x %02x",
                         in->name, magic[0], magic[1]);
    }
    *type = find_type(magic[2]);
    if (!*type) {
        return ct_report(in->ctx, CT_ERR_IO,
                         "%s: unsupported IDX type byte: expected 08, 09, 0b, 0c, 0d or 0e, "
                         "found %02x",
                         in->name, magic[2]);
    }
    if (magic[3] == 0 || magic[3] > CT_MAX_DIMS) {
        return ct_report(in->ctx, CT_ERR_IO, "%s: unsupported IDX array: expected 1 to %d dimensions, found %d",
                         in->name, CT_MAX_DIMS, magic[3]);
    }
    out->dtype = (*type)->dtype;
    out->ndim = magic[3];
    status = read_header_bytes(in, sizes, 4 * (size_t)out->ndim, sizeof magic);
    if (status != CT_OK) return status;
    for (int d = 0; d < out->ndim; d++) out->shape[d] = (int64_t)big_endian(sizes + 4 * d, 4);
    return count_elements(in, *type, out);
}

static ct_status report_truncated(ct_reader *in, const ct_array_file *out, int64_t expected, int64_t found)
{
    char text[MAX_SHAPE_TEXT];
    return ct_report(in->ctx, CT_ERR_IO,
                     "%s: truncated: the IDX header gives the shape %s: expected %" PRId64
                     " bytes of data, found %" PRId64,
                     in->name, shape_text(out, text), expected, found);
}

static ct_status report_trailing(ct_reader *in, const ct_array_file *out, int64_t expected)
{
    char text[MAX_SHAPE_TEXT];
    return ct_report(in->ctx, CT_ERR_IO,
                     "%s: trailing bytes: the IDX header gives the shape %s: expected %" PRId64
                     " bytes of data, found more",
                     in->name, shape_text(out, text), expected);
}

static ct_status report_memory(ct_reader *in, const ct_array_file *out)
{
    char text[MAX_SHAPE_TEXT];
    return ct_report(in->ctx, CT_ERR_MEMORY, "%s: no memory for an array of shape %s", in->name, shape_text(out, text));
}

/* A plain file's size is known, so the array is allocated at once, but only if the size is right. */
static ct_status allocate_plain(ct_reader *in, const idx_type *type, ct_array_file *out, size_t *capacity)
{
    int64_t expected = out->numel * (int64_t)type->stored_bytes;
    int64_t found = in->plain_bytes - 4 - 4 * out->ndim;
    if (found < expected) return report_truncated(in, out, expected, found);
    if (found > expected) return report_trailing(in, out, expected);
    out->data = ct_alloc(in->ctx, (size_t)out->numel * type->bytes);
    if (!out->data) return report_memory(in, out);
    *capacity = (size_t)out->numel;
    return CT_OK;
}

static ct_status read_data(ct_reader *in, const idx_type *type, ct_array_file *out)
{
    unsigned char chunk[CHUNK_BYTES];
    size_t numel = (size_t)out->numel, capacity = 0, done = 0, got = 0;
    ct_status status = in->plain_bytes < 0 ? CT_OK : allocate_plain(in, type, out, &capacity);
    while (status == CT_OK && done < numel) {
        size_t n = CHUNK_BYTES / type->stored_bytes;
        if (n > numel - done) n = numel - done;
        status = ct_reader_read(in, chunk, n * type->stored_bytes, &got);
        if (status != CT_OK) return status;
        if (got < n * type->stored_bytes) {
            return report_truncated(in, out, out->numel * (int64_t)type->stored_bytes,
                                    (int64_t)(done * type->stored_bytes + got));
        }
        if (!ct_grow(in->ctx, &out->data, &capacity, done + n, type->bytes)) return report_memory(in, out);
        type->convert((char *)out->data + done * type->bytes, chunk, n);
        done += n;
    }
    if (status != CT_OK) return status;
    status = ct_reader_read(in, chunk, 1, &got);
    if (status != CT_OK || got == 0) return status;
    return report_trailing(in, out, out->numel * (int64_t)type->stored_bytes);
}

ct_status ct_idx_read(ct_context *ctx, const char *path, ct_array_file *out)
{
    if (out) memset(out, 0, sizeof *out);
    if (!ctx) return CT_ERR_ARGUMENT;
    if (!path) return ct_report(ctx, CT_ERR_ARGUMENT, "reading an IDX file: the path is NULL");
    if (!out) return ct_report(ctx, CT_ERR_ARGUMENT, "%s: reading an IDX file: the result pointer is NULL", path);

    ct_reader in;
    const idx_type *type = NULL;
    ct_status status = ct_reader_open(&in, ctx, path);
    if (status != CT_OK) return status;
    status = read_header(&in, &type, out);
    if (status == CT_OK) status = read_data(&in, type, out);
    ct_reader_close(&in);
    if (status != CT_OK) ct_array_file_free(ctx, out);
    return status;
}
