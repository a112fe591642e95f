// A random program: leaves, and statements in the order of their recording. It is data, so that it
// can be played on the runtime (play.h), evaluated by formulas of its own (naive.h), made smaller
// (shrink.h) and printed. Everything a statement reads or makes has an id.
#ifndef CUTAPE_TESTS_FUZZ_PROGRAM_H
#define CUTAPE_TESTS_FUZZ_PROGRAM_H

#include <bitset>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

using Shape = std::vector<int64_t>;
int64_t count(const Shape &shape);

// Ids: leaves from 0, the .grad of leaf i, results from first_result in the order of their making.
constexpr int first_gradient = 1000, first_result = 2000;
constexpr int gradient_of(int leaf) { return first_gradient + leaf; }
constexpr bool is_leaf(int id) { return id < first_gradient; }
constexpr int ones = -1; // in place of a seed

enum class Op {
    // unary
    neg,
    abs,
    exp,
    expm1,
    log,
    log1p,
    sqrt,
    rsqrt,
    square,
    reciprocal,
    sin,
    cos,
    tanh,
    sigmoid,
    relu,
    silu,
    softplus,
    gelu,
    gelu_tanh,
    leaky_relu,
    elu,
    clamp,
    add_scalar,
    mul_scalar,
    pow_scalar,
    // of two or three operands
    add,
    sub,
    mul,
    div,
    pow,
    maximum,
    minimum,
    gt,
    where,
    mse_loss,
    // reductions
    sum,
    mean,
    amax,
    amin,
    logsumexp,
    var,
    // products
    matmul,
    linear,
    // along a dim
    softmax,
    log_softmax,
    // shape
    reshape,
    transpose,
    expand,
    slice,
    concat,
    detach,
    // what writes leaves or .grad, and the gradient calls
    assign,
    accumulate,
    zero_grad,
    backward,
    gradients,
};

struct OpFacts {
    const char *name;
    bool saves; // its gradient rule may read an operand, which then must not be written
};
const OpFacts &facts(Op op);

struct Leaf {
    Shape shape;
    std::vector<double> values; // exact in f32
    bool requires_grad;
    bool written; // by some statement: few ops that save an operand read it
};

struct Statement {
    Op op;
    std::vector<int> args;     // what it reads; of a writing one the leaf first; of a gradient call the roots
    std::vector<int64_t> ints; // dims, or a shape, or an activation, as the op has them
    double number = 0;
    bool no_grad = false;        // recorded between ct_no_grad_begin and _end
    std::vector<int> seeds = {}; // of the roots
    std::vector<int> inputs = {};
    int flags = 0;
    std::vector<int> results = {};
};

struct Program {
    std::vector<Leaf> leaves;
    std::vector<Statement> statements; // the last is `gradients` of the roots by the leaves
};

std::string text_of(const Program &program); // one line a leaf in use and a statement

// What may be recorded next, by the rules of autograd.h: roots that require a gradient, nothing swept
// twice, no rule that would read what was written since.
class Rules
{
  public:
    explicit Rules(const std::vector<Leaf> &leaves);
    bool allow(const Statement &s) const;
    void add(const Statement &s);
    bool requires_grad(int id) const; // for certain: a gradient of a gradient may or may not
    bool usable(int id) const;        // by a gradient call

  private:
    struct Value {
        bool requires_grad, flows;
        std::bitset<128> path; // statements a gradient may pass on its way to the leaves
    };
    struct Saved {
        size_t statement;
        int id, version;
    };
    void write(int id) { ++versions_[id]; }

    std::map<int, Value> values_;
    std::map<int, int> versions_; // of leaves and .grad
    std::vector<Saved> saved_;
    std::bitset<128> swept_;
    size_t n_ = 0;
};

#endif
