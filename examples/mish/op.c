/* The op mish: what it is on the CPU, and its gradient. */
#include "mish.h"

#include <math.h>

/* log(1 + e^x), without overflow. */
static float softplus_f32(float x) { return fmaxf(x, 0) + log1pf(expf(-fabsf(x))); }
static double softplus_f64(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

static int mish_cpu(const ct_op_call *call)
{
    const int64_t first = call->first, last = first + call->count;
    if (call->outputs[0].dtype == CT_F32) {
        const float *x = call->inputs[0].data;
        float *y = call->outputs[0].data;
        for (int64_t i = first; i < last; i++) y[i] = x[i] * tanhf(softplus_f32(x[i]));
    } else {
        const double *x = call->inputs[0].data;
        double *y = call->outputs[0].data;
        for (int64_t i = first; i < last; i++) y[i] = x[i] * tanh(softplus_f64(x[i]));
    }
    return 0;
}

/* With t = tanh(softplus(x)): dx = dy (t + x (1 - t²) sigmoid(x)). Written in ops, so that it has gradients too. */
static void mish_gradient(ct_context *ctx, const ct_op_gradient *g)
{
    ct_tensor x = g->inputs[0];
    ct_tensor t = ct_tanh(ctx, ct_softplus(ctx, x));
    ct_tensor slope_of_t = ct_add_scalar(ctx, ct_neg(ctx, ct_square(ctx, t)), 1);
    ct_tensor slope = ct_add(ctx, t, ct_mul(ctx, ct_mul(ctx, x, slope_of_t), ct_sigmoid(ctx, x)));
    g->gradients[0] = ct_mul(ctx, g->adjoints[0], slope);
}

ct_status mish_register(ct_context *ctx, int (*cuda)(const ct_op_call *, void *), ct_op_handle *out)
{
    ct_op_config config = {0};
    config.name = "example.mish";
    config.n_inputs = config.n_outputs = 1;
    config.flags = CT_OP_IS_ELEMENTWISE;
    config.gradient = mish_gradient;
    config.cpu = mish_cpu;
    config.cuda = cuda;
    return ct_op_register(ctx, &config, out);
}
