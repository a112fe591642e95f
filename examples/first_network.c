/* The first network of every PyTorch course, with the line of Python beside each line of C. What differs: a
 * step ends with ct_step_end, and until a value is read nothing waits for the device. */
#include <cutape/cutape.h>

#include <stdio.h>

enum { EXAMPLES = 64, INPUTS = 10, STEPS = 2001 };

static int report(ct_context *ctx)
{
    fprintf(stderr, "first_network: %s\n", ct_error_message(ctx));
    ct_destroy(ctx);
    return 1;
}

/* clang-format off */
int main(void)
{
    ct_config config = {.seed = 1};                                   /* torch.manual_seed(1)              */
    ct_context *ctx;
    if (ct_create(&config, &ctx) != CT_OK) return report(ctx);

    const int64_t x_shape[] = {EXAMPLES, INPUTS}, y_shape[] = {EXAMPLES, 1};
    ct_tensor x = ct_leaf(ctx, CT_F32, 2, x_shape, NULL);
    ct_tensor y = ct_leaf(ctx, CT_F32, 2, y_shape, NULL);
    ct_tensor noise = ct_randn(ctx, CT_F32, 2, x_shape);
    ct_assign(ctx, x, noise);                                         /* x = torch.randn(64, 10)           */
    ct_tensor sums = ct_sum(ctx, noise, 1, (const int[]){1}, true);
    ct_assign(ctx, y, ct_relu(ctx, sums));                            /* y = x.sum(1, keepdim=True).relu() */
    ct_step_end(ctx);

    ct_mlp_config network = {.n_layers = 1,                           /* model = nn.Sequential(            */
                             .widths = (const int64_t[]){INPUTS, 1},  /*     nn.Linear(10, 1),             */
                             .output_activation = CT_ACT_RELU};       /*     nn.ReLU())                    */
    ct_mlp *model = NULL;
    ct_mlp_create(ctx, &network, &model);

    ct_sgd_config rate = {.lr = 1e-2};
    ct_optimizer *optimizer = NULL;                                   /* optimizer = torch.optim.SGD(      */
    ct_sgd_create(ctx, ct_mlp_params(model), &rate, &optimizer);      /*     model.parameters(), lr=1e-2)  */

    double first = 0, last = 0;
    for (int step = 0; step < STEPS; step++) {                        /* for step in range(2001):          */
        ct_optimizer_zero_grad(optimizer);                            /*     optimizer.zero_grad()         */
        ct_tensor output = ct_mlp_forward(model, x);                  /*     output = model(x)             */
        ct_tensor loss = ct_mse_loss(ctx, output, y, CT_REDUCE_MEAN); /*     loss = F.mse_loss(output, y)  */
        ct_backward(ctx, loss);                                       /*     loss.backward()               */
        ct_optimizer_step(optimizer);                                 /*     optimizer.step()              */
        if (step % 200 == 0) {                                        /*     if step % 200 == 0:           */
            last = ct_item(ctx, loss);
            printf("step %4d  loss %.6f\n", step, last);              /*         print(step, loss.item())  */
        }
        if (step == 0) first = last;
        ct_step_end(ctx);
    }

    if (ct_error(ctx) != CT_OK) return report(ctx);
    ct_optimizer_destroy(optimizer);
    ct_mlp_destroy(model);
    ct_destroy(ctx);
    return last < 0.01 * first ? 0 : 1;
}
