// Every sample in f32 and f64 against PyTorch: the value, the gradient of each
// input under a given cotangent, and the same bits however the step is played.
#include "ops/samples.h"

namespace
{

class Forward : public ::testing::TestWithParam<Case>
{
};

class Gradient : public ::testing::TestWithParam<Case>
{
  protected:
    const Sample &sample_ = *GetParam().sample;
    const ct_dtype real_ = GetParam().real;
    Context ctx_{GetParam().device};
    std::vector<ct_tensor> inputs_ = make_inputs(ctx_, sample_, real_);
    ct_tensor seed_ = make_leaf(ctx_, sample_.cotangent, real_);

    // Records the op and its backward pass. An output that requires no gradient has none to give:
    // the gradients then stay zero, and must be so in the golden file.
    void record()
    {
        const ct_tensor y = apply(ctx_, sample_, inputs_);
        if (!ctx_.describe(y).requires_grad) return;
        ctx_.check(ct_backward_from(ctx_, 1, &y, &seed_, 0), "ct_backward_from");
    }
    void zero()
    {
        for (const size_t i : sample_.differentiable()) ctx_.check(ct_zero_grad(ctx_, inputs_[i]), "ct_zero_grad");
    }
    ct_tensor grad(size_t i) { return ctx_.check(ct_grad(ctx_, inputs_[i]), "ct_grad"); }
    std::vector<double> read_all() // the gradients, one after the other
    {
        std::vector<double> all;
        for (const size_t i : sample_.differentiable()) {
            const std::vector<double> one = ctx_.read(grad(i));
            all.insert(all.end(), one.begin(), one.end());
        }
        return all;
    }
};

TEST_P(Forward, MatchesTorch)
{
    const Sample &sample = *GetParam().sample;
    const ct_dtype real = GetParam().real;
    Context ctx(GetParam().device);
    const ct_tensor y = apply(ctx, sample, make_inputs(ctx, sample, real));

    EXPECT_EQ(ctx.shape(y), sample.output.shape);
    EXPECT_EQ(ctx.describe(y).dtype, sample.output.dtype_in(real));
    EXPECT_TRUE(all_close(ctx.read(y), sample.output.values, tolerance(sample.op, real)));
    ctx.end_step();
}

TEST_P(Gradient, MatchesTorch)
{
    record();
    for (const size_t i : sample_.differentiable()) {
        SCOPED_TRACE("gradient of input " + std::to_string(i));
        const SampleInput &in = sample_.inputs[i];
        EXPECT_EQ(ctx_.shape(grad(i)), in.value.shape);
        EXPECT_EQ(ctx_.describe(grad(i)).dtype, in.value.dtype_in(real_));
        EXPECT_TRUE(all_close(ctx_.read(grad(i)), in.grad.values, tolerance(sample_.op, real_)));
    }
    ctx_.end_step();
}

// A value read half-way splits the step: what the backward pass needs must outlive the first segment.
TEST_P(Gradient, MatchesTorch_WhenTheValueIsReadFirst)
{
    const ct_tensor y = apply(ctx_, sample_, inputs_);
    EXPECT_TRUE(all_close(ctx_.read(y), sample_.output.values, tolerance(sample_.op, real_)));
    if (ctx_.describe(y).requires_grad) ctx_.check(ct_backward_from(ctx_, 1, &y, &seed_, 0), "ct_backward_from");
    ctx_.end_step();
    for (const size_t i : sample_.differentiable())
        EXPECT_TRUE(all_close(ctx_.read(grad(i)), sample_.inputs[i].grad.values, tolerance(sample_.op, real_)))
            << "gradient of input " << i;
}

TEST_P(Gradient, RepeatsBitForBit)
{
    zero();
    record();
    const std::vector<double> first = read_all(); // the segment ends open
    ctx_.end_step();
    for (int sight = 1; sight <= 4; ++sight) { // played, captured, replayed
        zero();
        record();
        ctx_.end_step();
        EXPECT_TRUE(same_bits(read_all(), first)) << "sight " << sight;
    }
    zero();
    record();
    ctx_.end_step();
    ctx_.check(ct_replay(ctx_, 3), "ct_replay");
    EXPECT_TRUE(same_bits(read_all(), first)) << "after ct_replay";
}

INSTANTIATE_TEST_SUITE_P(Golden, Forward, ::testing::ValuesIn(cases(Wanted::all)), case_name);
INSTANTIATE_TEST_SUITE_P(Golden, Gradient, ::testing::ValuesIn(cases(Wanted::with_gradient)), case_name);

} // namespace
