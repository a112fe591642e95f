/* `cutape train`: a training run from first to last.
 *
 * An epoch records one full step and replays it for the other full batches; the smaller last batch, if there
 * is one, is a recorded step of its own. Losses stay on the device, in a ring as long as an epoch, and are
 * read when there is somebody to tell. Evaluation walks through its data in the same way.
 */
#include "commands.h"
#include "data.h"
#include "options.h"
#include "progress.h"

#include <cutape/cutape.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVALUATION_BATCH = 1000, LONGEST_REPLAY = 256 };

/* A pass over a data set: `full` batches of `batch` examples, then one of `rest` if that is not 0. */
typedef struct walk {
    ct_loader *loader;
    int64_t n, batch, full, rest;
} walk;

typedef struct run {
    const train_options *options;
    ct_context *ctx;
    train_data data;
    ct_mlp *mlp;
    ct_optimizer *optimizer;
    walk training, test, check;  /* check: the training data in order, for its accuracy */
    int64_t steps;               /* in an epoch */
    ct_tensor losses;            /* [steps] ring: the loss of each step of this epoch */
    float *losses_read;          /* [steps] as read last */
    ct_tensor loss_sum, correct; /* [] totals of an evaluation */
    progress progress;
    double seconds;     /* of training, evaluation left out */
    char message[1024]; /* why it failed, where the context does not know */
} run;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- setting up ------------------------------------------------------------------------------------------
 */

static void quiet(void *user, const char *message)
{
    (void)user;
    (void)message;
}

static ct_status open_walk(walk *w, const train_data *data, ct_dataset *set, int64_t batch, bool shuffle)
{
    w->n = ct_dataset_size(set);
    w->batch = smaller(batch, w->n);
    w->full = w->n / w->batch;
    w->rest = w->n % w->batch;
    ct_loader_config config = {.batch = w->batch, .shuffle = shuffle, .scale = data->scale, .shift = data->shift};
    return ct_loader_create(set, &config, &w->loader);
}

static ct_status create_network(run *r)
{
    const train_options *o = r->options;
    int64_t widths[MAX_HIDDEN + 2] = {r->data.features};
    memcpy(widths + 1, o->hidden, (size_t)o->n_hidden * sizeof *widths);
    widths[o->n_hidden + 1] = r->data.outputs;
    ct_mlp_config config = {
        .n_layers = o->n_hidden + 1, .widths = widths, .activation = o->activation, .dropout = o->dropout};
    return ct_mlp_create(r->ctx, &config, &r->mlp);
}

static ct_status create_optimizer(run *r)
{
    const train_options *o = r->options;
    ct_params *params = ct_mlp_params(r->mlp);
    if (o->optimizer == OPTIMIZER_SGD) {
        ct_sgd_config sgd;
        ct_sgd_defaults(&sgd);
        sgd.lr = o->lr;
        sgd.momentum = o->momentum;
        if (o->weight_decay >= 0) sgd.weight_decay = o->weight_decay;
        return ct_sgd_create(r->ctx, params, &sgd, &r->optimizer);
    }
    ct_adam_config adam;
    if (o->optimizer == OPTIMIZER_ADAMW)
        ct_adamw_defaults(&adam);
    else
        ct_adam_defaults(&adam);
    adam.lr = o->lr;
    if (o->weight_decay >= 0) adam.weight_decay = o->weight_decay;
    return ct_adam_create(r->ctx, params, &adam, &r->optimizer);
}

static bool set_up(run *r)
{
    const train_options *o = r->options;
    if (!progress_open(&r->progress, o->output)) {
        snprintf(r->message, sizeof r->message, "cannot write %s: %s", o->output, strerror(errno));
        return false;
    }
    ct_config config = {.device = o->device, .seed = o->seed, .cpu_threads = (int32_t)o->threads, .log = quiet};
    if (ct_create(&config, &r->ctx) != CT_OK) return false;
    if (!data_open(r->ctx, o, &r->data, r->message, sizeof r->message)) return false;

    if (open_walk(&r->training, &r->data, r->data.train, o->batch, true) != CT_OK) return false;
    if (open_walk(&r->test, &r->data, r->data.test, EVALUATION_BATCH, false) != CT_OK) return false;
    if (open_walk(&r->check, &r->data, r->data.train, EVALUATION_BATCH, false) != CT_OK) return false;
    if (create_network(r) != CT_OK || create_optimizer(r) != CT_OK) return false;

    r->steps = ct_loader_batches(r->training.loader);
    r->losses_read = calloc((size_t)r->steps, sizeof *r->losses_read);
    r->losses = ct_leaf(r->ctx, CT_F32, 1, &r->steps, NULL);
    ct_set_name(r->ctx, r->losses, "losses");
    r->loss_sum = ct_leaf(r->ctx, CT_F32, 0, NULL, NULL);
    r->correct = ct_leaf(r->ctx, CT_F32, 0, NULL, NULL);
    if (!r->losses_read) snprintf(r->message, sizeof r->message, "out of memory");
    return r->losses_read && ct_error(r->ctx) == CT_OK;
}

static void introduce(const run *r)
{
    printf("data     %lld training examples", (long long)r->training.n);
    if (r->data.has_test) printf(", %lld test examples", (long long)r->test.n);
    printf("\nnetwork  %lld", (long long)r->data.features);
    for (int32_t i = 0; i < r->options->n_hidden; i++) printf("-%lld", (long long)r->options->hidden[i]);
    printf("-%lld\ndevice   %s\n", (long long)r->data.outputs, ct_device_name(r->ctx));
    if (r->training.batch < r->options->batch)
        printf("note     --batch is %lld here, all the examples there are\n", (long long)r->training.batch);
    if (!r->data.has_test) puts("note     no test files given: results are on the training data");
    fflush(stdout);
}

static void tear_down(run *r)
{
    free(r->losses_read);
    ct_optimizer_destroy(r->optimizer);
    ct_mlp_destroy(r->mlp);
    ct_loader_destroy(r->training.loader);
    ct_loader_destroy(r->test.loader);
    ct_loader_destroy(r->check.loader);
    data_close(&r->data);
    ct_destroy(r->ctx);
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

static ct_tensor loss_of(const run *r, ct_tensor output, ct_tensor y, ct_reduction reduction)
{
    if (r->data.regression) return ct_mse_loss(r->ctx, output, y, reduction);
    return ct_cross_entropy(r->ctx, output, y, 0.0, -100, reduction);
}

/* One step, drawn into a file if one is named. */
static ct_status record_step(run *r, const char *dot)
{
    ct_tensor x, y;
    data_next(r->ctx, &r->data, r->training.loader, &x, &y);
    ct_tensor loss = loss_of(r, ct_mlp_forward(r->mlp, x), y, CT_REDUCE_MEAN);
    ct_optimizer_zero_grad(r->optimizer);
    ct_backward(r->ctx, loss);
    if (r->options->clip > 0) ct_clip_grad_norm(ct_mlp_params(r->mlp), r->options->clip, NULL);
    ct_optimizer_step(r->optimizer);
    ct_append(r->ctx, r->losses, loss);
    ct_status status = dot ? ct_tape_to_dot(r->ctx, dot) : CT_OK;
    return status == CT_OK ? ct_step_end(r->ctx) : status;
}

/* Mean loss per example over the first `done` steps of this epoch; waits for them. */
static ct_status read_loss(run *r, int64_t done, double *mean)
{
    ct_status status = ct_read(r->ctx, r->losses, r->losses_read, (size_t)r->steps * sizeof *r->losses_read);
    if (status != CT_OK) return status;
    double sum = 0, examples = 0;
    for (int64_t i = 0; i < done; i++) {
        double weight = (double)(i < r->training.full ? r->training.batch : r->training.rest);
        sum += weight * r->losses_read[i];
        examples += weight;
    }
    *mean = sum / examples;
    return CT_OK;
}

static ct_status show_point(run *r, int64_t epoch, int64_t done, double epoch_seconds)
{
    progress_point at = {.epoch = epoch + 1, .epochs = r->options->epochs, .step = done, .steps = r->steps};
    ct_status status = read_loss(r, done, &at.loss);
    int64_t all_done = epoch * r->steps + done, all = r->options->epochs * r->steps;
    at.samples_per_second = (double)(done * r->training.batch) / epoch_seconds;
    at.seconds_left = (r->seconds + epoch_seconds) / (double)all_done * (double)(all - all_done);
    if (status == CT_OK) progress_show(&r->progress, &at);
    return status;
}

/* Replays what is left of the full batches, in bites short enough to tell about. */
static ct_status replay_epoch(run *r, int64_t epoch, double start)
{
    int64_t done = 1, bite = r->progress.live ? 1 : r->training.full;
    while (done < r->training.full) {
        int64_t n = smaller(bite, r->training.full - done);
        double before = seconds_now();
        ct_status status = ct_replay(r->ctx, n);
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
    ct_status status = ct_optimizer_set_lr(r->optimizer, rate_of(r->options, epoch));
    /* A batch is at most the data set, so one is full. */
    if (status == CT_OK) status = record_step(r, epoch == 0 ? r->options->dot : NULL);
    if (status == CT_OK) status = replay_epoch(r, epoch, start);
    if (status == CT_OK && r->training.rest > 0) status = record_step(r, NULL);
    if (status == CT_OK) status = read_loss(r, r->steps, &result->train_loss);
    double seconds = seconds_now() - start;
    r->seconds += seconds;
    result->seconds = r->seconds;
    result->samples_per_second = (double)r->training.n / seconds;
    result->lr = ct_optimizer_get_lr(r->optimizer);
    return status;
}

/* ---- evaluation ------------------------------------------------------------------------------------------
 */

static ct_status record_evaluation(run *r, const walk *w)
{
    ct_tensor x, y;
    data_next(r->ctx, &r->data, w->loader, &x, &y);
    ct_tensor output = ct_mlp_forward(r->mlp, x);
    ct_accumulate(r->ctx, r->loss_sum, loss_of(r, output, y, CT_REDUCE_SUM));
    if (!r->data.regression) {
        ct_tensor right = ct_eq(r->ctx, ct_argmax(r->ctx, output, -1), y);
        ct_accumulate(r->ctx, r->correct, ct_sum(r->ctx, right, 0, NULL, false));
    }
    return ct_step_end(r->ctx);
}

/* Mean loss, and the part of the examples that are classified rightly (NAN for a regression). */
static ct_status evaluate(run *r, const walk *w, double *loss, double *accuracy)
{
    const float zero = 0;
    ct_write(r->ctx, r->loss_sum, &zero, sizeof zero);
    ct_write(r->ctx, r->correct, &zero, sizeof zero);

    ct_set_training(r->ctx, false);
    ct_no_grad_begin(r->ctx);
    ct_status status = record_evaluation(r, w);
    if (status == CT_OK) status = ct_replay(r->ctx, w->full - 1);
    if (status == CT_OK && w->rest > 0) status = record_evaluation(r, w);
    ct_no_grad_end(r->ctx);
    ct_set_training(r->ctx, true);
    if (status != CT_OK) return status;

    double values = (double)w->n * (r->data.regression ? (double)r->data.outputs : 1);
    *loss = ct_item(r->ctx, r->loss_sum) / values;
    *accuracy = r->data.regression ? NAN : ct_item(r->ctx, r->correct) / (double)w->n;
    return ct_error(r->ctx);
}

/* On the test data; on the training data too where there is no other, or the curve wants it. */
static ct_status evaluate_epoch(run *r, progress_epoch *result)
{
    result->train_accuracy = result->test_loss = result->test_accuracy = NAN;
    double loss;
    ct_status status = CT_OK;
    if (r->data.has_test) status = evaluate(r, &r->test, &result->test_loss, &result->test_accuracy);
    bool wanted = !r->data.has_test || (r->options->output && !r->data.regression);
    if (status == CT_OK && wanted) status = evaluate(r, &r->check, &loss, &result->train_accuracy);
    if (status == CT_OK && !r->data.has_test) result->test_loss = loss;
    return status;
}

/* ---- the run ---------------------------------------------------------------------------------------------
 */

static bool train(run *r, progress_epoch *last)
{
    for (int64_t epoch = 0; epoch < r->options->epochs; epoch++) {
        *last = (progress_epoch){.epoch = epoch + 1,
                                 .epochs = r->options->epochs,
                                 .step = (epoch + 1) * r->steps,
                                 .has_test = r->data.has_test,
                                 .regression = r->data.regression};
        if (train_epoch(r, epoch, last) != CT_OK) return false;
        if (!isfinite(last->train_loss)) {
            snprintf(r->message, sizeof r->message, "the loss is %g in epoch %lld; try a smaller --lr, or --clip 1",
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

/* The one line that says what went wrong. */
static int fail(const run *r)
{
    const char *why = r->message;
    if (!*why && r->ctx) why = ct_error_message(r->ctx);
    if (!*why) why = "out of memory";
    fputs("cutape train: ", stderr);
    for (; *why; why++) fputc(*why == '\n' ? ' ' : *why, stderr);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

int command_train(int argc, char **argv)
{
    train_options options;
    char message[512];
    switch (options_parse(argc, argv, &options, message, sizeof message)) {
    case OPTIONS_OK: break;
    case OPTIONS_HELP: options_help(stdout); return EXIT_DONE;
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
        snprintf(r.message, sizeof r.message, "%s could not be written in full", options.output);
        done = false;
    }
    if (done && !conclude(&last)) {
        snprintf(r.message, sizeof r.message, "standard output could not be written in full");
        done = false;
    }
    int status = done ? EXIT_DONE : fail(&r);
    tear_down(&r);
    return status;
}
