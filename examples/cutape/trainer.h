/* A network in training: context, data, network and optimizer as the options say, and its step. What `cutape train`
 * and `cutape profile` have in common. */
#ifndef CUTAPE_EXAMPLES_TRAINER_H
#define CUTAPE_EXAMPLES_TRAINER_H

#include "data.h"
#include "options.h"

#include <cutape/cutape.h>

/* A pass over a data set: `full` batches of `batch` examples, then one of `rest` if that is not 0. */
typedef struct walk {
    ct_loader *loader;
    int64_t n, batch, full, rest;
} walk;

typedef struct trainer {
    const train_options *options;
    FILE *log; /* where lines of the log go just now, or NULL */
    ct_context *ctx;
    train_data data;
    ct_mlp *mlp;
    ct_optimizer *optimizer;
    walk training;
    int64_t steps;      /* in an epoch                                       */
    ct_tensor losses;   /* [steps] ring: the loss of each step of this epoch */
    char message[1024]; /* why it failed, where the context does not know    */
} trainer;

/* Context and data; drop_last: without the smaller last batch of an epoch. False: trainer_fail tells; trainer_close is
 * wanted in either case. */
bool trainer_open(trainer *, const train_options *, bool drop_last);
/* Network and optimizer. Other loaders come before it: they draw from the same random numbers. */
bool trainer_build(trainer *);
void trainer_close(trainer *);

/* Prints what is trained, on what. */
void trainer_introduce(const trainer *);
ct_tensor trainer_loss(const trainer *, ct_tensor output, ct_tensor y, ct_reduction);
/* Records one step and ends it; draws it into a file first if one is named. */
ct_status trainer_step(trainer *, const char *dot);
/* The one line that says what went wrong, and the exit status that goes with it. */
int trainer_fail(const trainer *, const char *command);

/* Scale and shift are the data's; a batch is at most the whole set. */
ct_status walk_open(walk *, const train_data *, ct_dataset *, ct_loader_config);

#endif
