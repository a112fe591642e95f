/* What the text of a table (table.c), its JSON (json.c) and the page (page.c) share. */
#ifndef CUTAPE_PROFILE_TABLE_H
#define CUTAPE_PROFILE_TABLE_H

#include "profile/figures.h"
#include "profile/grid.h"

/* A profile that is written. */
typedef struct ct_report_of {
    ct_context *ctx;
    const ct_profile *p;
    uint32_t *order; /* of the rows */
    ct_profile_sums sums;
} ct_report_of;

/* The rows in their order, and the pairs of forward and backward: the first `most` of them. For ct_grid_write, or
 * ct_text_free(&cells). */
ct_grid ct_rows_as_grid(const ct_report_of *, size_t most);
ct_grid ct_pairs_as_grid(const ct_report_of *, size_t most);

/* False: host memory is out. */
bool ct_write_json(const ct_report_of *, ct_lines *);

/* A forward row that has backward time. */
static inline bool ct_is_pair(const ct_report_of *r, uint32_t row)
{
    return r->p->rows[row].phase == CT_PHASE_FORWARD && r->sums.backward_ns[row] > 0;
}

#endif
