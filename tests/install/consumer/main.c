/* x² + 3x at 2: the smallest program there is. */
#include <cutape/cutape.h>

#include <stdio.h>

int main(void)
{
    ct_config config = {0};
    ct_context *ctx;
    config.device = CT_DEVICE_CPU;
    if (ct_create(&config, &ctx) != CT_OK) {
        fprintf(stderr, "%s\n", ct_error_message(ctx));
        ct_destroy(ctx);
        return 1;
    }
    ct_tensor x = ct_full(ctx, CT_F32, 0, NULL, 2);
    ct_set_requires_grad(ctx, x, true);
    ct_backward(ctx, ct_add(ctx, ct_square(ctx, x), ct_mul_scalar(ctx, x, 3)));
    ct_step_end(ctx);
    printf("gradient %g\n", ct_item(ctx, ct_grad(ctx, x)));
    if (ct_error(ctx) != CT_OK) fprintf(stderr, "%s\n", ct_error_message(ctx));
    ct_status status = ct_error(ctx);
    ct_destroy(ctx);
    return status != CT_OK;
}
