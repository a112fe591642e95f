/* The smallest use of autograd: y = x^2 + 3 x at x = 2 is 10, and dy/dx = 2 x + 3 is 7. */
#include <cutape/cutape.h>

#include <stdio.h>

int main(void)
{
    ct_context *ctx;
    if (ct_create(NULL, &ctx) != CT_OK) {
        fprintf(stderr, "polynomial: %s\n", ct_error_message(ctx));
        ct_destroy(ctx);
        return 1;
    }

    ct_tensor x = ct_full(ctx, CT_F32, 0, NULL, 2.0);
    ct_set_requires_grad(ctx, x, true);

    ct_tensor y = ct_add(ctx, ct_square(ctx, x), ct_mul_scalar(ctx, x, 3.0));
    ct_backward(ctx, y);

    double value = ct_item(ctx, y);
    double gradient = ct_item(ctx, ct_grad(ctx, x));
    if (ct_error(ctx) != CT_OK) fprintf(stderr, "polynomial: %s\n", ct_error_message(ctx));
    ct_destroy(ctx);

    printf("y = x^2 + 3 x at x = 2: y = %g, dy/dx = %g\n", value, gradient);
    return value == 10.0 && gradient == 7.0 ? 0 : 1;
}
