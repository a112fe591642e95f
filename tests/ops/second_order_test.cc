// The derivative of a gradient, in f64 against PyTorch. With g_i the gradient of
// input i under the cotangent, s = sum_i <g_i, v_i> is differentiated once more,
// with respect to every input and to the cotangent itself.
#include "ops/samples.h"

namespace
{

class SecondOrder : public ::testing::TestWithParam<Case>
{
};

std::vector<double> zeros_like(const Array &array) { return std::vector<double>(array.values.size(), 0.0); }

TEST_P(SecondOrder, MatchesTorch)
{
    const Sample &sample = *GetParam().sample;
    const Tolerance close = tolerance(sample.op, CT_F64);
    Context ctx(GetParam().device);
    const std::vector<ct_tensor> inputs = make_inputs(ctx, sample, CT_F64);
    const ct_tensor cotangent = make_leaf(ctx, sample.cotangent, CT_F64);
    ctx.check(ct_set_requires_grad(ctx, cotangent, true), "ct_set_requires_grad");

    std::vector<ct_tensor> wanted;      // the inputs, then the cotangent
    std::vector<const Array *> goldens; // in the same order
    for (const size_t i : sample.differentiable()) {
        wanted.push_back(inputs[i]);
        goldens.push_back(&sample.inputs[i].second);
    }
    std::vector<ct_tensor> first(wanted.size());
    const ct_tensor y = apply(ctx, sample, inputs);
    const bool depends = ctx.describe(y).requires_grad;
    if (depends)
        ctx.check(ct_gradients(ctx, 1, &y, &cotangent, static_cast<int>(wanted.size()), wanted.data(), first.data(),
                               CT_CREATE_GRAPH),
                  "ct_gradients");
    wanted.push_back(cotangent);
    goldens.push_back(&sample.second_cotangent);

    // Gradients that depend on nothing, such as sign's zeros, have no derivative to ask for.
    std::vector<ct_tensor> outputs, seeds;
    for (size_t k = 0; depends && k < first.size(); ++k) {
        if (!ctx.describe(first[k]).requires_grad) continue;
        outputs.push_back(first[k]);
        seeds.push_back(make_leaf(ctx, sample.inputs[sample.differentiable()[k]].direction, CT_F64));
    }
    std::vector<ct_tensor> second(wanted.size());
    if (!outputs.empty())
        ctx.check(ct_gradients(ctx, static_cast<int>(outputs.size()), outputs.data(), seeds.data(),
                               static_cast<int>(wanted.size()), wanted.data(), second.data(), 0),
                  "ct_gradients, the second time");
    for (size_t k = 0; k < wanted.size(); ++k)
        EXPECT_TRUE(
            all_close(outputs.empty() ? zeros_like(*goldens[k]) : ctx.read(second[k]), goldens[k]->values, close))
            << (k + 1 < wanted.size() ? "by input " + std::to_string(sample.differentiable()[k]) : "by the cotangent");
    ctx.end_step();
}

INSTANTIATE_TEST_SUITE_P(Golden, SecondOrder, ::testing::ValuesIn(cases(Wanted::with_second_order, true)), case_name);

} // namespace
