/* The data a run trains and tests on: loaded or generated, measured, and put into the shape the network
 * takes. */
#ifndef CUTAPE_EXAMPLES_DATA_H
#define CUTAPE_EXAMPLES_DATA_H

#include "options.h"

#include <cutape/cutape.h>

typedef struct train_data {
    ct_dataset *train, *test; /* test: the same as train if there is no other */
    bool has_test;            /* false: results are on the training data */
    bool regression;
    int64_t features, outputs; /* widths of the network's input and output */
    double scale, shift;       /* what loaders make of bytes: mean 0 and deviation 1 over the training data */
} train_data;

/* Loads, or generates, what the options name, and measures it. On failure `message` says why, in one line;
 * data_close is wanted in either case. */
bool data_open(ct_context *ctx, const train_options *options, train_data *data, char *message, size_t size);
void data_close(train_data *data);

/* The next batch as the network wants it: x [batch, features] F32; y [batch] I32 classes, or [batch,
 * outputs]. Zero tensors on error. */
void data_next(ct_context *ctx, const train_data *data, ct_loader *loader, ct_tensor *x, ct_tensor *y);

/* Number of the column called `target` in the heading of a CSV file, or the number that it spells.
 * False: there is no such column. */
bool csv_find_column(const char *path, const char *target, int *column);

/* Three interleaved spirals in the plane, one a class; the same for the same seed. xy [n, 2], label [n]. */
enum { SPIRALS = 3 };
void spirals_generate(uint64_t seed, int64_t n, float *xy, int32_t *label);

#endif
