// How to run the samples of an op. To add one: one line in `registry`.
#include "ops/samples.h"

#include <stdexcept>

namespace
{

using Inputs = std::vector<ct_tensor>;
using Call = ct_tensor (*)(ct_context *, const Inputs &, const Sample &);

struct Entry {
    Call call;
    Tolerance f32 = {1e-5, 1e-6};
    Tolerance f64 = {1e-12, 1e-13};
};

template <ct_tensor (*op)(ct_context *, ct_tensor)> ct_tensor unary(ct_context *ctx, const Inputs &in, const Sample &)
{
    return op(ctx, in[0]);
}

template <ct_tensor (*op)(ct_context *, ct_tensor, double)>
ct_tensor scalar(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return op(ctx, in[0], s.number("value"));
}

template <ct_tensor (*op)(ct_context *, ct_tensor, ct_tensor)>
ct_tensor binary(ct_context *ctx, const Inputs &in, const Sample &)
{
    return op(ctx, in[0], in[1]);
}

template <ct_tensor (*op)(ct_context *, ct_tensor, int, const int *, bool)>
ct_tensor reduction(ct_context *ctx, const Inputs &in, const Sample &s)
{
    const std::vector<int> dims = s.integers<int>("dims");
    return op(ctx, in[0], static_cast<int>(dims.size()), dims.empty() ? nullptr : dims.data(),
              s.number("keepdim") != 0);
}

ct_tensor var(ct_context *ctx, const Inputs &in, const Sample &s)
{
    const std::vector<int> dims = s.integers<int>("dims");
    return ct_var(ctx, in[0], static_cast<int>(dims.size()), dims.data(), s.number("keepdim") != 0,
                  s.integers<int64_t>("correction").at(0));
}

template <ct_tensor (*op)(ct_context *, ct_tensor, int)>
ct_tensor along(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return op(ctx, in[0], s.integers<int>("dim").at(0));
}

template <ct_tensor (*op)(ct_context *, ct_tensor, int, const int64_t *)>
ct_tensor shaped(ct_context *ctx, const Inputs &in, const Sample &s)
{
    const std::vector<int64_t> shape = s.integers<int64_t>("shape");
    return op(ctx, in[0], static_cast<int>(shape.size()), shape.data());
}

ct_reduction reduction_of(const Sample &s)
{
    static const std::map<std::string, ct_reduction> names = {
        {"mean", CT_REDUCE_MEAN}, {"sum", CT_REDUCE_SUM}, {"none", CT_REDUCE_NONE}};
    return names.at(s.word("reduction"));
}

ct_activation activation_of(const Sample &s)
{
    static const std::map<std::string, ct_activation> names = {
        {"identity", CT_ACT_IDENTITY},    {"relu", CT_ACT_RELU}, {"tanh", CT_ACT_TANH},
        {"sigmoid", CT_ACT_SIGMOID},      {"gelu", CT_ACT_GELU}, {"silu", CT_ACT_SILU},
        {"leaky_relu", CT_ACT_LEAKY_RELU}};
    return names.at(s.word("activation"));
}

template <ct_tensor (*op)(ct_context *, ct_tensor, ct_tensor, ct_reduction)>
ct_tensor pair_loss(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return op(ctx, in[0], in[1], reduction_of(s));
}

ct_tensor gelu(ct_context *ctx, const Inputs &in, const Sample &) { return ct_gelu(ctx, in[0], false); }
ct_tensor gelu_tanh(ct_context *ctx, const Inputs &in, const Sample &) { return ct_gelu(ctx, in[0], true); }
ct_tensor leaky_relu(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_leaky_relu(ctx, in[0], s.number("slope"));
}
ct_tensor elu(ct_context *ctx, const Inputs &in, const Sample &s) { return ct_elu(ctx, in[0], s.number("alpha")); }
ct_tensor clamp(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_clamp(ctx, in[0], s.number("lo"), s.number("hi"));
}
ct_tensor cast(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_cast(ctx, in[0], dtype_of(s.word("to")));
}
ct_tensor where(ct_context *ctx, const Inputs &in, const Sample &) { return ct_where(ctx, in[0], in[1], in[2]); }
ct_tensor linear(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_linear(ctx, in[0], in[1], in[2], activation_of(s));
}
ct_tensor transpose(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_transpose(ctx, in[0], s.integers<int>("d0").at(0), s.integers<int>("d1").at(0));
}
ct_tensor slice(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_slice(ctx, in[0], s.integers<int>("dim").at(0), s.integers<int64_t>("start").at(0),
                    s.integers<int64_t>("stop").at(0));
}
ct_tensor concat(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_concat(ctx, static_cast<int>(in.size()), in.data(), s.integers<int>("dim").at(0));
}
ct_tensor cross_entropy(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_cross_entropy(ctx, in[0], in[1], s.number("smoothing"), s.integers<int64_t>("ignore_index").at(0),
                            reduction_of(s));
}

const std::map<std::string, Entry> &registry()
{
    static const std::map<std::string, Entry> entries = {
        {"neg", {unary<ct_neg>}},
        {"abs", {unary<ct_abs>}},
        {"exp", {unary<ct_exp>}},
        {"expm1", {unary<ct_expm1>}},
        {"log", {unary<ct_log>}},
        {"log1p", {unary<ct_log1p>}},
        {"sqrt", {unary<ct_sqrt>}},
        {"rsqrt", {unary<ct_rsqrt>}},
        {"square", {unary<ct_square>}},
        {"reciprocal", {unary<ct_reciprocal>}},
        {"sin", {unary<ct_sin>}},
        {"cos", {unary<ct_cos>}},
        {"tanh", {unary<ct_tanh>}},
        {"sigmoid", {unary<ct_sigmoid>}},
        {"relu", {unary<ct_relu>}},
        {"silu", {unary<ct_silu>}},
        {"softplus", {unary<ct_softplus>}},
        {"gelu", {gelu}},
        {"gelu_tanh", {gelu_tanh}},
        {"leaky_relu", {leaky_relu}},
        {"elu", {elu}},
        {"clamp", {clamp}},
        {"sign", {unary<ct_sign>}},
        {"cast", {cast}},
        {"add_scalar", {scalar<ct_add_scalar>}},
        {"mul_scalar", {scalar<ct_mul_scalar>}},
        {"pow_scalar", {scalar<ct_pow_scalar>}},
        {"add", {binary<ct_add>}},
        {"sub", {binary<ct_sub>}},
        {"mul", {binary<ct_mul>}},
        {"div", {binary<ct_div>}},
        {"pow", {binary<ct_pow>}},
        {"maximum", {binary<ct_maximum>}},
        {"minimum", {binary<ct_minimum>}},
        {"gt", {binary<ct_gt>}},
        {"ge", {binary<ct_ge>}},
        {"lt", {binary<ct_lt>}},
        {"le", {binary<ct_le>}},
        {"eq", {binary<ct_eq>}},
        {"where", {where}},
        {"sum", {reduction<ct_sum>}},
        {"mean", {reduction<ct_mean>}},
        {"argmax", {along<ct_argmax>}},
        {"amax", {reduction<ct_amax>}},
        {"amin", {reduction<ct_amin>}},
        {"logsumexp", {reduction<ct_logsumexp>}},
        {"var", {var}},
        {"matmul", {binary<ct_matmul>}},
        {"linear", {linear}},
        {"reshape", {shaped<ct_reshape>}},
        {"transpose", {transpose}},
        {"expand", {shaped<ct_expand>}},
        {"slice", {slice}},
        {"concat", {concat}},
        {"embedding", {binary<ct_embedding>}},
        {"softmax", {along<ct_softmax>}},
        {"log_softmax", {along<ct_log_softmax>}},
        {"cross_entropy", {cross_entropy}},
        {"mse_loss", {pair_loss<ct_mse_loss>}},
    };
    return entries;
}

} // namespace

std::set<std::string> registered_ops()
{
    std::set<std::string> names;
    for (const auto &entry : registry()) names.insert(entry.first);
    return names;
}

ct_tensor apply(Context &ctx, const Sample &sample, const std::vector<ct_tensor> &inputs)
{
    const auto found = registry().find(sample.op);
    if (found == registry().end()) throw std::runtime_error(sample.op + " is not in the registry of registry.cc");
    return ctx.check(found->second.call(ctx, inputs, sample), sample.op.c_str());
}

Tolerance tolerance(const std::string &op, ct_dtype real)
{
    const Entry &entry = registry().at(op);
    return real == CT_F32 ? entry.f32 : entry.f64;
}
