// A kernel with its operands, in host memory for the CPU and in device memory for the GPU: what a line
// of the table is about. The files of the families describe their problems with it as the ops lower them.
#ifndef CUTAPE_PROFILING_PROBLEM_H
#define CUTAPE_PROFILING_PROBLEM_H

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "../micro/micro.h"

#include "cuda/cuda.h"

size_t bytes_of(int dtype);
const char *name_of(int dtype);

// What an operand begins with: reals in [-1,1), reals in [0.1,1.9) for logarithms and roots, integers
// below 10, or zeros.
enum class Fill { uniform, positive, small_integers, zeros };

// What an operand is: read, written, both, or room that nobody looks at.
enum class Role { in, out, in_out, scratch };

// The same by somebody else, from the device's inputs into the device's output.
struct Rival {
    std::string name;
    std::function<void(cudaStream_t)> run; // empty: there is none
};

class Problem
{
  public:
    Problem(ct_kernel_id kernel, int dtype);

    ct_args args = {}; // all but addresses
    double bytes = 0, flops = 0;
    // Largest error of an output element beside the CPU's, relative to its size or to 1, whichever is larger.
    double tolerance = 0;
    Rival rival;

    // Operand p[slot], of n elements. Counts its bytes towards `bytes`, twice if it is read and written.
    void operand(int slot, Role role, int dtype, int64_t n, Fill fill = Fill::uniform);
    void scalars(std::initializer_list<double> values);
    // p[0]: a table of tensors; column c of each has roles[c].
    void table(const std::vector<int64_t> &sizes, const std::vector<Role> &roles);
    // args.n, shape and one stride for each input, in elements.
    void iterate(const std::vector<int64_t> &shape, const std::vector<std::vector<int64_t>> &strides);

    // Runs the CPU's kernel on fresh operands; microseconds.
    double run_on_cpu();
    // Fresh operands for the GPU.
    void upload();
    void launch(cudaStream_t stream) const;
    // Of all outputs; infinite where one is NaN and the other is not.
    double error() const;
    void *on_device(int slot) const;

  private:
    struct Operand {
        Role role;
        int dtype;
        std::vector<char> initial, host;
        std::unique_ptr<Buffer<char>> device;
        // Of a table: where the addresses of which operands stand in it.
        std::vector<std::pair<size_t, size_t>> addresses;
    };

    size_t add(Role role, int dtype, int64_t n, Fill fill);
    void *address(size_t operand, bool device) const;
    ct_args resolved(bool device) const;

    std::vector<Operand> operands_;
    int slots_[6] = {-1, -1, -1, -1, -1, -1}, scalars_ = -1;
    std::shared_ptr<Buffer<uint32_t>> ticket_;
};

// A problem by name, made only when it is wanted.
struct Case {
    std::string kernel, shape;
    int dtype;
    std::function<Problem()> make;
};
using Cases = std::vector<Case>;

// A product of a shape, as text: "64x784".
std::string shape_text(std::initializer_list<int64_t> sizes);
// Into how many parts a sum is cut: ct_partials of runtime/program/lower.h.
int64_t partials_of(int64_t n);

// ---- families ------------------------------------------------------------------------------------------

void elementwise_cases(Cases &cases);
void move_cases(Cases &cases);
void reduce_cases(Cases &cases);
void gemm_cases(Cases &cases);
void norm_cases(Cases &cases);
void loss_cases(Cases &cases);
void random_cases(Cases &cases);
void update_cases(Cases &cases);
void gather_cases(Cases &cases);

// ---- rivals --------------------------------------------------------------------------------------------

Rival memcpy_rival(const void *from, void *to, size_t bytes);
// The sum of n elements; of each of `rows` rows of n.
Rival cub_sum_rival(int dtype, const void *x, void *y, int64_t n);
Rival cub_rows_rival(int dtype, const void *x, void *y, int64_t rows, int64_t n);
// C [m,n] = op(A) op(B), as the gemm kernel has it.
Rival cublaslt_rival(int dtype, const ct_args &args, const void *a, const void *b, void *c);

#endif
