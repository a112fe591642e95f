// Device against device: every sample, its value and its gradients, on the device of the run and on
// the CPU, which is the reference. The tolerances are those of the registry, op by op; what draws no
// rounding at all (random bits) is tested for equal bits in tests/device/.
#include "ops/samples.h"

namespace
{

std::vector<Case> beside_the_cpu()
{
    std::vector<Case> found;
    for (const Case &c : cases(Wanted::all))
        if (c.device.device != CT_DEVICE_CPU) found.push_back(c);
    return found;
}

// The value, and behind it the gradients of the differentiable inputs.
std::vector<std::vector<double>> run_on(const DeviceChoice &device, const Sample &sample, ct_dtype real)
{
    Context ctx(device);
    const std::vector<ct_tensor> inputs = make_inputs(ctx, sample, real);
    const ct_tensor y = apply(ctx, sample, inputs);
    if (sample.has_gradient && ctx.describe(y).requires_grad) {
        const ct_tensor seed = make_leaf(ctx, sample.cotangent, real);
        ctx.check(ct_backward_from(ctx, 1, &y, &seed, 0), "ct_backward_from");
    }
    std::vector<std::vector<double>> results = {ctx.read(y)};
    for (const size_t i : sample.differentiable())
        results.push_back(ctx.read(ctx.check(ct_grad(ctx, inputs[i]), "ct_grad")));
    ctx.end_step();
    return results;
}

class Parity : public ::testing::TestWithParam<Case>
{
};

TEST_P(Parity, ValueAndGradients_AreThoseOfTheCpu)
{
    const Case &c = GetParam();
    const auto here = run_on(c.device, *c.sample, c.real),
               there = run_on({"cpu", CT_DEVICE_CPU, ""}, *c.sample, c.real);
    ASSERT_EQ(here.size(), there.size());
    for (size_t i = 0; i < here.size(); ++i)
        EXPECT_TRUE(all_close(here[i], there[i], tolerance(c.sample->op, c.real)))
            << (i == 0 ? "value" : "gradient " + std::to_string(i - 1));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Parity);
INSTANTIATE_TEST_SUITE_P(Samples, Parity, ::testing::ValuesIn(beside_the_cpu()), case_name);

} // namespace
