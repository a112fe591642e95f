/* One neuron, a = relu(w x + b) with x = 3, w = 2, b = 1: a = 7, and by hand da/dw = x = 3, da/dx = w = 2,
 * da/db = 1, since the neuron is active. */
#include <cutape/cutape.h>

#include <stdio.h>

static ct_tensor variable(ct_context *ctx, double value)
{
    ct_tensor leaf = ct_full(ctx, CT_F32, 0, NULL, value);
    ct_set_requires_grad(ctx, leaf, true);
    return leaf;
}

int main(void)
{
    ct_context *ctx;
    if (ct_create(NULL, &ctx) != CT_OK) {
        fprintf(stderr, "neuron: %s\n", ct_error_message(ctx));
        ct_destroy(ctx);
        return 1;
    }

    ct_tensor x = variable(ctx, 3.0), w = variable(ctx, 2.0), b = variable(ctx, 1.0);
    ct_tensor a = ct_relu(ctx, ct_add(ctx, ct_mul(ctx, w, x), b));
    ct_backward(ctx, a);

    double value = ct_item(ctx, a);
    double dw = ct_item(ctx, ct_grad(ctx, w));
    double dx = ct_item(ctx, ct_grad(ctx, x));
    double db = ct_item(ctx, ct_grad(ctx, b));
    if (ct_error(ctx) != CT_OK) fprintf(stderr, "neuron: %s\n", ct_error_message(ctx));
    ct_destroy(ctx);

    printf("a = relu(2 * 3 + 1) = %g, da/dw = %g, da/dx = %g, da/db = %g\n", value, dw, dx, db);
    return value == 7.0 && dw == 3.0 && dx == 2.0 && db == 1.0 ? 0 : 1;
}
