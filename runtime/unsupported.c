/* What the contract has and this version has not: each answers CT_ERR_UNSUPPORTED. */
#include "train/params.h"

static ct_tensor missing_op(ct_context *ctx, const char *name)
{
    if (!ct_ready(ctx)) ct_fail(ctx, CT_ERR_UNSUPPORTED, "%s: is not in this version", name);
    return (ct_tensor){0};
}

static ct_status missing_call(ct_context *ctx, const char *name)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    return ct_report(ctx, CT_ERR_UNSUPPORTED, "%s: is not in this version", name);
}

ct_tensor ct_layer_norm(ct_context *ctx, ct_tensor x, ct_tensor gamma, ct_tensor beta, double eps)
{
    (void)x, (void)gamma, (void)beta, (void)eps;
    return missing_op(ctx, "layer_norm");
}

ct_tensor ct_batch_norm(ct_context *ctx, ct_tensor x, ct_tensor gamma, ct_tensor beta, ct_tensor running_mean,
                        ct_tensor running_var, double momentum, double eps)
{
    (void)x, (void)gamma, (void)beta, (void)running_mean, (void)running_var, (void)momentum, (void)eps;
    return missing_op(ctx, "batch_norm");
}

ct_status ct_params_save(ct_params *params, const char *path)
{
    (void)path;
    return missing_call(params ? params->ctx : NULL, "ct_params_save");
}

ct_status ct_params_load(ct_params *params, const char *path)
{
    (void)path;
    return missing_call(params ? params->ctx : NULL, "ct_params_load");
}

ct_status ct_checkpoint_save(ct_context *ctx, const ct_checkpoint *checkpoint, const char *path)
{
    (void)checkpoint, (void)path;
    return missing_call(ctx, "ct_checkpoint_save");
}

ct_status ct_checkpoint_load(ct_context *ctx, const ct_checkpoint *checkpoint, const char *path)
{
    (void)checkpoint, (void)path;
    return missing_call(ctx, "ct_checkpoint_load");
}

ct_status ct_profile_begin(ct_context *ctx) { return missing_call(ctx, "ct_profile_begin"); }
ct_status ct_profile_end(ct_context *ctx) { return missing_call(ctx, "ct_profile_end"); }

ct_status ct_profile_table(ct_context *ctx, const char *path)
{
    (void)path;
    return missing_call(ctx, "ct_profile_table");
}

ct_status ct_profile_trace(ct_context *ctx, const char *path)
{
    (void)path;
    return missing_call(ctx, "ct_profile_trace");
}
