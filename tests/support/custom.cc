// See custom.h.
#include "custom.h"

#include "../../examples/mish/mish.h"

#include <dlfcn.h>

Launcher *find_launcher(const char *name)
{
    const std::string &module = devices().front().module;
    if (module.empty()) return nullptr;
    void *loaded = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
    void *found = loaded ? dlsym(loaded, name) : nullptr;
    if (!found) throw std::runtime_error(std::string("the stand-in has no ") + name);
    return reinterpret_cast<Launcher *>(found);
}

ct_op_handle add_mish(Context &ctx)
{
    ct_op_handle op;
    ctx.check(mish_register(ctx, find_launcher("mish_cuda"), &op), "mish_register");
    return op;
}

ct_op_handle add_op(Context &ctx, const ct_op_config &config)
{
    ct_op_handle op;
    ctx.check(ct_op_register(ctx, &config, &op), "ct_op_register");
    return op;
}

ct_tensor call(Context &ctx, ct_op_handle op, const std::vector<ct_tensor> &inputs)
{
    return ct_call(ctx, op, static_cast<int>(inputs.size()), inputs.data(), 0, nullptr, 0, nullptr);
}

static int split_cpu(const ct_op_call *call)
{
    const float *x = static_cast<const float *>(call->inputs[0].data);
    float *scaled = static_cast<float *>(call->outputs[0].data), *shifted = static_cast<float *>(call->outputs[1].data);
    for (int64_t i = 0; i < call->inputs[0].numel; ++i) {
        if (scaled) scaled[i] = x[i] * call->scalars[0].f32;
        if (shifted) shifted[i] = x[i] + static_cast<float>(call->attrs[0]);
    }
    return 0;
}

static void split_gradient(ct_context *ctx, const ct_op_gradient *g)
{
    ct_tensor sum = {0};
    if (g->adjoints[0].bits) sum = ct_mul_scalar(ctx, g->adjoints[0], g->scalars[0]);
    if (g->adjoints[1].bits) sum = sum.bits ? ct_add(ctx, sum, g->adjoints[1]) : g->adjoints[1];
    g->gradients[0] = sum;
}

ct_op_config split_config()
{
    ct_op_config config = {};
    config.name = "test.split";
    config.n_inputs = config.n_attrs = config.n_scalars = 1;
    config.n_outputs = 2;
    config.unread = 1;
    config.gradient = split_gradient;
    config.cpu = split_cpu;
    config.cuda = find_launcher("split_cuda");
    return config;
}
