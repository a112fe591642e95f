/* ct_gradcheck: the gradients of a user's function against central differences.
 *
 * <c, f(x)> for a fixed random cotangent c is differentiated once by ct_gradients and
 * once element by element, by writing x + eps and x - eps into the leaves: the same
 * recording each time, so after the first of them all play one program. What is
 * compared is double, and the sum over c is done here, on the host. */
#include "device/device.h"
#include "tape/tape.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef ct_tensor (*function)(ct_context *, int, const ct_tensor *, void *);

typedef struct checked_input {
    ct_shape shape;
    bool requires_grad;         /* before the check                           */
    double *values, *gradients; /* numel each: before the check; by ct_gradients */
} checked_input;

typedef struct gradcheck {
    ct_context *ctx;
    function f;
    void *user;
    int n;
    const ct_tensor *inputs;
    double eps, atol, rtol;
    checked_input *in; /* n */
    ct_tensor *grads;  /* n */
    ct_shape output;
    double *cotangent, *above, *below; /* numel of the output each */
} gradcheck;

static size_t bytes_of(const ct_shape *shape) { return ct_shape_bytes(shape); }

static double *alloc_like(gradcheck *c, const ct_shape *shape)
{
    double *memory = ct_alloc(c->ctx, bytes_of(shape));
    if (!memory) ct_fail(c->ctx, CT_ERR_MEMORY, "ct_gradcheck: out of host memory");
    return memory;
}

/* ---- before and after -------------------------------------------------------------------------- */

static ct_status check_arguments(const gradcheck *c)
{
    ct_context *ctx = c->ctx;
    if (!c->f || !c->inputs || c->n < 1)
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradcheck: no function or no inputs (n is %d)", c->n);
    if (!(c->eps > 0 && isfinite(c->eps)))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradcheck: eps is %g; wants to be above 0", c->eps);
    if (!(c->atol >= 0 && c->rtol >= 0 && isfinite(c->atol) && isfinite(c->rtol)))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradcheck: atol is %g, rtol %g; want to be 0 or more", c->atol,
                       c->rtol);
    return CT_OK;
}

static ct_status check_input(gradcheck *c, int i)
{
    ct_context *ctx = c->ctx;
    checked_input *in = &c->in[i];
    ct_ref ref;
    if (!ct_resolve(ctx, "ct_gradcheck", "an input", c->inputs[i], &ref)) return ctx->status;
    if (!ct_ref_is_leaf(ref))
        return ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradcheck: input %d, %s, is a step value, not a leaf", i,
                       ct_ref_text(ctx, ref));
    in->shape = ct_value_at(ctx, ref)->shape;
    in->requires_grad = ct_value_at(ctx, ref)->requires_grad;
    if (in->shape.dtype != CT_F64)
        return ct_fail(ctx, CT_ERR_DTYPE, "ct_gradcheck: input %d, %s, is %s; differences want f64", i,
                       ct_ref_text(ctx, ref), ct_dtype_name(in->shape.dtype));
    in->values = alloc_like(c, &in->shape);
    in->gradients = alloc_like(c, &in->shape);
    return ctx->status ? ctx->status : ct_read(ctx, c->inputs[i], in->values, bytes_of(&in->shape));
}

/* Also with an error standing, and if f released an input. */
static void restore(gradcheck *c)
{
    ct_context *ctx = c->ctx;
    for (int i = 0; i < c->n; i++) {
        ct_ref ref;
        if (!c->in[i].values || ct_resolve_query(ctx, "ct_gradcheck", c->inputs[i], &ref)) continue;
        ct_leaf_slot *leaf = ct_leaf_at(ctx, ref);
        leaf->value.requires_grad = c->in[i].requires_grad;
        ctx->device->upload(ctx->device, leaf->value.data, c->in[i].values, bytes_of(&c->in[i].shape));
        ct_leaf_written(leaf, "ct_gradcheck");
    }
}

static void release(gradcheck *c)
{
    for (int i = 0; c->in && i < c->n; i++) {
        ct_free(c->ctx, c->in[i].values);
        ct_free(c->ctx, c->in[i].gradients);
    }
    void *memory[] = {c->in, c->grads, c->cotangent, c->above, c->below};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) ct_free(c->ctx, memory[i]);
}

/* ---- calls of f ---------------------------------------------------------------------------------- */

/* The writes to the inputs so far: f may not add to them. */
static uint64_t input_writes(const gradcheck *c)
{
    uint64_t writes = 0;
    for (int i = 0; i < c->n; i++) {
        ct_ref ref;
        if (!ct_resolve(c->ctx, "ct_gradcheck", "an input", c->inputs[i], &ref)) return 0;
        writes += ct_leaf_at(c->ctx, ref)->version;
    }
    return writes;
}

static bool call_f(gradcheck *c, ct_tensor *y, ct_shape *shape)
{
    ct_context *ctx = c->ctx;
    ct_tape *t = ctx->tape;
    const uint64_t step = t->step, writes = input_writes(c);
    ct_ref ref;
    if (ctx->status) return false;
    t->callback = "the function of ct_gradcheck";
    *y = c->f(ctx, c->n, c->inputs, c->user);
    t->callback = NULL;
    ctx->no_grad_depth = 0;
    if (!ctx->status && t->step != step) ct_fail(ctx, CT_ERR_STATE, "ct_gradcheck: f cleared an error that it met");
    if (!ctx->status && t->random_records)
        ct_fail(ctx, CT_ERR_STATE,
                "ct_gradcheck: f draws random numbers, other ones each time it is called; for dropout, call "
                "ct_set_training(ctx, false)");
    if (ctx->status || !ct_resolve(ctx, "ct_gradcheck", "what f returned", *y, &ref)) return false;
    *shape = ct_value_at(ctx, ref)->shape;
    if (shape->dtype != CT_F64)
        ct_fail(ctx, CT_ERR_DTYPE, "ct_gradcheck: f returned %s %s; differences want f64", ct_dtype_name(shape->dtype),
                ct_ref_text(ctx, ref));
    if (input_writes(c) != writes) ct_fail(ctx, CT_ERR_STATE, "ct_gradcheck: f writes or releases one of its inputs");
    return !ctx->status;
}

/* In +-[1/2, 3/2): no element hides another, none is hidden. */
static void fill_cotangent(double *c, int64_t n)
{
    uint64_t state = 0;
    for (int64_t i = 0; i < n; i++) {
        uint64_t z = state += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        const double size = 0.5 + (double)(z >> 11) * 0x1p-53;
        c[i] = z & 1 ? size : -size;
    }
}

static const char *element_text(ct_context *ctx, const ct_shape *shape, int64_t element)
{
    ct_shape index = {.ndim = shape->ndim};
    for (int i = shape->ndim; i-- > 0;) {
        index.dim[i] = element % shape->dim[i];
        element /= shape->dim[i];
    }
    return ct_shape_text(ctx, &index);
}

/* The first element that is NaN or infinite; -1: there is none. */
static int64_t first_not_finite(const double *value, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (!isfinite(value[k])) return k;
    return -1;
}

static const char *not_finite_text(double value) { return isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"; }

/* Before an input is moved: no input is to blame for what is not finite already. */
static bool check_value(gradcheck *c, ct_tensor y)
{
    ct_context *ctx = c->ctx;
    ct_ref ref;
    if (ct_read(ctx, y, c->above, bytes_of(&c->output)) || !ct_resolve(ctx, "ct_gradcheck", "what f returned", y, &ref))
        return false;
    const int64_t k = first_not_finite(c->above, c->output.numel);
    if (k < 0) return true;
    ct_fail(ctx, CT_ERR_NUMERIC, "ct_gradcheck: f returned %s, whose element %s is %s where the inputs are as given",
            ct_ref_text(ctx, ref), element_text(ctx, &c->output, k), not_finite_text(c->above[k]));
    return false;
}

static bool find_gradients(gradcheck *c)
{
    ct_context *ctx = c->ctx;
    ct_tensor y;
    if (!call_f(c, &y, &c->output)) return false;
    c->cotangent = alloc_like(c, &c->output);
    c->above = alloc_like(c, &c->output);
    c->below = alloc_like(c, &c->output);
    if (ctx->status) return false;
    fill_cotangent(c->cotangent, c->output.numel);
    const ct_tensor seed = ct_leaf(ctx, CT_F64, c->output.ndim, c->output.dim, c->cotangent);
    ct_gradients(ctx, 1, &y, &seed, c->n, c->inputs, c->grads, 0);
    if (!ctx->status) check_value(c, y);
    for (int i = 0; i < c->n && !ctx->status; i++)
        ct_read(ctx, c->grads[i], c->in[i].gradients, bytes_of(&c->in[i].shape));
    ct_step_end(ctx);
    ct_release(ctx, seed);
    return !ctx->status;
}

static bool find_value(gradcheck *c, int input, double *value)
{
    ct_context *ctx = c->ctx;
    const checked_input *in = &c->in[input];
    ct_tensor y;
    ct_shape shape;
    if (ct_write(ctx, c->inputs[input], in->values, bytes_of(&in->shape)) || !call_f(c, &y, &shape)) return false;
    if (!ct_shape_equal(&shape, &c->output)) {
        ct_fail(ctx, CT_ERR_SHAPE, "ct_gradcheck: f returned %s, and before it %s", ct_shape_text(ctx, &shape),
                ct_shape_text(ctx, &c->output));
        return false;
    }
    return !ct_read(ctx, y, value, bytes_of(&shape)) && !ct_step_end(ctx);
}

/* ---- the comparison -------------------------------------------------------------------------------- */

/* The difference is not finite: says which element of f's value is not, and where. */
static void fail_not_finite(gradcheck *c, const char *where, const double *value, const char *side)
{
    const int64_t k = first_not_finite(value, c->output.numel);
    if (k >= 0)
        ct_fail(c->ctx, CT_ERR_NUMERIC, "ct_gradcheck: %s: with eps %s it, element %s of what f returned is %s", where,
                side, element_text(c->ctx, &c->output, k), not_finite_text(value[k]));
}

static bool check_element(gradcheck *c, int input, int64_t element)
{
    ct_context *ctx = c->ctx;
    ct_ref ref;
    checked_input *in = &c->in[input];
    const double x = in->values[element], up = x + c->eps, down = x - c->eps;
    if (!ct_resolve(ctx, "ct_gradcheck", "an input", c->inputs[input], &ref)) return false;
    if (up == down && isfinite(x)) {
        ct_fail(ctx, CT_ERR_ARGUMENT, "ct_gradcheck: eps %g is lost in element %s of input %d, %s, which is %g", c->eps,
                element_text(ctx, &in->shape, element), input, ct_ref_text(ctx, ref), x);
        return false;
    }
    in->values[element] = up;
    bool done = find_value(c, input, c->above);
    in->values[element] = down;
    done = done && find_value(c, input, c->below);
    in->values[element] = x;
    if (!done) return false;

    double numeric = 0;
    for (int64_t k = 0; k < c->output.numel; k++) numeric += c->cotangent[k] * (c->above[k] - c->below[k]);
    numeric /= up - down; /* what eps became in x + eps */
    const double analytic = in->gradients[element], allowed = c->atol + c->rtol * fabs(numeric);
    /* An infinite difference would be within its own tolerance. */
    if (isfinite(numeric) && fabs(analytic - numeric) <= allowed) return true;
    char where[512];
    snprintf(where, sizeof where, "input %d, %s, element %s", input, ct_ref_text(ctx, ref),
             element_text(ctx, &in->shape, element));
    fail_not_finite(c, where, c->above, "added to");
    fail_not_finite(c, where, c->below, "taken from"); /* the first failure stands */
    ct_fail(ctx, CT_ERR_NUMERIC,
            "ct_gradcheck: %s: its gradient is %.12g, the central difference %.12g (atol %g, rtol %g; for the sum of "
            "f's elements, weighted at random)",
            where, analytic, numeric, c->atol, c->rtol);
    return false;
}

static void compare(gradcheck *c)
{
    for (int i = 0; i < c->n; i++) {
        for (int64_t k = 0; k < c->in[i].shape.numel; k++)
            if (!check_element(c, i, k)) return;
        /* The others are differentiated where all inputs are as they were. */
        if (ct_write(c->ctx, c->inputs[i], c->in[i].values, bytes_of(&c->in[i].shape))) return;
    }
}

static void require_gradients(gradcheck *c)
{
    for (int i = 0; i < c->n; i++) {
        ct_ref ref;
        if (ct_resolve(c->ctx, "ct_gradcheck", "an input", c->inputs[i], &ref))
            ct_value_at(c->ctx, ref)->requires_grad = true; /* and no .grad: nothing is accumulated */
    }
}

ct_status ct_gradcheck(ct_context *ctx, function f, void *user, int n, const ct_tensor *inputs, double eps, double atol,
                       double rtol)
{
    gradcheck c = {.ctx = ctx, .f = f, .user = user, .n = n, .inputs = inputs, .eps = eps, .atol = atol, .rtol = rtol};
    ct_status status = ct_ready(ctx);
    if (!status) status = ct_refuse_in_callback(ctx, "ct_gradcheck");
    if (!status) status = check_arguments(&c);
    if (status) return status;
    const int no_grad_depth = ctx->no_grad_depth;
    c.in = ct_alloc(ctx, (size_t)n * sizeof *c.in);
    c.grads = ct_alloc(ctx, (size_t)n * sizeof *c.grads);
    if (!c.in || !c.grads) status = ct_fail(ctx, CT_ERR_MEMORY, "ct_gradcheck: out of host memory");
    for (int i = 0; i < n && !status; i++) status = check_input(&c, i);
    /* What was recorded is a step of its own: the values of f are not to be in it. */
    if (!status && ctx->tape->n_records > 0) status = ct_step_end(ctx);
    if (!status) {
        require_gradients(&c);
        ctx->no_grad_depth = 0;
        if (find_gradients(&c)) compare(&c);
        ctx->no_grad_depth = no_grad_depth;
        restore(&c);
    }
    release(&c);
    return ctx->status;
}
