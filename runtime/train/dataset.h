/* Data sets as loaders see them. */
#ifndef CUTAPE_TRAIN_DATASET_H
#define CUTAPE_TRAIN_DATASET_H

#include "core/context.h"

struct ct_dataset {
    ct_context *ctx;
    int refs;
    int64_t n;
    ct_tensor x, y; /* [n, ..] */
};

#endif
