/* Data files into host memory: IDX (MNIST's format) and CSV, plain or gzip.
 *
 * Knows nothing of devices and tensors. Called by data/, which makes data sets of
 * the arrays, and by the tests. Every error is CT_ERR_IO, reported on the context
 * with the file's name and the place in it (CT_ERR_ARGUMENT for a NULL,
 * CT_ERR_MEMORY without memory). After an error *out is all zero.
 */
#ifndef CUTAPE_FILES_FILES_H
#define CUTAPE_FILES_FILES_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ct_array_file {
    ct_dtype dtype;
    int ndim;
    int64_t shape[CT_MAX_DIMS];
    int64_t numel;
    void *data; /* row-major, in the host's byte order */
} ct_array_file;

/* Frees the data and zeroes the struct. A zeroed struct is fine. */
void ct_array_file_free(ct_context *ctx, ct_array_file *array);

/* An IDX file of one to six dimensions, none of them zero. The type byte decides the dtype:
 *   0x08 u8 -> CT_U8      0x09 i8, 0x0B i16, 0x0C i32 -> CT_I32
 *   0x0D f32 -> CT_F32    0x0E f64 -> CT_F64
 * The file must hold exactly the data its header promises. */
ct_status ct_idx_read(ct_context *ctx, const char *path, ct_array_file *out);

/* A table of numbers, one row per line, cells separated by commas.
 *   x  F32 [rows, columns - 1]   all columns but the target, in the file's order
 *   y  F32 [rows, 1], or I32 [rows] if `classes`: integers from 0 below 2^31
 * target_column counts from 0, or from the end when negative. The first line is a header, and is
 * skipped, if any of its cells is text. Blanks around cells, CRLF, a UTF-8 byte order mark and empty
 * lines at the very end are accepted; quoted cells are accepted only in the header. A number is rounded
 * once, to the nearest F32; one too large for it, "nan" and "inf" are errors. */
ct_status ct_csv_read(ct_context *ctx, const char *path, int target_column, bool classes, ct_array_file *x,
                      ct_array_file *y);

#ifdef __cplusplus
}
#endif

#endif
