/* What the contract has and this version has not: each answers CT_ERR_UNSUPPORTED. */
#include "train/params.h"

static ct_status missing_call(ct_context *ctx, const char *name)
{
    if (!ctx) return CT_ERR_ARGUMENT;
    return ct_report(ctx, CT_ERR_UNSUPPORTED, "%s: is not in this version", name);
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
