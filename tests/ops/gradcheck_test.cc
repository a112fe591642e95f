// Gradients against finite differences in f64, with no golden value and no
// ct_gradcheck in between: <grad, v> is compared with the central difference of
// <cotangent, f(x + eps v)>, for a random direction v and, if the inputs are
// small, for each element.
#include "ops/directions.h"

namespace
{

class GradCheck : public ::testing::TestWithParam<Case>
{
  protected:
    using Values = std::vector<std::vector<double>>; // one per differentiable input

    const Sample &sample_ = *GetParam().sample;
    const std::vector<size_t> differentiable_ = sample_.differentiable();
    std::mt19937_64 random_ = seeded_by(sample_.name);
    const std::vector<double> cotangent_ = random_values(random_, sample_.output.values.size());
    Context ctx_{GetParam().device};
    std::vector<ct_tensor> inputs_ = make_inputs(ctx_, sample_, CT_F64);

    ct_tensor leaf_like(const Array &array, const std::vector<double> &values)
    {
        return ctx_.leaf(array.dtype_in(CT_F64), array.shape, values);
    }
    Values random_direction()
    {
        Values v;
        for (const size_t i : differentiable_)
            v.push_back(random_values(random_, sample_.inputs[i].value.values.size()));
        return v;
    }
    // The gradients of <cotangent, f>; zeros for an output that requires no gradient.
    Values gradients()
    {
        Values found;
        const ct_tensor y = apply(ctx_, sample_, inputs_);
        if (!ctx_.describe(y).requires_grad) {
            for (const size_t i : differentiable_) found.emplace_back(sample_.inputs[i].value.values.size(), 0.0);
            ctx_.end_step();
            return found;
        }
        std::vector<ct_tensor> wanted;
        for (const size_t i : differentiable_) wanted.push_back(inputs_[i]);
        std::vector<ct_tensor> grads(wanted.size());
        const ct_tensor seed = leaf_like(sample_.output, cotangent_);
        ctx_.check(ct_gradients(ctx_, 1, &y, &seed, static_cast<int>(wanted.size()), wanted.data(), grads.data(), 0),
                   "ct_gradients");
        for (const ct_tensor g : grads) found.push_back(ctx_.read(g));
        ctx_.end_step();
        return found;
    }
    // <cotangent, f(x + eps v)>, accumulated in f64 on the host.
    double value_at(double eps, const Values &v)
    {
        for (size_t k = 0; k < differentiable_.size(); ++k) {
            std::vector<double> moved = sample_.inputs[differentiable_[k]].value.values;
            for (size_t j = 0; j < moved.size(); ++j) moved[j] += eps * v[k][j];
            ctx_.write(inputs_[differentiable_[k]], moved);
        }
        const double value = dot(ctx_.read(apply(ctx_, sample_, inputs_)), cotangent_);
        ctx_.end_step();
        return value;
    }
    void expect_slope(double analytic, const Values &v, const std::string &what)
    {
        const double eps = 1e-5;
        const double numeric = (value_at(eps, v) - value_at(-eps, v)) / (2 * eps);
        const double scale = std::fmax(1.0, std::fmax(std::fabs(numeric), std::fabs(analytic)));
        EXPECT_TRUE(is_close(analytic, numeric, {0, 1e-6 * scale}))
            << what << ": gradient " << analytic << ", finite difference " << numeric;
    }
};

TEST_P(GradCheck, AgreesAlongARandomDirection)
{
    const Values grads = gradients();
    const Values v = random_direction();
    double analytic = 0;
    for (size_t k = 0; k < grads.size(); ++k) analytic += dot(grads[k], v[k]);
    expect_slope(analytic, v, "all inputs together");
}

TEST_P(GradCheck, AgreesInEachInput)
{
    const Values grads = gradients();
    for (size_t k = 0; k < grads.size(); ++k) {
        Values v = random_direction();
        for (size_t other = 0; other < v.size(); ++other)
            if (other != k) v[other].assign(v[other].size(), 0.0);
        expect_slope(dot(grads[k], v[k]), v, "input " + std::to_string(differentiable_[k]));
    }
}

TEST_P(GradCheck, AgreesInEachElement)
{
    const Values grads = gradients();
    Values v;
    size_t elements = 0;
    for (const std::vector<double> &g : grads) {
        v.emplace_back(g.size(), 0.0);
        elements += g.size();
    }
    if (elements > 64) return; // covered by the directions
    for (size_t k = 0; k < grads.size(); ++k)
        for (size_t j = 0; j < grads[k].size(); ++j) {
            v[k][j] = 1;
            expect_slope(grads[k][j], v,
                         "input " + std::to_string(differentiable_[k]) + " element " + std::to_string(j));
            v[k][j] = 0;
        }
}

INSTANTIATE_TEST_SUITE_P(Ops, GradCheck, ::testing::ValuesIn(cases(Wanted::smooth, true)), case_name);

} // namespace
