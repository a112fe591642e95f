/* The record behind ct_loader_next: rows of a dataset, by a cursor on the device. */
#ifndef CUTAPE_OPS_GATHER_H
#define CUTAPE_OPS_GATHER_H

#include "ops/op.h"

typedef struct ct_gather {
    ct_ref x, y;     /* the dataset: [n, ..], [n, ..]                                  */
    ct_ref cursor;   /* i64, one element: batches drawn since the loader was made      */
    int64_t rows;    /* of this batch                                                  */
    int64_t batch;   /* full batch size: batch j of an epoch starts at row j * batch   */
    int64_t batches; /* in an epoch                                                    */
    bool shuffle;
    uint64_t key;        /* of the shuffle                                                 */
    double scale, shift; /* of u8 features, which become f32                             */
} ct_gather;

/* Records one batch; outputs x [rows, ..] and y [rows, ..]. */
ct_status ct_record_gather(ct_context *, const ct_gather *, ct_tensor *x, ct_tensor *y);

#endif
