// A second evaluator, which shares no code with the runtime: every tensor is a list of scalars, every
// scalar a node of a graph with a formula of a dozen, and a gradient is again nodes, so that it can be
// differentiated. Slow and plain on purpose.
#ifndef CUTAPE_TESTS_FUZZ_NAIVE_H
#define CUTAPE_TESTS_FUZZ_NAIVE_H

#include "fuzz/program.h"

class Naive
{
  public:
    explicit Naive(const std::vector<Leaf> &leaves);
    void play(const Statement &s);
    void undo(); // the last statement played

    const Shape &shape(int id) const { return tensors_.at(id).shape; }
    std::vector<double> values(int id) const;
    // Ids that s has just changed and through which no gradient flows.
    std::vector<int> constants_of(const Statement &s) const;
    // Is the last statement away from kinks and poles, and small enough for differences to mean something?
    bool smooth() const;

  private:
    enum class Kind {
        constant,
        variable,
        copy,
        neg,
        add,
        mul,
        div,
        exp,
        log,
        sqrt,
        sin,
        cos,
        tanh,
        erf,
        power,
        greater,
        select
    };
    struct Node {
        Kind kind;
        bool variable; // depends on a variable
        int a, b, c;
        double value;
    };
    struct Tensor {
        Shape shape;
        std::vector<int> nodes; // row-major
    };
    using Ids = std::vector<int>;

    int make(Kind kind, int a = -1, int b = -1, int c = -1);
    int constant(double value);
    double value(int node) const { return nodes_[static_cast<size_t>(node)].value; }
    int neg(int a) { return make(Kind::neg, a); }
    int add(int a, int b) { return make(Kind::add, a, b); }
    int sub(int a, int b) { return add(a, neg(b)); }
    int mul(int a, int b) { return make(Kind::mul, a, b); }
    int div(int a, int b) { return make(Kind::div, a, b); }
    int exp(int a) { return make(Kind::exp, a); }
    int log(int a) { return make(Kind::log, a); }
    int square(int a) { return mul(a, a); }
    int sigmoid(int a) { return div(constant(1), add(constant(1), exp(neg(a)))); }
    int larger(int a, int b) { return make(Kind::select, make(Kind::greater, a, b), a, b); }
    int positive(int x, int then, int other);

    int unary(Op op, int x, double number);
    int binary(Op op, int a, int b);
    int activation(int64_t which, int x);
    int sum(const Ids &nodes);
    int fold(Op op, const Ids &nodes, int64_t correction);
    Tensor reduce(const Statement &s, const Tensor &x);
    Tensor matmul(const Tensor &a, const Tensor &b);
    Tensor linear(const Statement &s);
    Tensor along(Op op, const Tensor &x, size_t dim);
    Tensor transpose(const Tensor &x, size_t d0, size_t d1);
    Tensor slice(const Statement &s, const Tensor &x);
    Tensor concat(const Statement &s);
    Tensor evaluate(const Statement &s);

    void pull(int node, int g, Ids &adjoint);
    void give(int node, int g, Ids &adjoint);
    Ids sweep(const Statement &s);
    Tensor frozen(const Tensor &x);
    Tensor moved(int leaf, const Tensor &to);
    void set(int id, Tensor x);

    std::vector<Node> nodes_;
    std::map<int, Tensor> tensors_, variables_;
    std::vector<bool> requires_grad_;
    double margin_ = 1, largest_ = 0; // of the last statement
    size_t nodes_before_ = 0;
    std::vector<std::pair<int, Tensor>> before_; // an empty list of nodes: there was none
    std::vector<int> fresh_;
};

#endif
