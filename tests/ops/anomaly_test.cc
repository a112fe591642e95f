// Anomaly mode over every sample. Where inputs, value and gradients are finite it finds nothing, and changes no bit.
// Where inputs are finite and the value is not, it says so; and the same for the gradients.
#include "ops/samples.h"

#include <cmath>

namespace
{

bool finite(const std::vector<double> &values)
{
    for (const double value : values)
        if (!std::isfinite(value)) return false;
    return true;
}

using Bits = std::vector<std::vector<unsigned char>>;

class Anomaly : public ::testing::TestWithParam<Case>
{
  protected:
    const Sample &sample_ = *GetParam().sample;
    const ct_dtype real_ = GetParam().real;

    std::vector<unsigned char> bits(Context &ctx, ct_tensor x)
    {
        const ct_info info = ctx.describe(x);
        std::vector<unsigned char> bytes(static_cast<size_t>(info.numel) *
                                         element_bytes(static_cast<ct_dtype>(info.dtype)));
        ctx.check(ct_read(ctx, x, bytes.data(), bytes.size()), "ct_read");
        return bytes;
    }
    // The value and the gradients; what was made until an error stands.
    Bits run(bool detect, ct_status *status, std::string *message)
    {
        ct_config config = {};
        config.detect_anomaly = detect;
        Context ctx(GetParam().device, config);
        const std::vector<ct_tensor> inputs = make_inputs(ctx, sample_, real_);
        const ct_tensor y = apply(ctx, sample_, inputs);
        if (sample_.has_gradient && ctx.describe(y).requires_grad) {
            const ct_tensor seed = make_leaf(ctx, sample_.cotangent, real_);
            ctx.check(ct_backward_from(ctx, 1, &y, &seed, 0), "ct_backward_from");
        }
        *status = ct_flush(ctx);
        *message = ct_error_message(ctx);
        ct_clear_error(ctx);
        Bits all;
        if (*status == CT_OK) {
            all.push_back(bits(ctx, y));
            ctx.end_step();
        }
        for (const size_t i : sample_.differentiable())
            all.push_back(bits(ctx, ctx.check(ct_grad(ctx, inputs[i]), "ct_grad")));
        return all;
    }
};

TEST_P(Anomaly, IsFoundInNonFiniteResultsOfFiniteInputs_AndOnlyThere)
{
    bool given = finite(sample_.cotangent.values), value = finite(sample_.output.values), gradients = true;
    for (const SampleInput &in : sample_.inputs) {
        given &= !in.present || finite(in.value.values);
        if (in.differentiable) gradients &= finite(in.grad.values);
    }
    if (!given) return;
    ct_status plain_status, status;
    std::string ignored, message;
    const Bits plain = run(false, &plain_status, &ignored), checked = run(true, &status, &message);
    ASSERT_EQ(plain_status, CT_OK);
    if (value && gradients) {
        EXPECT_EQ(status, CT_OK) << message;
        EXPECT_EQ(checked, plain);
        return;
    }
    EXPECT_EQ(status, CT_ERR_NUMERIC);
    EXPECT_NE(message.find(value ? "backward" : "forward"), std::string::npos) << message;
    EXPECT_NE(message.find("out of finite inputs"), std::string::npos) << message;
    if (value) {
        EXPECT_NE(message.find("belongs to the gradient of "), std::string::npos) << message;
    }
    for (const std::vector<unsigned char> &gradient : checked) // none was written
        for (const unsigned char byte : gradient) EXPECT_EQ(byte, 0);
}

INSTANTIATE_TEST_SUITE_P(Samples, Anomaly, ::testing::ValuesIn(cases(Wanted::all)), case_name);

} // namespace
