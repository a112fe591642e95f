/* The choice of a device: built in, or a module opened at run time. */
#include "device/device.h"

#include <dlfcn.h>

/* What a module exports under this name. */
#define MODULE_SYMBOL "ct_device_module_open"
typedef ct_status module_open_fn(ct_context *, ct_device **);

static ct_status open_module(ct_context *ctx, const char *path)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) return ct_fail(ctx, CT_ERR_DEVICE, "ct_create: device module %s: %s", path, dlerror());
    module_open_fn *open = NULL;
    *(void **)&open = dlsym(module, MODULE_SYMBOL);
    if (!open) {
        dlclose(module);
        return ct_fail(ctx, CT_ERR_DEVICE, "ct_create: %s is no device module: it has no " MODULE_SYMBOL, path);
    }
    /* The module stays loaded: its code may run until the process ends. */
    return open(ctx, &ctx->device);
}

ct_status ct_device_open(ct_context *ctx)
{
    if (ctx->config.device_module) return open_module(ctx, ctx->config.device_module);
    if (ctx->config.device == CT_DEVICE_CUDA)
        return ct_fail(ctx, CT_ERR_UNSUPPORTED, "ct_create: this build has no CUDA device; use CT_DEVICE_CPU or _AUTO");
    return ct_device_cpu_open(ctx, &ctx->device);
}
