// ct_jvp, which is the vjp of the vjp: against reverse mode and finite differences for every sample, and
// what is left of its records once the dead ones are dropped.
#include "ops/directions.h"
#include "ops/op_table.h"

namespace
{

class ForwardMode : public ::testing::TestWithParam<Case>
{
  protected:
    const Sample &sample_ = *GetParam().sample;
    const std::vector<size_t> differentiable_ = sample_.differentiable();
    std::mt19937_64 random_ = seeded_by(sample_.name);
    Context ctx_{GetParam().device};
    std::vector<ct_tensor> inputs_ = make_inputs(ctx_, sample_, CT_F64);
    std::vector<ct_tensor> wanted_, tangents_;
    std::vector<std::vector<double>> v_;

    void SetUp() override
    {
        for (const size_t i : differentiable_) {
            const Array &like = sample_.inputs[i].value;
            wanted_.push_back(inputs_[i]);
            v_.push_back(random_values(random_, like.values.size()));
            tangents_.push_back(ctx_.leaf(like.dtype_in(CT_F64), like.shape, v_.back()));
        }
    }
    int n() const { return static_cast<int>(wanted_.size()); }
    std::vector<double> tangent_of(ct_tensor y)
    {
        ct_tensor t;
        ctx_.check(ct_jvp(ctx_, n(), wanted_.data(), tangents_.data(), 1, &y, &t), "ct_jvp");
        return ctx_.read(t);
    }
    std::vector<double> value_at(double eps)
    {
        for (size_t k = 0; k < wanted_.size(); ++k) {
            std::vector<double> moved = sample_.inputs[differentiable_[k]].value.values;
            for (size_t j = 0; j < moved.size(); ++j) moved[j] += eps * v_[k][j];
            ctx_.write(wanted_[k], moved);
        }
        std::vector<double> y = ctx_.read(apply(ctx_, sample_, inputs_));
        ctx_.end_step();
        return y;
    }
};

// <J v, u> = <v, Jᵀu>
TEST_P(ForwardMode, IsDualToReverseMode)
{
    const ct_tensor y = apply(ctx_, sample_, inputs_);
    if (!ctx_.describe(y).requires_grad) return; // a constant: nothing to ask for
    const std::vector<double> u = random_values(random_, sample_.output.values.size());
    const ct_tensor seed = ctx_.leaf(sample_.output.dtype_in(CT_F64), sample_.output.shape, u);
    std::vector<ct_tensor> grads(wanted_.size());
    ctx_.check(ct_gradients(ctx_, 1, &y, &seed, n(), wanted_.data(), grads.data(), CT_RETAIN_GRAPH), "ct_gradients");
    double reverse = 0, magnitude = 0;
    for (size_t k = 0; k < grads.size(); ++k) {
        const std::vector<double> g = ctx_.read(grads[k]);
        reverse += dot(g, v_[k]);
        for (size_t j = 0; j < g.size(); ++j) magnitude += std::fabs(g[j] * v_[k][j]);
    }
    const double forward = dot(tangent_of(y), u);
    ctx_.end_step();
    if (!std::isfinite(reverse)) { // an infinite slope is one in both directions
        EXPECT_FALSE(std::isfinite(forward)) << forward << ", in reverse " << reverse;
        return;
    }
    EXPECT_TRUE(is_close(forward, reverse, {0, 1e-12 * std::fmax(1, magnitude)}))
        << forward << ", in reverse " << reverse;
}

TEST_P(ForwardMode, IsTheDifferenceAlongItsTangents_OfSeveralOutputsAtOnce)
{
    const ct_tensor y = apply(ctx_, sample_, inputs_);
    if (sample_.kink || !ctx_.describe(y).requires_grad) return;
    const ct_tensor outputs[] = {y, ctx_.check(ct_square(ctx_, y), "ct_square"), wanted_[0]};
    ct_tensor t[3];
    ctx_.check(ct_jvp(ctx_, n(), wanted_.data(), tangents_.data(), 3, outputs, t), "ct_jvp");
    const std::vector<double> value = ctx_.read(y), first = ctx_.read(t[0]), second = ctx_.read(t[1]);
    EXPECT_TRUE(same_bits(ctx_.read(t[2]), v_[0]));
    ctx_.end_step();
    const double eps = 1e-5;
    const std::vector<double> above = value_at(eps), below = value_at(-eps);
    ASSERT_EQ(first.size(), above.size());
    for (size_t i = 0; i < first.size(); ++i) {
        const double numeric = (above[i] - below[i]) / (2 * eps), scale = std::fmax(1, std::fabs(first[i]));
        EXPECT_TRUE(is_close(first[i], numeric, {0, 1e-6 * scale})) << "[" << i << "] " << first[i] << ", " << numeric;
        EXPECT_TRUE(is_close(second[i], 2 * value[i] * first[i], {1e-12, 1e-12})) << "[" << i << "], of the square";
    }
}

INSTANTIATE_TEST_SUITE_P(Ops, ForwardMode, ::testing::ValuesIn(cases(Wanted::with_gradient, true)), case_name);

// ---- what is left of it ------------------------------------------------------------------------------------

class ForwardModeRecords : public ::testing::Test
{
  protected:
    Context ctx;
    ct_tensor parameter(std::vector<int64_t> shape, double value)
    {
        const ct_tensor x = ctx.check(ct_full(ctx, CT_F64, static_cast<int>(shape.size()), shape.data(), value), "x");
        ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
        return x;
    }
    // Of a step that stores the tangent of y in a leaf.
    record_counts counts(ct_tensor y, std::vector<ct_tensor> inputs, std::vector<ct_tensor> tangents)
    {
        const std::vector<int64_t> shape = ctx.shape(y);
        const ct_tensor out = ctx.check(ct_full(ctx, CT_F64, static_cast<int>(shape.size()), shape.data(), 0), "out");
        ct_tensor t;
        ctx.check(ct_jvp(ctx, static_cast<int>(inputs.size()), inputs.data(), tangents.data(), 1, &y, &t), "ct_jvp");
        ctx.check(ct_assign(ctx, out, t), "ct_assign");
        ctx.end_step();
        const record_counts found = count_records(ctx);
        EXPECT_GT(found.recorded, found.live); // the dummy adjoint and the sweep that it was pulled through
        return found;
    }
};

TEST_F(ForwardModeRecords, OfTanh_AreTanhAndItsDerivativeTimesTheTangent)
{
    const ct_tensor x = parameter({3}, 0.5), v = parameter({3}, 2);
    const record_counts found = counts(ct_tanh(ctx, x), {x}, {v});
    EXPECT_EQ(found.live, 4); // an alias of the tangent; tanh, act_grad, assign
    EXPECT_EQ(found.launches, 3);
}

TEST_F(ForwardModeRecords, OfAChain_AreThoseOfTheChainRule)
{
    const ct_tensor x = parameter({3}, 0.5), v = parameter({3}, 2);
    const record_counts found = counts(ct_exp(ctx, ct_sin(ctx, x)), {x}, {v});
    EXPECT_EQ(found.live, 7); // an alias of v; sin, exp; cos, times v, times the exponential; assign
    EXPECT_EQ(found.launches, 6);
}

TEST_F(ForwardModeRecords, OfAProduct_AreTwoProductsAndTheirSum_WithoutTheValue)
{
    const ct_tensor a = parameter({2, 3}, 0.5), b = parameter({3, 4}, 2);
    const ct_tensor va = parameter({2, 3}, 1), vb = parameter({3, 4}, 1);
    const record_counts found = counts(ct_matmul(ctx, a, b), {a, b}, {va, vb});
    EXPECT_EQ(found.live, 6); // aliases of va and vb; va b, a vb, their sum, assign
    EXPECT_EQ(found.launches, 4);
}

} // namespace
