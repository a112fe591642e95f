/* `cutape train`: a training run from first to last.
 *
 * An epoch records one full step and replays it for the other full batches; the smaller last batch, if there
 * is one, is a recorded step of its own. Losses stay on the device, in a ring as long as an epoch, and are
 * read when there is somebody to tell. Evaluation walks through its data in the same way.
 */
#include "commands.h"
#include "options.h"
#include "progress.h"
#include "trainer.h"

#include <cutape/cutape.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVALUATION_BATCH = 1000, LONGEST_REPLAY = 256 };

typedef struct run {
    const train_options *options;
    trainer t;
    walk test, check;            /* check: the training data in order, for its accuracy */
    float *losses_read;          /* [steps] as read last */
    ct_tensor loss_sum, correct; /* [] totals of an evaluation */
    progress progress;
    double seconds; /* of training, evaluation left out */
} run;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- setting up ------------------------------------------------------------------------------------------
 */

static bool set_up(run *r)
{
    const train_options *o = r->options;
    if (!progress_open(&r->progress, o->output)) {
        snprintf(r->t.message, sizeof r->t.message, "cannot write %s: %s", o->output, strerror(errno));
        return false;
    }
    if (!trainer_open(&r->t, o, false)) return false;
    ct_loader_config batches = {.batch = EVALUATION_BATCH};
    if (walk_open(&r->test, &r->t.data, r->t.data.test, batches) != CT_OK) return false;
    if (walk_open(&r->check, &r->t.data, r->t.data.train, batches) != CT_OK) return false;
    if (!trainer_build(&r->t)) return false;

    r->losses_read = calloc((size_t)r->t.steps, sizeof *r->losses_read);
    r->loss_sum = ct_leaf(r->t.ctx, CT_F32, 0, NULL, NULL);
    r->correct = ct_leaf(r->t.ctx, CT_F32, 0, NULL, NULL);
    if (!r->losses_read) snprintf(r->t.message, sizeof r->t.message, "out of memory");
    return r->losses_read && ct_error(r->t.ctx) == CT_OK;
}

static void introduce(const run *r)
{
    trainer_introduce(&r->t);
    if (!r->t.data.has_test) puts("note     no test files given: results are on the training data");
    fflush(stdout);
}

static void tear_down(run *r)
{
    free(r->losses_read);
    ct_loader_destroy(r->test.loader);
    ct_loader_destroy(r->check.loader);
    trainer_close(&r->t);
}

/* ---- training --------------------------------------------------------------------------------------------
 */

/* The rate of an epoch, counted from 0. */
static double rate_of(const train_options *o, int64_t epoch)
{
    static const double pi = 3.141592653589793;
    double done = (double)epoch / (double)o->epochs;
    switch (o->schedule) {
    case SCHEDULE_COSINE: return o->lr_min + (o->lr - o->lr_min) * (1 + cos(pi * done)) / 2;
    case SCHEDULE_STEP: return fmax(o->lr_min, o->lr * pow(0.1, (double)(3 * epoch / o->epochs)));
    default: return o->lr;
    }
}

/* Mean loss per example over the first `done` steps of this epoch; waits for them. */
static ct_status read_loss(run *r, int64_t done, double *mean)
{
    ct_status status = ct_read(r->t.ctx, r->t.losses, r->losses_read, (size_t)r->t.steps * sizeof *r->losses_read);
    if (status != CT_OK) return status;
    double sum = 0, examples = 0;
    for (int64_t i = 0; i < done; i++) {
        double weight = (double)(i < r->t.training.full ? r->t.training.batch : r->t.training.rest);
        sum += weight * r->losses_read[i];
        examples += weight;
    }
    *mean = sum / examples;
    return CT_OK;
}

static ct_status show_point(run *r, int64_t epoch, int64_t done, double epoch_seconds)
{
    progress_point at = {.epoch = epoch + 1, .epochs = r->options->epochs, .step = done, .steps = r->t.steps};
    ct_status status = read_loss(r, done, &at.loss);
    int64_t all_done = epoch * r->t.steps + done, all = r->options->epochs * r->t.steps;
    at.samples_per_second = (double)(done * r->t.training.batch) / epoch_seconds;
    at.seconds_left = (r->seconds + epoch_seconds) / (double)all_done * (double)(all - all_done);
    if (status == CT_OK) progress_show(&r->progress, &at);
    return status;
}

/* Replays what is left of the full batches, in bites short enough to tell about. */
static ct_status replay_epoch(run *r, int64_t epoch, double start)
{
    int64_t done = 1, bite = r->progress.live ? 1 : r->t.training.full;
    while (done < r->t.training.full) {
        int64_t n = smaller(bite, r->t.training.full - done);
        double before = seconds_now();
        ct_status status = ct_replay(r->t.ctx, n);
        done += n;
        if (status == CT_OK && progress_due(&r->progress)) status = show_point(r, epoch, done, seconds_now() - start);
        if (status != CT_OK) return status;
        double taken = seconds_now() - before;
        if (taken < 0.05) bite = smaller(2 * bite, LONGEST_REPLAY);
        if (taken > 0.2 && bite > 1) bite /= 2;
    }
    return CT_OK;
}

static ct_status train_epoch(run *r, int64_t epoch, progress_epoch *result)
{
    double start = seconds_now();
    ct_status status = ct_optimizer_set_lr(r->t.optimizer, rate_of(r->options, epoch));
    /* A batch is at most the data set, so one is full. */
    if (status == CT_OK) status = trainer_step(&r->t, epoch == 0 ? r->options->dot : NULL);
    if (status == CT_OK) status = replay_epoch(r, epoch, start);
    if (status == CT_OK && r->t.training.rest > 0) status = trainer_step(&r->t, NULL);
    if (status == CT_OK) status = read_loss(r, r->t.steps, &result->train_loss);
    double seconds = seconds_now() - start;
    r->seconds += seconds;
    result->seconds = r->seconds;
    result->samples_per_second = (double)r->t.training.n / seconds;
    result->lr = ct_optimizer_get_lr(r->t.optimizer);
    return status;
}

/* ---- evaluation ------------------------------------------------------------------------------------------
 */

static ct_status record_evaluation(run *r, const walk *w)
{
    ct_tensor x, y;
    data_next(r->t.ctx, &r->t.data, w->loader, &x, &y);
    ct_tensor output = ct_mlp_forward(r->t.mlp, x);
    ct_accumulate(r->t.ctx, r->loss_sum, trainer_loss(&r->t, output, y, CT_REDUCE_SUM));
    if (!r->t.data.regression) {
        ct_tensor right = ct_eq(r->t.ctx, ct_argmax(r->t.ctx, output, -1), y);
        ct_accumulate(r->t.ctx, r->correct, ct_sum(r->t.ctx, right, 0, NULL, false));
    }
    return ct_step_end(r->t.ctx);
}

/* Mean loss, and the part of the examples that are classified rightly (NAN for a regression). */
static ct_status evaluate(run *r, const walk *w, double *loss, double *accuracy)
{
    const float zero = 0;
    ct_write(r->t.ctx, r->loss_sum, &zero, sizeof zero);
    ct_write(r->t.ctx, r->correct, &zero, sizeof zero);

    ct_set_training(r->t.ctx, false);
    ct_no_grad_begin(r->t.ctx);
    ct_status status = record_evaluation(r, w);
    if (status == CT_OK) status = ct_replay(r->t.ctx, w->full - 1);
    if (status == CT_OK && w->rest > 0) status = record_evaluation(r, w);
    ct_no_grad_end(r->t.ctx);
    ct_set_training(r->t.ctx, true);
    if (status != CT_OK) return status;

    double values = (double)w->n * (r->t.data.regression ? (double)r->t.data.outputs : 1);
    *loss = ct_item(r->t.ctx, r->loss_sum) / values;
    *accuracy = r->t.data.regression ? NAN : ct_item(r->t.ctx, r->correct) / (double)w->n;
    return ct_error(r->t.ctx);
}

/* On the test data; on the training data too where there is no other, or the curve wants it. */
static ct_status evaluate_epoch(run *r, progress_epoch *result)
{
    result->train_accuracy = result->test_loss = result->test_accuracy = NAN;
    double loss;
    ct_status status = CT_OK;
    if (r->t.data.has_test) status = evaluate(r, &r->test, &result->test_loss, &result->test_accuracy);
    bool wanted = !r->t.data.has_test || (r->options->output && !r->t.data.regression);
    if (status == CT_OK && wanted) status = evaluate(r, &r->check, &loss, &result->train_accuracy);
    if (status == CT_OK && !r->t.data.has_test) result->test_loss = loss;
    return status;
}

/* ---- the run ---------------------------------------------------------------------------------------------
 */

static bool train(run *r, progress_epoch *last)
{
    for (int64_t epoch = 0; epoch < r->options->epochs; epoch++) {
        *last = (progress_epoch){.epoch = epoch + 1,
                                 .epochs = r->options->epochs,
                                 .step = (epoch + 1) * r->t.steps,
                                 .has_test = r->t.data.has_test,
                                 .regression = r->t.data.regression};
        if (train_epoch(r, epoch, last) != CT_OK) return false;
        if (!isfinite(last->train_loss)) {
            snprintf(r->t.message, sizeof r->t.message, "the loss is %g in epoch %lld; try a smaller --lr, or --clip 1",
                     last->train_loss, (long long)epoch + 1);
            return false;
        }
        if (evaluate_epoch(r, last) != CT_OK) return false;
        progress_epoch_done(&r->progress, last);
    }
    return true;
}

/* The last line on stdout; false if stdout could not take all it was given. */
static bool conclude(const progress_epoch *e)
{
    const char *part = e->has_test ? "test" : "training";
    if (e->regression)
        printf("%s loss %.6g\n", part, e->test_loss);
    else
        printf("%s accuracy %.2f %%\n", part, 100 * (e->has_test ? e->test_accuracy : e->train_accuracy));
    return fflush(stdout) == 0 && !ferror(stdout);
}

int command_train(int argc, char **argv)
{
    train_options options;
    char message[512];
    switch (options_parse(OPTIONS_OF_TRAIN, argc, argv, &options, message, sizeof message)) {
    case OPTIONS_OK: break;
    case OPTIONS_HELP: options_help(OPTIONS_OF_TRAIN, stdout); return EXIT_DONE;
    case OPTIONS_BAD: fprintf(stderr, "cutape train: %s\n", message); return EXIT_USAGE;
    }

    run r = {.options = &options};
    progress_epoch last;
    bool done = set_up(&r);
    if (done) {
        introduce(&r);
        done = train(&r, &last);
    }
    if (!progress_close(&r.progress) && done) {
        snprintf(r.t.message, sizeof r.t.message, "%s could not be written in full", options.output);
        done = false;
    }
    if (done && !conclude(&last)) {
        snprintf(r.t.message, sizeof r.t.message, "standard output could not be written in full");
        done = false;
    }
    int status = done ? EXIT_DONE : trainer_fail(&r.t, "train");
    tear_down(&r);
    return status;
}
