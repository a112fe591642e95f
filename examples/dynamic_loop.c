/* Define by run: a loop in C whose length is another one at every step, h = tanh(w h + x), repeated. The tape
 * holds what ran, and so does the gradient, checked here against the derivative worked out along the loop.
 * Each length is a program of its own, compiled when it is met first and played from then on. */
#include <cutape/cutape.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { STEPS = 60, LONGEST = 7 };
static const double x_value = 0.5, w_value = 0.8;

/* h and dh/dw after n turns of the loop, in ordinary arithmetic. */
static double by_hand(int n, double *slope)
{
    double h = 0, dh = 0;
    for (int i = 0; i < n; i++) {
        double next = tanh(w_value * h + x_value);
        dh = (1 - next * next) * (h + w_value * dh);
        h = next;
    }
    *slope = dh;
    return h;
}

/* The same on the tape; .grad of w is dh/dw when the step has ended. */
static void on_tape(ct_context *ctx, int n, ct_tensor w, ct_tensor x, ct_tensor start, ct_tensor result)
{
    ct_tensor h = start;
    for (int i = 0; i < n; i++) h = ct_tanh(ctx, ct_add(ctx, ct_mul(ctx, w, h), x));
    ct_zero_grad(ctx, w);
    ct_backward(ctx, h);
    ct_assign(ctx, result, h);
    ct_step_end(ctx);
}

int main(void)
{
    ct_context *ctx;
    if (ct_create(NULL, &ctx) != CT_OK) {
        fprintf(stderr, "dynamic_loop: %s\n", ct_error_message(ctx));
        ct_destroy(ctx);
        return 1;
    }

    ct_tensor x = ct_full(ctx, CT_F32, 0, NULL, x_value), w = ct_full(ctx, CT_F32, 0, NULL, w_value);
    ct_tensor start = ct_leaf(ctx, CT_F32, 0, NULL, NULL), result = ct_leaf(ctx, CT_F32, 0, NULL, NULL);
    ct_set_requires_grad(ctx, w, true);

    bool seen[LONGEST + 1] = {false};
    int lengths = 0, wrong = 0;
    double worst = 0;
    for (int step = 0; step < STEPS; step++) {
        int n = 1 + step * step % LONGEST; /* 1, 2, 5, 3, 3, 5, 2, then again */
        lengths += !seen[n];
        seen[n] = true;

        on_tape(ctx, n, w, x, start, result);
        double slope, h = by_hand(n, &slope);
        double value_error = fabs(ct_item(ctx, result) - h);
        double slope_error = fabs(ct_item(ctx, ct_grad(ctx, w)) - slope);
        wrong += !(value_error < 1e-5 && slope_error < 1e-5); /* so that a NaN is wrong */
        worst = fmax(worst, fmax(value_error, slope_error));
    }

    ct_stats stats;
    ct_get_stats(ctx, &stats);
    if (ct_error(ctx) != CT_OK) fprintf(stderr, "dynamic_loop: %s\n", ct_error_message(ctx));
    ct_destroy(ctx);

    printf("%d steps with loops of %d lengths: %lld programs compiled, largest error %.1e\n", STEPS, lengths,
           (long long)stats.compiles, worst);
    return wrong == 0 && stats.compiles == lengths ? 0 : 1;
}
