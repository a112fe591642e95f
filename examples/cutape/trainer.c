/* A network in training: see trainer.h. */
#include "trainer.h"

#include "commands.h"

#include <stdlib.h>
#include <string.h>

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static void log_line(void *user, const char *message)
{
    const trainer *t = user;
    if (t->log) fprintf(t->log, "%s\n", message);
}

ct_status walk_open(walk *w, const train_data *data, ct_dataset *set, ct_loader_config config)
{
    w->n = ct_dataset_size(set);
    w->batch = smaller(config.batch, w->n);
    w->full = w->n / w->batch;
    w->rest = config.drop_last ? 0 : w->n % w->batch;
    config.batch = w->batch;
    config.scale = data->scale;
    config.shift = data->shift;
    return ct_loader_create(set, &config, &w->loader);
}

static ct_status create_network(trainer *t)
{
    const train_options *o = t->options;
    int64_t widths[MAX_HIDDEN + 2] = {t->data.features};
    memcpy(widths + 1, o->hidden, (size_t)o->n_hidden * sizeof *widths);
    widths[o->n_hidden + 1] = t->data.outputs;
    ct_mlp_config config = {
        .n_layers = o->n_hidden + 1, .widths = widths, .activation = o->activation, .dropout = o->dropout};
    return ct_mlp_create(t->ctx, &config, &t->mlp);
}

static ct_status create_optimizer(trainer *t)
{
    const train_options *o = t->options;
    ct_params *params = ct_mlp_params(t->mlp);
    if (o->optimizer == OPTIMIZER_SGD) {
        ct_sgd_config sgd;
        ct_sgd_defaults(&sgd);
        sgd.lr = o->lr;
        sgd.momentum = o->momentum;
        if (o->weight_decay >= 0) sgd.weight_decay = o->weight_decay;
        return ct_sgd_create(t->ctx, params, &sgd, &t->optimizer);
    }
    ct_adam_config adam;
    if (o->optimizer == OPTIMIZER_ADAMW)
        ct_adamw_defaults(&adam);
    else
        ct_adam_defaults(&adam);
    adam.lr = o->lr;
    if (o->weight_decay >= 0) adam.weight_decay = o->weight_decay;
    return ct_adam_create(t->ctx, params, &adam, &t->optimizer);
}

bool trainer_open(trainer *t, const train_options *o, bool drop_last)
{
    t->options = o;
    ct_config config = {
        .device = o->device, .seed = o->seed, .cpu_threads = (int32_t)o->threads, .log = log_line, .log_user = t};
    if (ct_create(&config, &t->ctx) != CT_OK) return false;
    if (!data_open(t->ctx, o, &t->data, t->message, sizeof t->message)) return false;
    ct_loader_config batches = {.batch = o->batch, .shuffle = true, .drop_last = drop_last};
    return walk_open(&t->training, &t->data, t->data.train, batches) == CT_OK;
}

bool trainer_build(trainer *t)
{
    if (create_network(t) != CT_OK || create_optimizer(t) != CT_OK) return false;
    t->steps = ct_loader_batches(t->training.loader);
    t->losses = ct_leaf(t->ctx, CT_F32, 1, &t->steps, NULL);
    ct_set_name(t->ctx, t->losses, "losses");
    return ct_error(t->ctx) == CT_OK;
}

void trainer_close(trainer *t)
{
    ct_optimizer_destroy(t->optimizer);
    ct_mlp_destroy(t->mlp);
    ct_loader_destroy(t->training.loader);
    data_close(&t->data);
    ct_destroy(t->ctx);
}

void trainer_introduce(const trainer *t)
{
    printf("data     %lld training examples", (long long)t->training.n);
    if (t->data.has_test) printf(", %lld test examples", (long long)ct_dataset_size(t->data.test));
    printf("\nnetwork  %lld", (long long)t->data.features);
    for (int32_t i = 0; i < t->options->n_hidden; i++) printf("-%lld", (long long)t->options->hidden[i]);
    printf("-%lld\ndevice   %s\n", (long long)t->data.outputs, ct_device_name(t->ctx));
    if (t->training.batch < t->options->batch)
        printf("note     --batch is %lld here, all the examples there are\n", (long long)t->training.batch);
}

ct_tensor trainer_loss(const trainer *t, ct_tensor output, ct_tensor y, ct_reduction reduction)
{
    if (t->data.regression) return ct_mse_loss(t->ctx, output, y, reduction);
    return ct_cross_entropy(t->ctx, output, y, 0.0, -100, reduction);
}

ct_status trainer_step(trainer *t, const char *dot)
{
    ct_tensor x, y;
    data_next(t->ctx, &t->data, t->training.loader, &x, &y);
    ct_tensor loss = trainer_loss(t, ct_mlp_forward(t->mlp, x), y, CT_REDUCE_MEAN);
    ct_optimizer_zero_grad(t->optimizer);
    ct_backward(t->ctx, loss);
    if (t->options->clip > 0) ct_clip_grad_norm(ct_mlp_params(t->mlp), t->options->clip, NULL);
    ct_optimizer_step(t->optimizer);
    ct_append(t->ctx, t->losses, loss);
    ct_status status = dot ? ct_tape_to_dot(t->ctx, dot) : CT_OK;
    return status == CT_OK ? ct_step_end(t->ctx) : status;
}

int trainer_fail(const trainer *t, const char *command)
{
    const char *why = t->message;
    if (!*why && t->ctx) why = ct_error_message(t->ctx);
    if (!*why) why = "out of memory";
    fprintf(stderr, "cutape %s: ", command);
    for (; *why; why++) fputc(*why == '\n' ? ' ' : *why, stderr);
    fputc('\n', stderr);
    return EXIT_FAILED;
}
