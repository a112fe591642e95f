/* What a run tells while it goes on: a line that rewrites itself on a terminal, a line an epoch, and the
 * curve as a CSV file. Knows nothing of the runtime. */
#ifndef CUTAPE_EXAMPLES_PROGRESS_H
#define CUTAPE_EXAMPLES_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Where a run stands within an epoch. */
typedef struct progress_point {
    int64_t epoch, epochs; /* from 1 */
    int64_t step, steps;   /* of this epoch */
    double loss;           /* mean so far in this epoch */
    double samples_per_second;
    double seconds_left; /* until the last epoch ends; below 0: not known yet */
} progress_point;

/* What an epoch came to. NAN: not measured. */
typedef struct progress_epoch {
    int64_t epoch, epochs;
    int64_t step;                                                    /* since the run began */
    double lr, train_loss, train_accuracy, test_loss, test_accuracy; /* accuracies from 0 to 1 */
    bool has_test;                                                   /* false: test_loss is that of the training data */
    bool regression;
    double seconds;            /* of training since the run began, evaluation left out */
    double samples_per_second; /* of this epoch */
} progress_epoch;

/* Monotonic time in seconds. */
double seconds_now(void);

typedef struct progress {
    bool live;   /* stderr is a terminal */
    bool shown;  /* a line is there to be rewritten */
    double last; /* when it was written */
    FILE *curve; /* or NULL */
} progress;

/* output: file of the curve, or NULL. False: it cannot be written. */
bool progress_open(progress *p, const char *output);
/* Is it time to rewrite the line? At most ten times a second, and never without a terminal. */
bool progress_due(const progress *p);
void progress_show(progress *p, const progress_point *at);
/* Takes the line away, before anything else is printed. */
void progress_clear(progress *p);
void progress_epoch_done(progress *p, const progress_epoch *e);
/* False: the curve could not be written in full. */
bool progress_close(progress *p);

/* The texts by themselves; a line has no line end. */
void progress_format_point(char *line, size_t size, const progress_point *at);
void progress_format_epoch(char *line, size_t size, const progress_epoch *e);
void progress_format_curve(char *line, size_t size, const progress_epoch *e);

#endif
