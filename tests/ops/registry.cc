// How to run the samples of an op. To add one: one line in `registry`, with the bound of its values in f32, and its
// row in ACCURACY.md, which accuracy_test.cc writes.
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
    Accuracy accuracy = {4, Accuracy::result};

    // The same with another bound for its values in f32 (accuracy_test.cc).
    Entry within(double ulps, Accuracy::Unit unit = Accuracy::result) const
    {
        Entry entry = *this;
        entry.accuracy = {ulps, unit};
        return entry;
    }
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

ct_tensor huber_loss(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_huber_loss(ctx, in[0], in[1], s.number("delta"), reduction_of(s));
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

ct_tensor layer_norm(ct_context *ctx, const Inputs &in, const Sample &s)
{
    return ct_layer_norm(ctx, in[0], in[1], in[2], s.number("eps"));
}
ct_tensor batch_norm(ct_context *ctx, const Inputs &in, const Sample &s)
{
    ct_set_training(ctx, s.number("training") != 0);
    return ct_batch_norm(ctx, in[0], in[1], in[2], in[3], in[4], s.number("momentum"), s.number("eps"));
}

const std::map<std::string, Entry> &registry()
{
    static const std::map<std::string, Entry> entries = {
        {"neg", Entry{unary<ct_neg>}.within(0)},
        {"abs", Entry{unary<ct_abs>}.within(0)},
        {"exp", Entry{unary<ct_exp>}.within(2)},
        {"expm1", Entry{unary<ct_expm1>}.within(2)},
        {"log", Entry{unary<ct_log>}.within(2)},
        {"log1p", Entry{unary<ct_log1p>}.within(2)},
        {"sqrt", Entry{unary<ct_sqrt>}.within(0)},
        {"rsqrt", Entry{unary<ct_rsqrt>}.within(2)},
        {"square", Entry{unary<ct_square>}.within(0)},
        {"reciprocal", Entry{unary<ct_reciprocal>}.within(0)},
        {"sin", Entry{unary<ct_sin>}.within(2)},
        {"cos", Entry{unary<ct_cos>}.within(2)},
        {"tanh", Entry{unary<ct_tanh>}.within(2)},
        {"sigmoid", {unary<ct_sigmoid>}},
        {"relu", Entry{unary<ct_relu>}.within(0)},
        {"silu", Entry{unary<ct_silu>}.within(4, Accuracy::operand)},
        {"softplus", Entry{unary<ct_softplus>}.within(3)},
        {"gelu", Entry{gelu}.within(4, Accuracy::operand)},
        {"gelu_tanh", Entry{gelu_tanh}.within(4, Accuracy::operand)},
        {"leaky_relu", Entry{leaky_relu}.within(0)},
        {"elu", Entry{elu}.within(2)},
        {"clamp", Entry{clamp}.within(0)},
        {"sign", Entry{unary<ct_sign>}.within(0)},
        {"cast", Entry{cast}.within(0)},
        {"add_scalar", Entry{scalar<ct_add_scalar>}.within(0)},
        {"mul_scalar", Entry{scalar<ct_mul_scalar>}.within(0)},
        {"pow_scalar", {scalar<ct_pow_scalar>}},
        {"add", Entry{binary<ct_add>}.within(0)},
        {"sub", Entry{binary<ct_sub>}.within(0)},
        {"mul", Entry{binary<ct_mul>}.within(0)},
        {"div", Entry{binary<ct_div>}.within(0)},
        {"pow", {binary<ct_pow>}},
        {"maximum", Entry{binary<ct_maximum>}.within(0)},
        {"minimum", Entry{binary<ct_minimum>}.within(0)},
        {"gt", Entry{binary<ct_gt>}.within(0)},
        {"ge", Entry{binary<ct_ge>}.within(0)},
        {"lt", Entry{binary<ct_lt>}.within(0)},
        {"le", Entry{binary<ct_le>}.within(0)},
        {"eq", Entry{binary<ct_eq>}.within(0)},
        {"where", Entry{where}.within(0)},
        {"sum", Entry{reduction<ct_sum>}.within(4, Accuracy::terms)},
        {"mean", Entry{reduction<ct_mean>}.within(4, Accuracy::terms)},
        {"argmax", Entry{along<ct_argmax>}.within(0)},
        {"amax", Entry{reduction<ct_amax>}.within(0)},
        {"amin", Entry{reduction<ct_amin>}.within(0)},
        {"logsumexp", Entry{reduction<ct_logsumexp>}.within(4, Accuracy::operand)},
        {"var", Entry{var}.within(16)},
        {"matmul", Entry{binary<ct_matmul>}.within(4, Accuracy::terms)},
        {"linear", Entry{linear}.within(4, Accuracy::terms)},
        {"reshape", Entry{shaped<ct_reshape>}.within(0)},
        {"transpose", Entry{transpose}.within(0)},
        {"expand", Entry{shaped<ct_expand>}.within(0)},
        {"slice", Entry{slice}.within(0)},
        {"concat", Entry{concat}.within(0)},
        {"embedding", Entry{binary<ct_embedding>}.within(0)},
        {"softmax", Entry{along<ct_softmax>}.within(8)},
        {"log_softmax", Entry{along<ct_log_softmax>}.within(4, Accuracy::operand)},
        {"layer_norm", Entry{layer_norm}.within(16, Accuracy::operand)},
        {"batch_norm", Entry{batch_norm}.within(16, Accuracy::operand)},
        {"cross_entropy", Entry{cross_entropy}.within(8, Accuracy::operand)},
        {"mse_loss", {pair_loss<ct_mse_loss>}},
        {"l1_loss", {pair_loss<ct_l1_loss>}},
        {"huber_loss", {huber_loss}},
        {"bce_with_logits", Entry{pair_loss<ct_bce_with_logits>}.within(8)},
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

Accuracy accuracy(const std::string &op) { return registry().at(op).accuracy; }

Tolerance tolerance(const std::string &op, ct_dtype real)
{
    const Entry &entry = registry().at(op);
    return real == CT_F32 ? entry.f32 : entry.f64;
}
