#!/usr/bin/env python3
"""Breaks one gradient rule at a time and requires the gradient tests to notice.

    python3 tests/mutation/run.py [--work DIR] [--only TEXT] [--list]

The sources are copied to a work directory and built once, unoptimised; each mutant then recompiles one file.
Fails if the unmutated tests fail, if a mutant survives or does not compile, or if the text it replaces does
not stand in its file exactly once, however its lines are broken: then the table below is to be brought up to
date.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# For speed: no optimisation, no debug information, no warnings (mutants leave variables unused), no matrix
# library, and, as the processor has no name that CMakeLists.txt knows, one instruction set.
CONFIGURE = ["-G", "Ninja", "-DCUTAPE_CUDA=OFF", "-DCUTAPE_SIMT=OFF", "-DCUTAPE_EXAMPLES=OFF",
             "-DCUTAPE_BENCHMARKS=OFF", "-DCUTAPE_BLAS=NONE",
             "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0 -w", "-DCMAKE_CXX_FLAGS_DEBUG=-O0 -w",
             "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=generic"]
SECONDS_PER_RUN = 60

# ---- the mutants: of one file, (name, ops whose samples are to notice, old text, new text) ------------------

MUTANTS = {
    "runtime/ops/unary.c": [
        ("neg: sign", "neg", "RULE(neg) { GIN = ct_neg(ctx, G); }", "RULE(neg) { GIN = G; }"),
        ("abs: sign of x forgotten", "abs", "GIN = ct_mul(ctx, G, ct_sign(ctx, X));", "GIN = G;"),
        ("exp: x for y", "exp", "RULE(exp) { GIN = ct_mul(ctx, G, Y); }", "RULE(exp) { GIN = ct_mul(ctx, G, X); }"),
        ("expm1: dropped 1", "expm1", "ct_mul(ctx, G, ct_add_scalar(ctx, Y, 1))", "ct_mul(ctx, G, Y)"),
        ("log: times x", "log", "GIN = ct_div(ctx, G, X);", "GIN = ct_mul(ctx, G, X);"),
        ("log1p: dropped 1", "log1p", "ct_div(ctx, G, ct_add_scalar(ctx, X, 1))", "ct_div(ctx, G, X)"),
        ("sqrt: scale", "sqrt", "ct_mul_scalar(ctx, ct_div(ctx, G, Y), 0.5)", "ct_div(ctx, G, Y)"),
        ("rsqrt: sign", "rsqrt", "ct_square(ctx, Y))), -0.5)", "ct_square(ctx, Y))), 0.5)"),
        ("rsqrt: power", "rsqrt", "ct_mul(ctx, Y, ct_square(ctx, Y))", "ct_square(ctx, Y)"),
        ("square: scale", "square", "ct_mul_scalar(ctx, X, 2)", "X"),
        ("reciprocal: sign", "reciprocal", "ct_neg(ctx, ct_mul(ctx, G, ct_square(ctx, Y)))",
         "ct_mul(ctx, G, ct_square(ctx, Y))"),
        ("reciprocal: power", "reciprocal", "ct_mul(ctx, G, ct_square(ctx, Y))", "ct_mul(ctx, G, Y)"),
        ("sin: of sin", "sin", "ct_mul(ctx, G, ct_cos(ctx, X))", "ct_mul(ctx, G, ct_sin(ctx, X))"),
        ("cos: sign", "cos", "ct_neg(ctx, ct_mul(ctx, G, ct_sin(ctx, X)))", "ct_mul(ctx, G, ct_sin(ctx, X))"),
        ("tanh: x for y", "tanh", "ct_act_grad(ctx, CT_ACT_TANH, G, Y, 0)", "ct_act_grad(ctx, CT_ACT_TANH, G, X, 0)"),
        ("sigmoid: another activation", "sigmoid", "ct_act_grad(ctx, CT_ACT_SIGMOID, G, Y, 0)",
         "ct_act_grad(ctx, CT_ACT_TANH, G, Y, 0)"),
        ("relu: mask forgotten", "relu", "GIN = ct_act_grad(ctx, CT_ACT_RELU, G, Y, 0);", "GIN = G;"),
        ("silu: y for x", "silu", "ct_act_grad(ctx, CT_ACT_SILU, G, X, 0)", "ct_act_grad(ctx, CT_ACT_SILU, G, Y, 0)"),
        ("gelu: by the approximation", "gelu", "ct_act_grad(ctx, CT_ACT_GELU, G, X, 0)",
         "ct_act_grad(ctx, CT_ACT_GELU_TANH, G, X, 0)"),
        ("gelu_tanh: not by the approximation", "gelu_tanh", "ct_act_grad(ctx, CT_ACT_GELU_TANH, G, X, 0)",
         "ct_act_grad(ctx, CT_ACT_GELU, G, X, 0)"),
        ("leaky_relu: slope", "leaky_relu", "ct_act_grad(ctx, CT_ACT_LEAKY_RELU, G, X, a->scalar[0])",
         "ct_act_grad(ctx, CT_ACT_LEAKY_RELU, G, X, 0.01)"),
        ("leaky_relu: y for x", "leaky_relu", "ct_act_grad(ctx, CT_ACT_LEAKY_RELU, G, X, a->scalar[0])",
         "ct_act_grad(ctx, CT_ACT_LEAKY_RELU, G, Y, a->scalar[0])"),
        ("softplus: of tanh", "softplus", "ct_mul(ctx, G, ct_sigmoid(ctx, X))", "ct_mul(ctx, G, ct_tanh(ctx, X))"),
        ("add_scalar: none", "add_scalar", "RULE(add_scalar) { (void)ctx, GIN = G; }",
         "RULE(add_scalar) { (void)ctx, (void)a; }"),
        ("mul_scalar: scale", "mul_scalar", "GIN = ct_mul_scalar(ctx, G, a->scalar[0]);", "GIN = G;"),
        ("sign: not zero", "sign", "(void)ctx, (void)a; /* zero everywhere */", "GIN = G;"),
        ("elu: alpha forgotten", "elu", "ct_mul_scalar(ctx, ct_exp(ctx, below), a->scalar[0])", "ct_exp(ctx, below)"),
        ("elu: sides swapped", "elu", "GIN = ct_where(ctx, ct_gt(ctx, X, zero), G, ct_mul(ctx, G, slope));",
         "GIN = ct_where(ctx, ct_gt(ctx, X, zero), ct_mul(ctx, G, slope), G);"),
        ("elu: side at zero", "elu", "GIN = ct_where(ctx, ct_gt(ctx, X, zero)",
         "GIN = ct_where(ctx, ct_ge(ctx, X, zero)"),
        ("clamp: lower bound outside", "clamp", "ct_mul(ctx, ct_ge(ctx, X,", "ct_mul(ctx, ct_gt(ctx, X,"),
        ("clamp: upper bound outside", "clamp", "ct_le(ctx, X, ct_constant", "ct_lt(ctx, X, ct_constant"),
        ("clamp: mask forgotten", "clamp", "GIN = ct_where(ctx, inside, G, ct_constant(ctx, &scalar, 0));", "GIN = G;"),
        ("pow_scalar: exponent", "pow_scalar", "ct_pow_scalar(ctx, X, p - 1)", "ct_pow_scalar(ctx, X, p)"),
        ("pow_scalar: scale", "pow_scalar", "ct_mul_scalar(ctx, ct_pow_scalar(ctx, X, p - 1), p)",
         "ct_pow_scalar(ctx, X, p - 1)"),
        ("pow_scalar: zero at p = 0", "pow_scalar", "if (p == 0) return;", ""),
        ("cast: none", "cast", "GIN = ct_cast(ctx, G, (ct_dtype)ct_tensor_shape(ctx, X).dtype);",
         "(void)ctx, (void)a;"),
        ("act_grad: sign, by g", "tanh", "a->gin[0] = ct_act_grad(ctx, activation, G,",
         "a->gin[0] = ct_act_grad(ctx, activation, ct_neg(ctx, G),"),
        ("act_grad: dropped factor, by s", "tanh", "ct_mul(ctx, ct_mul(ctx, G, a->in[0]), second)",
         "ct_mul(ctx, G, second)"),
        ("act_grad: none by s", "sigmoid", "if (!a->needs[1]) return;", "return;"),
        ("act_grad: tanh'' sign", "tanh", "/* d(1 - y²)/dy */ return ct_mul_scalar(ctx, s, -2);",
         "return ct_mul_scalar(ctx, s, 2);"),
        ("act_grad: sigmoid'' dropped term", "sigmoid",
         "/* d(y - y²)/dy */ return ct_add_scalar(ctx, ct_mul_scalar(ctx, s, -2), 1);",
         "return ct_mul_scalar(ctx, s, -2);"),
        ("act_grad: silu'' scale", "silu", "return ct_mul(ctx, slope, ct_add_scalar(ctx, rest, 2));",
         "return ct_mul(ctx, slope, ct_add_scalar(ctx, rest, 1));"),
        ("act_grad: gelu'' dropped term", "gelu", "ct_add_scalar(ctx, ct_neg(ctx, square), 2));",
         "ct_neg(ctx, square));"),
        ("act_grad: gelu_tanh'' scale", "gelu_tanh",
         "ct_add_scalar(ctx, ct_mul_scalar(ctx, square, 3 * c * k), k)",
         "ct_add_scalar(ctx, ct_mul_scalar(ctx, square, 2 * c * k), k)"),
        ("act_grad: gelu_tanh'' dropped term", "gelu_tanh", "ct_tensor rest = ct_sub(ctx, ct_add(ctx, u1, "
         "ct_mul_scalar(ctx, square, 3 * c * k)), last);", "ct_tensor rest = ct_sub(ctx, u1, last);"),
    ],
    "runtime/ops/binary.c": [
        ("add: none by b", "add", "if (a->needs[1]) give(ctx, a, 1, G);", ""),
        ("sub: sign", "sub", "give(ctx, a, 1, ct_neg(ctx, G))", "give(ctx, a, 1, G)"),
        ("mul: swapped operands", "mul", "give(ctx, a, 0, ct_scale_by(ctx, B, G))",
         "give(ctx, a, 0, ct_scale_by(ctx, A, G))"),
        ("mul: adjoint forgotten", "mul", "give(ctx, a, 1, ct_scale_by(ctx, A, G))",
         "give(ctx, a, 1, ct_mul(ctx, A, ct_add_scalar(ctx, ct_mul_scalar(ctx, G, 0), 1)))"),
        ("div: times b", "div", "give(ctx, a, 0, ct_div(ctx, G, B))", "give(ctx, a, 0, ct_mul(ctx, G, B))"),
        ("div: sign", "div", "ct_neg(ctx, ct_mul(ctx, G, ct_div(ctx, Y, B)))", "ct_mul(ctx, G, ct_div(ctx, Y, B))"),
        ("div: a for y", "div", "ct_div(ctx, Y, B)", "ct_div(ctx, A, B)"),
        ("pow: dropped factor", "pow", "ct_mul(ctx, B, ct_pow(ctx, A, ct_add_scalar(ctx, B, -1)))",
         "ct_pow(ctx, A, ct_add_scalar(ctx, B, -1))"),
        ("pow: zero exponent", "pow",
         "give(ctx, a, 0, ct_where(ctx, flat, constant(ctx, A, 0), ct_mul(ctx, G, slope)))",
         "give(ctx, a, 0, ct_mul(ctx, G, slope))"),
        ("pow: logarithm of b", "pow", "ct_mul(ctx, Y, ct_log(ctx, A))", "ct_mul(ctx, Y, ct_log(ctx, B))"),
        ("pow: zero base", "pow", "give(ctx, a, 1, ct_where(ctx, flat, zero, ct_mul(ctx, G, slope)))",
         "give(ctx, a, 1, ct_mul(ctx, G, slope))"),
        ("maximum: ties to both", "maximum", "ct_eq(ctx, A, B), 0.5)", "ct_eq(ctx, A, B), 1)"),
        ("maximum: swapped operands", "maximum", "ct_add(ctx, taken(ctx, B, A), half)",
         "ct_add(ctx, taken(ctx, A, B), half)"),
        ("maximum: of minimum", "maximum", "extremum_vjp(ctx, a, ct_gt)", "extremum_vjp(ctx, a, ct_lt)"),
        ("minimum: ties to none", "minimum", "ct_add(ctx, taken(ctx, A, B), half)", "taken(ctx, A, B)"),
        ("where: swapped", "where", "ct_where(ctx, a->in[0], G, zero)", "ct_where(ctx, a->in[0], zero, G)"),
        ("where: mask forgotten", "where", "give(ctx, a, 2, ct_where(ctx, a->in[0], zero, G))", "give(ctx, a, 2, G)"),
        ("broadcast: not summed", "add", "a->gin[i] = ct_sum_to(ctx, g, &like);", "a->gin[i] = g;"),
    ],
    "runtime/ops/op.c": [
        ("broadcast: mean for sum", "add", "x = ct_sum(ctx, x, n, dims, true)", "x = ct_mean(ctx, x, n, dims, true)"),
        ("broadcast: added dims only", "mul", "(like->dim[i - lead] == 1 && s.dim[i] != 1)", "false"),
        ("a factor that is not one is left out", "mul mse_loss",
         "return r->op == CT_OP_fill && ctx->tape->attrs[r->attr];", "return true;"),
    ],
    "runtime/ops/reduce.c": [
        ("mean: scale", "mean", "if (a->scalar[0] != 1) g =", "if (false) g ="),
        ("sum: not expanded", "sum", "a->gin[0] = ct_expand(ctx, g, x.ndim, x.dim);", "a->gin[0] = g;"),
    ],
    "runtime/ops/matrix.c": [
        ("matmul: dA, B not transposed", "matmul", "ct_matmul_transposed(ctx, G, B, false, !tb)",
         "ct_matmul_transposed(ctx, G, B, false, tb)"),
        ("matmul: dB, A not transposed", "matmul", "ct_matmul_transposed(ctx, A, G, !ta, false)",
         "ct_matmul_transposed(ctx, A, G, ta, false)"),
        ("matmul: dB, sign", "matmul", "a->gin[1] = ct_sum_to(ctx, g, &like);",
         "a->gin[1] = ct_sum_to(ctx, ct_neg(ctx, g), &like);"),
        ("matmul: dA of a transposed A, not swapped", "matmul linear", "ct_matmul_transposed(ctx, B, G, tb, true)",
         "ct_matmul_transposed(ctx, G, B, false, !tb)"),
        ("matmul: dB of a transposed B, not swapped", "matmul linear", "ct_matmul_transposed(ctx, G, A, true, ta)",
         "ct_matmul_transposed(ctx, A, G, !ta, false)"),
        ("linear: activation forgotten", "linear", "if (activation != CT_ACT_IDENTITY) dz =", "if (false) dz ="),
        ("linear: slope", "linear", "#define LEAKY_SLOPE 0.01", "#define LEAKY_SLOPE 0.1"),
        ("linear: dw, sign", "linear", "a->gin[1] = ct_matmul_transposed(ctx, dz,",
         "a->gin[1] = ct_matmul_transposed(ctx, ct_neg(ctx, dz),"),
        ("linear: db, mean for sum", "linear", "a->gin[2] = ct_sum(ctx, dz, 1, (int[]){0}, false)",
         "a->gin[2] = ct_mean(ctx, dz, 1, (int[]){0}, false)"),
        ("linear: db, none", "linear", "if (a->n_in == 3 && a->needs[2])", "if (false)"),
        ("linear: dx, of g for dz", "linear", "ct_tensor dx = ct_matmul(ctx, dz, a->in[1]);",
         "ct_tensor dx = ct_matmul(ctx, as_matrix(ctx, a->g[0]), a->in[1]);"),
    ],
    "runtime/ops/shape.c": [
        ("transpose: reshaped instead", "transpose",
         "a->gin[0] = ct_transpose(ctx, a->g[0], (int)a->attr[0], (int)a->attr[1]);",
         "ct_shape x = ct_tensor_shape(ctx, a->in[0]); a->gin[0] = ct_reshape(ctx, a->g[0], x.ndim, x.dim);"),
        ("expand: none", "expand", "a->gin[0] = ct_sum_to(ctx, a->g[0], &x);", "(void)x;"),
        ("reshape: scale", "reshape", "a->gin[0] = ct_reshape(ctx, a->g[0], x.ndim, x.dim);",
         "a->gin[0] = ct_mul_scalar(ctx, ct_reshape(ctx, a->g[0], x.ndim, x.dim), 1.0001);"),
    ],
    "runtime/ops/norm.c": [
        ("softmax: dropped sum", "softmax", "ct_mul(ctx, a->out[0], ct_sub(ctx, a->g[0], sum))",
         "ct_mul(ctx, a->out[0], a->g[0])"),
        ("softmax: swapped operands", "softmax", "ct_sub(ctx, a->g[0], sum)", "ct_sub(ctx, sum, a->g[0])"),
        ("log_softmax: y for its exponential", "log_softmax", "ct_exp(ctx, a->out[0])", "a->out[0]"),
        ("log_softmax: dropped sum", "log_softmax",
         "a->gin[0] = ct_sub(ctx, a->g[0], ct_mul(ctx, ct_exp(ctx, a->out[0]), sum));",
         "a->gin[0] = a->g[0];"),
    ],
    "runtime/ops/random.c": [
        ("dropout: mask forgotten", "Dropout", "a->gin[0] = record_dropout(ctx, g, a->scalar[0], a->attr[0]);",
         "a->gin[0] = a->g[0];"),
        ("dropout: another mask", "Dropout", "record_dropout(ctx, g, a->scalar[0], a->attr[0])",
         "record_dropout(ctx, g, a->scalar[0], a->attr[0] + 1)"),
    ],
    "runtime/ops/loss.c": [
        ("cross_entropy: adjoint forgotten", "cross_entropy",
         "dx = ct_scale_by(ctx, a->out[1], g);\n    }\n    if (u.bits) {\n"
         "        int last", "dx = a->out[1];\n    }\n    if (u.bits) {\n        int last"),
        ("cross_entropy: second order, dropped sum", "cross_entropy",
         "ct_sub(ctx, pu, ct_mul(ctx, p, ct_sum(ctx, pu, 1, &last, true)))", "pu"),
        ("cross_entropy: second order, weight forgotten", "cross_entropy",
         "ct_mul(ctx, centred, ct_detach(ctx, a->out[2]))",
         "centred"),
        ("mse_loss: adjoint forgotten", "mse_loss", "if (g.bits) dx = ct_scale_by(ctx, a->out[1], g);",
         "if (g.bits) dx = a->out[1];"),
        ("mse_loss: second order, scale", "mse_loss", "ct_mul_scalar(ctx, u, 2 * a->scalar[0])",
         "ct_mul_scalar(ctx, u, a->scalar[0])"),
        ("mse_loss: sign by y", "mse_loss", "a->gin[1] = ct_neg(ctx, dx);", "a->gin[1] = dx;"),
    ],
    "runtime/tape/gradient.c": [
        ("fan-out: the last adjoint only", "", "ct_tensor sum = ct_add(ctx, v->adjoint, g);", "ct_tensor sum = g;"),
    ],
    "kernels/cpu/loss.inc": [
        ("cross_entropy: gradient, smoothing forgotten", "cross_entropy", "(M(exp)(x[i] - max) / sum - spread)",
         "(M(exp)(x[i] - max) / sum)"),
        ("cross_entropy: gradient, target", "cross_entropy", "dx[label] -= weight * (1 - smoothing)",
         "dx[label] -= weight"),
        ("cross_entropy: gradient, weight forgotten", "cross_entropy", "dx[label] -= weight * (1 - smoothing)",
         "dx[label] -= 1 - smoothing"),
        ("cross_entropy: gradient, ignored rows count", "cross_entropy",
         "counted += label_at(a, r) != a->i[1]", "counted++"),
        ("cross_entropy: gradient, ignored rows not zero", "cross_entropy",
         "for (int64_t i = 0; dx && i < a->n; i++) dx[i] = 0;", "for (int64_t i = 0; dx && i < a->n; i++) dx[i] = 1;"),
        ("mse_loss: gradient, scale", "mse_loss", "dx[i] = 2 * scale * (x[i] - y[i])", "dx[i] = scale * (x[i] - y[i])"),
        ("mse_loss: gradient, sign", "mse_loss", "dx[i] = 2 * scale * (x[i] - y[i])",
         "dx[i] = 2 * scale * (y[i] - x[i])"),
    ],
    "kernels/elementwise.def": [
        ("act_grad: relu, mask forgotten", "relu", "CT_BINARY(act_grad_relu, b <= K(0) ? K(0) : a)",
         "CT_BINARY(act_grad_relu, a)"),
        ("act_grad: tanh, sign", "tanh", "CT_BINARY(act_grad_tanh, a * (K(1) - b * b))",
         "CT_BINARY(act_grad_tanh, a * (K(1) + b * b))"),
        ("act_grad: sigmoid, dropped factor", "sigmoid", "CT_BINARY(act_grad_sigmoid, a * b * (K(1) - b))",
         "CT_BINARY(act_grad_sigmoid, a * b)"),
        ("act_grad: gelu, dropped term", "gelu", "b * K(0.79788456080286535588) * M(exp)", "K(0) * M(exp)"),
        ("act_grad: silu, sign", "silu", "(K(1) + b * (K(1) - K(1) /", "(K(1) - b * (K(1) - K(1) /"),
        ("act_grad: leaky_relu, side at zero", "leaky_relu", "CT_BINARY(act_grad_leaky_relu, b > K(0) ?",
         "CT_BINARY(act_grad_leaky_relu, b >= K(0) ?"),
        ("act_grad: gelu_tanh, scale", "gelu_tanh", "(K(1) + K(0.134145) * b * b)",
         "(K(1) + K(0.044715) * b * b)"),
    ],
}


# ---- the work directory ------------------------------------------------------------------------------------

def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def update_copy(source):
    """Makes source/ a copy of this tree; files that are alike keep their time, and their objects."""
    wanted = set()
    for folder, inside, files in os.walk(ROOT):
        # Neither version control nor a build, least of all the one that this may be running in.
        inside[:] = [name for name in inside if not name.startswith((".", "__")) and name != "build" and not
                     os.path.exists(os.path.join(folder, name, "CMakeCache.txt"))]
        for path in (os.path.join(folder, file) for file in files):
            to = os.path.join(source, os.path.relpath(path, ROOT))
            wanted.add(to)
            content = read(path)
            if not os.path.exists(to) or read(to) != content:
                write(to, content)
    for folder, _, files in os.walk(source):
        for file in files:
            if os.path.join(folder, file) not in wanted:
                os.remove(os.path.join(folder, file))


def call(*command, timeout=None):
    """(exit status or None after a timeout, output)"""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                              errors="replace")
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        return None, ""


def require(result, what):
    status, output = result
    if status != 0:
        sys.exit(f"{output}\n{what} failed")


# ---- a mutant ----------------------------------------------------------------------------------------------

def pattern(text):
    """Matches the text with lines broken where a formatter may break them."""
    return re.compile(r"\s+".join(re.escape(word).replace(r"\(", r"\(\s*") for word in text.split()).encode())


def gtest_filter(ops):
    """The samples of these ops, which are the last part of a test's name; all if there are none."""
    return ":".join(f"*{op}.*" if op[0].isupper() else f"*/{op}_*" for op in ops.split()) or "*"


def first_failure(output):
    found = re.search(r"^\[  FAILED  \] ([^\s,]+)", output, re.MULTILINE)
    return found.group(1) if found else None


def try_mutant(path, content, mutant, build, tests):
    """(whether it was noticed, by what)"""
    name, ops, old, new = mutant
    places = pattern(old).findall(content)
    if len(places) != 1:
        return False, f"THE TEXT TO REPLACE STANDS {len(places)} TIMES IN THE FILE: {old}"
    write(path, content.replace(places[0], new.encode()))
    status, output = call("cmake", "--build", build, "--target", "ops_tests")
    if status != 0:
        return False, "DOES NOT COMPILE\n" + "\n".join(re.findall(r".*error.*", output)[:5])
    status, output = call(*tests, "--gtest_filter=" + gtest_filter(ops), timeout=SECONDS_PER_RUN)
    if status is None:
        return False, f"NOT DONE IN {SECONDS_PER_RUN} s"
    if "[  PASSED  ] 0 tests" in output and not first_failure(output):
        return False, "NO TEST RAN"
    if status == 0:
        return False, "SURVIVED"
    return True, first_failure(output) or f"it died with status {status}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", help="directory to work in, kept for the next time (default: a temporary one)")
    parser.add_argument("--only", default="", help="only mutants with this text in their name or file")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    options = parser.parse_args()
    chosen = {file: [m for m in mutants if options.only in m[0] or options.only in file]
              for file, mutants in MUTANTS.items()}
    if options.list:
        for file, mutants in chosen.items():
            print(*(f"{file}: {m[0]}" for m in mutants), sep="\n", end="\n" if mutants else "")
        return 0

    start = time.monotonic()
    work = os.path.abspath(options.work) if options.work else tempfile.mkdtemp(prefix="cutape-mutation-")
    source, build = os.path.join(work, "source"), os.path.join(work, "build")
    try:
        update_copy(source)
        require(call("cmake", "-S", source, "-B", build, *CONFIGURE), "configuring")
        require(call("cmake", "--build", build, "--target", "ops_tests"), "the unmutated build")
        tests = [os.path.join(build, "tests", "ops_tests"), "--gtest_brief=1"]
        require(call(*tests, timeout=5 * SECONDS_PER_RUN), "the unmutated test")
        if "gtest_fail_fast" in call(tests[0], "--help")[1]:
            tests.append("--gtest_fail_fast")
        print(f"unmutated: built and passed after {time.monotonic() - start:.0f} s", flush=True)

        missed = count = 0
        for file, mutants in chosen.items():
            path = os.path.join(source, file)
            content = read(path)
            for mutant in mutants:
                noticed, by = try_mutant(path, content, mutant, build, tests)
                count += 1
                missed += not noticed
                print(f"{'ok    ' if noticed else 'MISSED'} {mutant[0]:52} {by}", flush=True)
            write(path, content)
        print(f"{count - missed} of {count} mutants noticed, {time.monotonic() - start:.0f} s")
        return 1 if missed else 0
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
