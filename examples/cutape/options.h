/* What `cutape train` and `cutape profile` can be told on their command lines. Parsing knows nothing of the runtime
 * beyond the values of CT_ACT_*, CT_DEVICE_* and CT_PROFILE_BY_*, prints nothing and ends nothing: it fills a struct,
 * or writes the one line that tells the user what to type instead. */
#ifndef CUTAPE_EXAMPLES_OPTIONS_H
#define CUTAPE_EXAMPLES_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { DATA_FASHION_MNIST, DATA_SPIRALS, DATA_IDX, DATA_CSV };
enum { OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_ADAMW };
enum { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_STEP };
enum { MAX_HIDDEN = 30 };

/* Whose options: most are taken by each command. */
typedef enum options_command { OPTIONS_OF_ALL, OPTIONS_OF_TRAIN, OPTIONS_OF_PROFILE } options_command;

typedef struct train_options {
    int32_t data;                                            /* DATA_* */
    const char *data_dir;                                    /* fashion-mnist */
    const char *images, *labels, *test_images, *test_labels; /* idx */
    const char *csv, *target, *test_csv;                     /* csv */
    bool regression;

    int32_t n_hidden;
    int64_t hidden[MAX_HIDDEN]; /* input and output widths follow from the data */
    int32_t activation;         /* CT_ACT_* */
    double dropout;

    int32_t optimizer;           /* OPTIMIZER_* */
    double lr, lr_min, momentum; /* rates per epoch run from lr down to lr_min */
    double weight_decay;         /* below 0: the optimizer's own default */
    int32_t schedule;            /* SCHEDULE_* */
    double clip;                 /* largest gradient norm; 0: no clipping */
    int64_t batch, epochs;
    uint64_t seed;

    int64_t steps, warmup, replays;   /* profile: timed steps, steps before them, plain replays      */
    int32_t sort;                     /* CT_PROFILE_BY_*                                              */
    const char *table, *trace, *html; /* files, or NULL                                              */

    int32_t device;     /* CT_DEVICE_* */
    int64_t threads;    /* 0: the runtime chooses */
    const char *output; /* CSV file of the curve, or NULL */
    const char *dot;    /* drawing of a step, or NULL     */

    bool help;
} train_options;

typedef enum options_result { OPTIONS_OK, OPTIONS_HELP, OPTIONS_BAD } options_result;

/* Arguments after the name of the command. OPTIONS_BAD: `message` holds one line without a line end. */
options_result options_parse(options_command command, int argc, char **argv, train_options *options, char *message,
                             size_t size);
void options_help(options_command command, FILE *out);

/* The word of `words` (n of them, `stride` bytes apart) nearest to a mistyped one, or NULL if none is near.
 */
const char *nearest_word(const char *typed, const void *words, size_t n, size_t stride);

#endif
