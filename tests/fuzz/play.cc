// Programs on the runtime.
#include "fuzz/play.h"

std::vector<int> observed(const Program &program)
{
    std::vector<int> ids;
    for (size_t i = 0; i < program.leaves.size(); ++i) {
        ids.push_back(static_cast<int>(i));
        if (program.leaves[i].requires_grad) ids.push_back(gradient_of(static_cast<int>(i)));
    }
    for (const Statement &s : program.statements)
        if (s.op == Op::gradients) ids.insert(ids.end(), s.results.begin(), s.results.end());
    for (const int root : program.statements.back().args)
        if (root >= first_result) ids.push_back(root);
    return ids;
}

Player::Player(Context &ctx, const Program &program, ct_dtype dtype) : ctx_(ctx), program_(program), dtype_(dtype)
{
    for (size_t i = 0; i < program.leaves.size(); ++i) {
        const Leaf &l = program.leaves[i];
        const int id = static_cast<int>(i);
        leaves_[id] = leaf(l.shape, l.values);
        if (!l.requires_grad) continue;
        ctx_.check(ct_set_requires_grad(ctx_, leaves_[id], true), "ct_set_requires_grad");
        leaves_[gradient_of(id)] = ctx_.check(ct_grad(ctx_, leaves_[id]), "ct_grad");
    }
}

Player::~Player()
{
    for (const ct_tensor x : owned_) ct_release(ctx_, x);
}

ct_tensor Player::leaf(const Shape &shape, const std::vector<double> &values)
{
    owned_.push_back(ctx_.leaf(dtype_, shape, values));
    return owned_.back();
}

void Player::reset(double eps, const Values *direction)
{
    for (size_t i = 0; i < program_.leaves.size(); ++i) {
        const int id = static_cast<int>(i);
        std::vector<double> values = program_.leaves[i].values;
        if (direction && direction->count(id))
            for (size_t j = 0; j < values.size(); ++j) values[j] += eps * direction->at(id)[j];
        ctx_.write(leaves_[id], values);
        if (leaves_.count(gradient_of(id)))
            ctx_.write(leaves_[gradient_of(id)], std::vector<double>(values.size(), 0.0));
    }
}

static std::vector<int> dims_of(const std::vector<int64_t> &ints, size_t first)
{
    std::vector<int> dims;
    for (size_t i = first; i < ints.size(); ++i) dims.push_back(static_cast<int>(ints[i]));
    return dims;
}

ct_tensor Player::call(const Statement &s)
{
    ct_context *const ctx = ctx_;
    const ct_tensor x = slots_.at(s.args[0]), y = s.args.size() > 1 ? slots_.at(s.args[1]) : ct_tensor{0},
                    z = s.args.size() > 2 ? slots_.at(s.args[2]) : ct_tensor{0};
    using Reduction = ct_tensor (*)(ct_context *, ct_tensor, int, const int *, bool);
    const auto reduce = [&](Reduction op) {
        const std::vector<int> dims = dims_of(s.ints, 2);
        return op(ctx, x, static_cast<int>(dims.size()), dims.empty() ? nullptr : dims.data(), s.ints[0] != 0);
    };
    const auto i = [&](size_t k) { return static_cast<int>(s.ints[k]); };
    switch (s.op) {
    case Op::neg: return ct_neg(ctx, x);
    case Op::abs: return ct_abs(ctx, x);
    case Op::exp: return ct_exp(ctx, x);
    case Op::expm1: return ct_expm1(ctx, x);
    case Op::log: return ct_log(ctx, x);
    case Op::log1p: return ct_log1p(ctx, x);
    case Op::sqrt: return ct_sqrt(ctx, x);
    case Op::rsqrt: return ct_rsqrt(ctx, x);
    case Op::square: return ct_square(ctx, x);
    case Op::reciprocal: return ct_reciprocal(ctx, x);
    case Op::sin: return ct_sin(ctx, x);
    case Op::cos: return ct_cos(ctx, x);
    case Op::tanh: return ct_tanh(ctx, x);
    case Op::sigmoid: return ct_sigmoid(ctx, x);
    case Op::relu: return ct_relu(ctx, x);
    case Op::silu: return ct_silu(ctx, x);
    case Op::softplus: return ct_softplus(ctx, x);
    case Op::gelu: return ct_gelu(ctx, x, false);
    case Op::gelu_tanh: return ct_gelu(ctx, x, true);
    case Op::leaky_relu: return ct_leaky_relu(ctx, x, s.number);
    case Op::elu: return ct_elu(ctx, x, s.number);
    case Op::clamp: return ct_clamp(ctx, x, -s.number, s.number);
    case Op::add_scalar: return ct_add_scalar(ctx, x, s.number);
    case Op::mul_scalar: return ct_mul_scalar(ctx, x, s.number);
    case Op::pow_scalar: return ct_pow_scalar(ctx, x, s.number);
    case Op::add: return ct_add(ctx, x, y);
    case Op::sub: return ct_sub(ctx, x, y);
    case Op::mul: return ct_mul(ctx, x, y);
    case Op::div: return ct_div(ctx, x, y);
    case Op::pow: return ct_pow(ctx, x, y);
    case Op::maximum: return ct_maximum(ctx, x, y);
    case Op::minimum: return ct_minimum(ctx, x, y);
    case Op::gt: return ct_gt(ctx, x, y);
    case Op::where: return ct_where(ctx, x, y, z);
    case Op::mse_loss: return ct_mse_loss(ctx, x, y, static_cast<ct_reduction>(s.ints[0]));
    case Op::sum: return reduce(ct_sum);
    case Op::mean: return reduce(ct_mean);
    case Op::amax: return reduce(ct_amax);
    case Op::amin: return reduce(ct_amin);
    case Op::logsumexp: return reduce(ct_logsumexp);
    case Op::var: {
        const std::vector<int> dims = dims_of(s.ints, 2);
        return ct_var(ctx, x, static_cast<int>(dims.size()), dims.data(), s.ints[0] != 0, s.ints[1]);
    }
    case Op::matmul: return ct_matmul(ctx, x, y);
    case Op::linear: return ct_linear(ctx, x, y, z, static_cast<ct_activation>(s.ints[0]));
    case Op::softmax: return ct_softmax(ctx, x, i(0));
    case Op::log_softmax: return ct_log_softmax(ctx, x, i(0));
    case Op::reshape: return ct_reshape(ctx, x, static_cast<int>(s.ints.size()), s.ints.data());
    case Op::transpose: return ct_transpose(ctx, x, i(0), i(1));
    case Op::expand: return ct_expand(ctx, x, static_cast<int>(s.ints.size()), s.ints.data());
    case Op::slice: return ct_slice(ctx, x, i(0), s.ints[1], s.ints[2]);
    case Op::concat: {
        std::vector<ct_tensor> parts;
        for (const int id : s.args) parts.push_back(slots_.at(id));
        return ct_concat(ctx, static_cast<int>(parts.size()), parts.data(), i(0));
    }
    case Op::detach: return ct_detach(ctx, x);
    default: throw std::logic_error("an op without a value");
    }
}

void Player::play(const Statement &s)
{
    const auto all = [&](const std::vector<int> &ids) {
        std::vector<ct_tensor> tensors;
        for (const int id : ids) tensors.push_back(id == ones ? ct_tensor{0} : slots_.at(id));
        return tensors;
    };
    const std::vector<ct_tensor> args = all(s.args), seeds = all(s.seeds), inputs = all(s.inputs);
    const int n = static_cast<int>(args.size());
    const char *name = facts(s.op).name;
    switch (s.op) {
    case Op::assign: ctx_.check(ct_assign(ctx_, args[0], args[1]), name); break;
    case Op::accumulate: ctx_.check(ct_accumulate(ctx_, args[0], args[1]), name); break;
    case Op::zero_grad: ctx_.check(ct_zero_grad(ctx_, args[0]), name); break;
    case Op::backward: ctx_.check(ct_backward_from(ctx_, n, args.data(), seeds.data(), s.flags), name); break;
    case Op::gradients: {
        std::vector<ct_tensor> grads(inputs.size());
        ctx_.check(ct_gradients(ctx_, n, args.data(), seeds.data(), static_cast<int>(inputs.size()), inputs.data(),
                                grads.data(), s.flags),
                   name);
        for (size_t i = 0; i < grads.size(); ++i) slots_[s.results[i]] = grads[i];
        break;
    }
    default:
        if (s.no_grad) ct_no_grad_begin(ctx_);
        slots_[s.results[0]] = ctx_.check(call(s), name);
        if (s.no_grad) ct_no_grad_end(ctx_);
    }
}

void Player::record(size_t split_at, Split split)
{
    slots_ = leaves_;
    for (size_t k = 0; k < program_.statements.size(); ++k) {
        const Statement &s = program_.statements[k];
        play(s);
        if (k != split_at) continue;
        if (split == Split::flush) ctx_.check(ct_flush(ctx_), "ct_flush");
        if (split == Split::read) ctx_.read(slots_.at(s.results.empty() ? s.args[0] : s.results[0]));
    }
}

Values Player::read()
{
    Values values;
    for (const int id : observed(program_)) values[id] = ctx_.read(slots_.at(id));
    ctx_.end_step();
    return values;
}

void Player::store()
{
    for (const int id : observed(program_)) {
        if (id < first_result) continue;
        if (!stores_.count(id)) {
            const Shape shape = ctx_.shape(slots_.at(id));
            stores_[id] = leaf(shape, std::vector<double>(static_cast<size_t>(count(shape)), 0.0));
        }
        ctx_.check(ct_assign(ctx_, stores_[id], slots_.at(id)), "ct_assign");
    }
}

Values Player::read_stored()
{
    Values values;
    for (const int id : observed(program_)) values[id] = ctx_.read(id < first_result ? leaves_.at(id) : stores_.at(id));
    return values;
}

// ---- with constants held fast -------------------------------------------------------------------------------

void Player::fix(const std::map<int, Constant> &constants, size_t statement)
{
    for (const auto &constant : constants) {
        const int id = constant.first;
        const bool varies = is_leaf(id) && program_.leaves[static_cast<size_t>(id)].requires_grad;
        ct_tensor &fixed = fixed_[{statement, id}];
        if (fixed.bits == 0) {
            std::vector<double> values = constant.second.values;
            for (size_t i = 0; varies && i < values.size(); ++i)
                values[i] -= program_.leaves[static_cast<size_t>(id)].values[i];
            fixed = leaf(constant.second.shape, values);
        }
        slots_[id] = varies ? ctx_.check(ct_add(ctx_, leaves_.at(id), fixed), "ct_add") : fixed;
    }
}

void Player::record_frozen(const Constants &constants)
{
    slots_ = leaves_;
    for (size_t k = 0; k + 1 < program_.statements.size(); ++k)
        if (constants[k].empty())
            play(program_.statements[k]);
        else
            fix(constants[k], k);
}
