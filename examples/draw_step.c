/* Draws one training step: a network of two layers, its loss, the backward pass and the update.
 *
 *     draw_step step.dot && dot -Tsvg step.dot > step.svg
 *
 * draw_step.svg, beside this file, is what comes out. */
#include <cutape/cutape.h>
#include <stdio.h>
#include <stdlib.h>

static ct_tensor parameter(ct_context *ctx, ct_params *params, const char *name, int ndim, const int64_t *shape)
{
    ct_tensor leaf = ct_full(ctx, CT_F32, ndim, shape, 0.1);
    ct_set_requires_grad(ctx, leaf, true);
    ct_params_add(params, name, leaf); /* which names the leaf, too */
    return leaf;
}

static ct_tensor named(ct_context *ctx, ct_tensor x, const char *name)
{
    ct_set_name(ctx, x, name);
    return x;
}

static void record_step(ct_context *ctx, ct_params *params, ct_optimizer **sgd)
{
    ct_tensor w1 = parameter(ctx, params, "w1", 2, (int64_t[]){32, 8});
    ct_tensor b1 = parameter(ctx, params, "b1", 1, (int64_t[]){32});
    ct_tensor w2 = parameter(ctx, params, "w2", 2, (int64_t[]){4, 32});
    ct_tensor b2 = parameter(ctx, params, "b2", 1, (int64_t[]){4});
    ct_tensor x = named(ctx, ct_full(ctx, CT_F32, 2, (int64_t[]){64, 8}, 1.0), "x");
    ct_tensor y = named(ctx, ct_full(ctx, CT_I32, 1, (int64_t[]){64}, 2), "y");
    ct_sgd_create(ctx, params, NULL, sgd);

    ct_tensor h = named(ctx, ct_linear(ctx, x, w1, b1, CT_ACT_TANH), "h");
    ct_tensor logits = named(ctx, ct_linear(ctx, h, w2, b2, CT_ACT_IDENTITY), "logits");
    ct_tensor loss = named(ctx, ct_cross_entropy(ctx, logits, y, 0.0, -100, CT_REDUCE_MEAN), "loss");
    ct_optimizer_zero_grad(*sgd);
    ct_backward(ctx, loss);
    ct_optimizer_step(*sgd);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "step.dot";
    ct_context *ctx;
    ct_params *params = NULL;
    ct_optimizer *sgd = NULL;
    if (ct_create(&(ct_config){.device = CT_DEVICE_CPU}, &ctx) == CT_OK) {
        ct_params_create(ctx, &params);
        record_step(ctx, params, &sgd);
        ct_tape_print(ctx, NULL);  /* the same as text, to the log */
        ct_tape_to_dot(ctx, path); /* before ct_step_end, which empties the tape */
        ct_step_end(ctx);
    }
    const int failed = *ct_error_message(ctx) != 0;
    if (failed) fprintf(stderr, "%s\n", ct_error_message(ctx));
    ct_optimizer_destroy(sgd);
    ct_params_destroy(params);
    ct_destroy(ctx);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
