// Plays a program on the runtime: recorded, split by a flush, with what it computes stored in leaves so
// that it can be replayed, or with all that is constant held fast, for finite differences.
#ifndef CUTAPE_TESTS_FUZZ_PLAY_H
#define CUTAPE_TESTS_FUZZ_PLAY_H

#include "fuzz/naive.h"
#include "support/context.h"

using Values = std::map<int, std::vector<double>>;

// What a program has to show: its roots, its gradients, and all leaves with their .grad.
std::vector<int> observed(const Program &program);
// By statement: what it changed without a gradient, as the naive evaluator has it.
struct Constant {
    Shape shape;
    std::vector<double> values;
};
using Constants = std::vector<std::map<int, Constant>>;

class Player
{
  public:
    Player(Context &ctx, const Program &program, ct_dtype dtype);
    ~Player();
    Player(const Player &) = delete;
    Player &operator=(const Player &) = delete;

    // The leaves and their .grad as at first, or the leaves moved by eps along a direction (by leaf).
    void reset(double eps = 0, const Values *direction = nullptr);
    enum class Split { none, flush, read };
    void record(size_t split_at = SIZE_MAX, Split split = Split::none);
    Values read(); // what is observed; the step ends
    void store();  // records that step values go to leaves of their own, so that they outlive the step
    Values read_stored();

    // All but the last statement; constants are leaves. For the value of the last one's roots.
    void record_frozen(const Constants &constants);
    std::vector<double> read_root(size_t i) { return ctx_.read(slots_.at(program_.statements.back().args[i])); }

  private:
    ct_tensor leaf(const Shape &shape, const std::vector<double> &values);
    ct_tensor call(const Statement &s);
    void play(const Statement &s);
    void fix(const std::map<int, Constant> &constants, size_t statement);

    Context &ctx_;
    const Program &program_;
    const ct_dtype dtype_;
    std::vector<ct_tensor> owned_;
    std::map<int, ct_tensor> leaves_, slots_, stores_;
    std::map<std::pair<size_t, int>, ct_tensor> fixed_; // of a statement and an id
};

#endif
