/* concat: rows that are made of parts, each a row of another tensor or zeros.
 *
 * p: table of ct_part_row, y.  m, n, k: rows, elements in a row, parts. Any dtype: bytes are copied.
 */
#include "cpu.h"

#include <string.h>

static const int64_t bytes_of[N_DTYPES] = {[F32] = 4, [F64] = 8, [I32] = 4, [U8] = 1, [I64] = 8};

static uint32_t grid(const ct_args *a) { return ct_blocks_over(a->m * a->n); }

static int64_t end_of(const ct_args *a, int64_t part)
{
    const ct_part_row *parts = a->p[0];
    return part + 1 < a->k ? parts[part + 1].first : a->n;
}

static void concat(const ct_args *a, uint32_t first, uint32_t last)
{
    const ct_part_row *parts = a->p[0];
    const int64_t bytes = bytes_of[a->dtype], end = ct_last_element(last, a->m * a->n);
    int64_t e = ct_first_element(first), row = e / a->n, column = e % a->n, part = 0;
    while (end_of(a, part) <= column) part++;
    while (e < end) {
        const ct_part_row *p = &parts[part];
        const int64_t n = ct_min(end_of(a, part) - column, end - e);
        char *to = (char *)a->p[1] + e * bytes;
        if (n > 0 && p->x)
            memcpy(to, (const char *)p->x + (row * p->width + column - p->first) * bytes, (size_t)(n * bytes));
        else if (n > 0)
            memset(to, 0, (size_t)(n * bytes));
        e += n;
        column += n;
        if (column == a->n)
            row++, column = 0, part = 0;
        else
            part++;
    }
}

const ct_cpu_kernel CT_CPU(concat) = {
    .grid = grid, .body = {[F32] = concat, [F64] = concat, [I32] = concat, [U8] = concat, [I64] = concat}};
