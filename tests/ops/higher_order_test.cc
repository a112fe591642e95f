// Derivatives of derivatives against finite differences, in f64, for every smooth sample. With s_1 =
// <cotangent, f>, and s_k = <gradient of s_(k-1), w_k> for random w_k, the gradient of s_k along a random
// direction is compared with the central difference of s_k. The cotangent is one of the variables.
#include "ops/directions.h"

namespace
{

class HigherOrder : public ::testing::TestWithParam<Case>
{
  protected:
    using Values = std::vector<std::vector<double>>; // one per variable

    const Sample &sample_ = *GetParam().sample;
    std::mt19937_64 random_ = seeded_by(sample_.name);
    Context ctx_{GetParam().device};
    std::vector<ct_tensor> inputs_ = make_inputs(ctx_, sample_, CT_F64);
    std::vector<ct_tensor> variables_;
    Values at_, direction_;
    std::vector<std::vector<ct_tensor>> weights_; // w_2, w_3, ..., by variable

    void SetUp() override
    {
        for (const size_t i : sample_.differentiable()) {
            variables_.push_back(inputs_[i]);
            at_.push_back(sample_.inputs[i].value.values);
        }
        at_.push_back(random_values(random_, sample_.cotangent.values.size()));
        variables_.push_back(ctx_.leaf(sample_.cotangent.dtype_in(CT_F64), sample_.cotangent.shape, at_.back()));
        ctx_.check(ct_set_requires_grad(ctx_, variables_.back(), true), "ct_set_requires_grad");
        for (const std::vector<double> &values : at_) direction_.push_back(random_values(random_, values.size()));
        for (int k = 0; k < 2; ++k) {
            weights_.emplace_back();
            for (size_t i = 0; i < variables_.size(); ++i)
                weights_.back().push_back(ctx_.leaf(static_cast<ct_dtype>(ctx_.describe(variables_[i]).dtype),
                                                    ctx_.shape(variables_[i]), random_values(random_, at_[i].size())));
        }
    }

    // s_order, as outputs and their seeds; no outputs where it does not depend on the variables.
    struct Sum {
        std::vector<ct_tensor> outputs, seeds;
    };
    Sum record(int order)
    {
        Sum s;
        const ct_tensor y = apply(ctx_, sample_, inputs_);
        if (ctx_.describe(y).requires_grad) s = {{y}, {variables_.back()}};
        for (int k = 2; k <= order && !s.outputs.empty(); ++k) {
            const std::vector<ct_tensor> grads = gradients(s, CT_CREATE_GRAPH);
            s = {};
            for (size_t i = 0; i < grads.size(); ++i) {
                if (!ctx_.describe(grads[i]).requires_grad) continue; // constant
                s.outputs.push_back(grads[i]);
                s.seeds.push_back(weights_[static_cast<size_t>(k - 2)][i]);
            }
        }
        return s;
    }
    std::vector<ct_tensor> gradients(const Sum &s, int flags)
    {
        std::vector<ct_tensor> grads(variables_.size());
        ctx_.check(ct_gradients(ctx_, static_cast<int>(s.outputs.size()), s.outputs.data(), s.seeds.data(),
                                static_cast<int>(variables_.size()), variables_.data(), grads.data(), flags),
                   "ct_gradients");
        return grads;
    }
    double value(int order, double eps)
    {
        for (size_t i = 0; i < variables_.size(); ++i) {
            std::vector<double> moved = at_[i];
            for (size_t j = 0; j < moved.size(); ++j) moved[j] += eps * direction_[i][j];
            ctx_.write(variables_[i], moved);
        }
        const Sum s = record(order);
        double sum = 0;
        for (size_t i = 0; i < s.outputs.size(); ++i) sum += dot(ctx_.read(s.outputs[i]), ctx_.read(s.seeds[i]));
        ctx_.end_step();
        return sum;
    }
    void expect_differences(int order)
    {
        double analytic = 0, scale = 1;
        const Sum s = record(order);
        if (!s.outputs.empty()) {
            const std::vector<ct_tensor> grads = gradients(s, 0);
            for (size_t i = 0; i < grads.size(); ++i) {
                const std::vector<double> g = ctx_.read(grads[i]);
                analytic += dot(g, direction_[i]);
                for (const double one : g) scale = std::fmax(scale, std::fabs(one));
            }
        }
        ctx_.end_step();
        const double eps = 1e-5, numeric = (value(order, eps) - value(order, -eps)) / (2 * eps);
        EXPECT_TRUE(is_close(analytic, numeric, {1e-6, 1e-6 * scale}))
            << "order " << order << ": gradient " << analytic << ", finite difference " << numeric;
    }
};

class SecondDifferences : public HigherOrder
{
};
class ThirdDifferences : public HigherOrder
{
};

TEST_P(SecondDifferences, AreTheGradientOfTheGradient) { expect_differences(2); }
TEST_P(ThirdDifferences, AreTheGradientOfTheGradientOfTheGradient) { expect_differences(3); }

std::vector<Case> of_third_order()
{
    static const std::set<std::string> ops = {"neg", "square", "reciprocal", "add_scalar", "mul_scalar", "add",
                                              "sub", "mul",    "div",        "exp",        "tanh",       "matmul"};
    std::vector<Case> found;
    for (const Case &c : cases(Wanted::smooth, true))
        if (ops.count(c.sample->op)) found.push_back(c);
    return found;
}

INSTANTIATE_TEST_SUITE_P(Ops, SecondDifferences, ::testing::ValuesIn(cases(Wanted::smooth, true)), case_name);
INSTANTIATE_TEST_SUITE_P(Ops, ThirdDifferences, ::testing::ValuesIn(of_third_order()), case_name);

} // namespace
