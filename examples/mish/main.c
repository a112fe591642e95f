/* A network with an activation of its own: fits sin on [-3, 3] with mish between its layers, and compares the op
 * with the same formula written in ops. */
#include "mish.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 64, WIDTH = 16, STEPS = 2000 };

#ifdef MISH_HAS_CUDA
static int (*const cuda)(const ct_op_call *, void *) = mish_cuda;
#else
static int (*const cuda)(const ct_op_call *, void *) = NULL;
#endif

/* The largest difference from the formula in ops, of values and of gradients. */
static double difference(ct_context *ctx, ct_op_handle mish, ct_tensor x)
{
    double worst = 0;
    float values[2][POINTS];
    for (int gradient = 0; gradient < 2; gradient++) {
        ct_tensor results[2] = {ct_call(ctx, mish, 1, &x, 0, NULL, 0, NULL),
                                ct_mul(ctx, x, ct_tanh(ctx, ct_softplus(ctx, x)))};
        for (int i = 0; i < 2; i++) {
            ct_tensor y = results[i];
            if (gradient) ct_gradients(ctx, 1, &results[i], NULL, 1, &x, &y, 0);
            if (ct_read(ctx, y, values[i], sizeof values[i]) != CT_OK) return INFINITY;
        }
        for (int i = 0; i < POINTS; i++) worst = fmax(worst, fabs((double)(values[0][i] - values[1][i])));
        ct_step_end(ctx);
    }
    return worst;
}

static double train(ct_context *ctx, ct_op_handle mish, ct_tensor x, ct_tensor target)
{
    ct_params *params = NULL;
    ct_optimizer *adam = NULL;
    ct_adam_config config;
    ct_adam_defaults(&config);
    config.lr = 0.02;
    ct_tensor w1 = ct_randn(ctx, CT_F32, 2, (int64_t[]){WIDTH, 1}),
              w2 = ct_randn(ctx, CT_F32, 2, (int64_t[]){1, WIDTH});
    float start[2][WIDTH];
    ct_read(ctx, w1, start[0], sizeof start[0]);
    ct_read(ctx, w2, start[1], sizeof start[1]);
    ct_step_end(ctx);
    ct_tensor leaves[] = {
        ct_leaf(ctx, CT_F32, 2, (int64_t[]){WIDTH, 1}, start[0]), ct_full(ctx, CT_F32, 1, (int64_t[]){WIDTH}, 0),
        ct_leaf(ctx, CT_F32, 2, (int64_t[]){1, WIDTH}, start[1]), ct_full(ctx, CT_F32, 1, (int64_t[]){1}, 0)};
    const char *const names[] = {"w1", "b1", "w2", "b2"};
    ct_params_create(ctx, &params);
    for (int i = 0; i < 4; i++) {
        ct_set_requires_grad(ctx, leaves[i], true);
        ct_params_add(params, names[i], leaves[i]);
    }
    ct_adam_create(ctx, params, &config, &adam);
    ct_tensor last = ct_full(ctx, CT_F32, 0, NULL, 0);
    for (int step = 0; step < STEPS && ct_error(ctx) == CT_OK; step++) {
        ct_tensor hidden = ct_linear(ctx, x, leaves[0], leaves[1], CT_ACT_IDENTITY);
        ct_tensor active = ct_call(ctx, mish, 1, &hidden, 0, NULL, 0, NULL);
        ct_tensor y = ct_linear(ctx, active, leaves[2], leaves[3], CT_ACT_IDENTITY);
        ct_tensor loss = ct_mse_loss(ctx, y, target, CT_REDUCE_MEAN);
        ct_optimizer_zero_grad(adam);
        ct_backward(ctx, loss);
        ct_optimizer_step(adam);
        ct_assign(ctx, last, loss);
        ct_step_end(ctx);
    }
    const double loss = ct_item(ctx, last);
    ct_optimizer_destroy(adam);
    ct_params_destroy(params);
    return loss;
}

int main(void)
{
    ct_config config = {0};
    ct_context *ctx;
    ct_op_handle mish;
    config.device = cuda ? CT_DEVICE_AUTO : CT_DEVICE_CPU;
    if (ct_create(&config, &ctx) != CT_OK || mish_register(ctx, cuda, &mish) != CT_OK) {
        fprintf(stderr, "%s\n", ct_error_message(ctx));
        ct_destroy(ctx);
        return EXIT_FAILURE;
    }
    float points[POINTS], sines[POINTS];
    for (int i = 0; i < POINTS; i++) {
        points[i] = -3 + 6 * (float)i / (POINTS - 1);
        sines[i] = sinf(points[i]);
    }
    ct_tensor x = ct_leaf(ctx, CT_F32, 2, (int64_t[]){POINTS, 1}, points);
    ct_tensor target = ct_leaf(ctx, CT_F32, 2, (int64_t[]){POINTS, 1}, sines);
    ct_set_requires_grad(ctx, x, true);
    const double apart = difference(ctx, mish, x);
    ct_set_requires_grad(ctx, x, false);
    const double loss = train(ctx, mish, x, target);
    if (ct_error(ctx) != CT_OK) fprintf(stderr, "%s\n", ct_error_message(ctx));
    printf("%s: from the formula in ops by %.1e; sin fitted to a mean square of %.1e\n", ct_device_name(ctx), apart,
           loss);
    ct_destroy(ctx);
    return apart < 1e-5 && loss < 1e-3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
