/* Training mode and evaluation: with dropout the same network gives another output at every step while it
 * trains, and one and the same when it is evaluated, without a gradient being recorded. */
#include <cutape/cutape.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 8, INPUTS = 4, OUTPUTS = 3 };
typedef float result[ROWS * OUTPUTS];

/* One forward pass, a step of its own. */
static void forward(ct_context *ctx, ct_mlp *mlp, ct_tensor x, result out)
{
    ct_tensor y = ct_mlp_forward(mlp, x);
    ct_read(ctx, y, out, sizeof(result));
    ct_step_end(ctx);
}

static bool needs_gradient(ct_context *ctx, ct_tensor x)
{
    ct_info info;
    return ct_describe(ctx, x, &info) == CT_OK && info.requires_grad;
}

int main(void)
{
    ct_context *ctx;
    ct_mlp *mlp = NULL;
    ct_mlp_config network = {
        .n_layers = 2, .widths = (const int64_t[]){INPUTS, 64, OUTPUTS}, .activation = CT_ACT_RELU, .dropout = 0.5};
    if (ct_create(NULL, &ctx) != CT_OK || ct_mlp_create(ctx, &network, &mlp) != CT_OK) {
        fprintf(stderr, "evaluate: %s\n", ct_error_message(ctx));
        ct_destroy(ctx);
        return 1;
    }
    ct_tensor x = ct_full(ctx, CT_F32, 2, (const int64_t[]){ROWS, INPUTS}, 1.0);

    result training[2] = {{0}}, evaluation[2] = {{0}};
    for (int i = 0; i < 2; i++) forward(ctx, mlp, x, training[i]);

    ct_set_training(ctx, false);
    ct_no_grad_begin(ctx);
    for (int i = 0; i < 2; i++) forward(ctx, mlp, x, evaluation[i]);
    bool constant = !needs_gradient(ctx, ct_mlp_forward(mlp, x));
    ct_no_grad_end(ctx);
    ct_set_training(ctx, true);

    bool varies = memcmp(training[0], training[1], sizeof(result)) != 0;
    bool repeats = memcmp(evaluation[0], evaluation[1], sizeof(result)) == 0;
    bool failed = ct_error(ctx) != CT_OK;
    if (failed) fprintf(stderr, "evaluate: %s\n", ct_error_message(ctx));
    ct_mlp_destroy(mlp);
    ct_destroy(ctx);

    printf("training: two outputs %s; evaluation: two outputs %s, %s gradient\n", varies ? "differ" : "agree",
           repeats ? "agree" : "differ", constant ? "no" : "with a");
    return !failed && varies && repeats && constant ? 0 : 1;
}
