/* The choice of a device: the CPU, which is built in, or a module that is opened at run
 * time, so that the core links no CUDA and one build runs anywhere.
 */
#define _GNU_SOURCE
#include "device/device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)
#define CUDA_MODULE "libcutape_cuda.so"

/* A loaded module stays so: its code may run until the process ends. */
static ct_status open_module(ct_context *ctx, void *module, const char *path, char message[static 256])
{
    ct_device_module_open_fn *open = NULL;
    *(void **)&open = dlsym(module, TEXT(CT_DEVICE_MODULE_OPEN));
    if (!open) {
        dlclose(module);
        snprintf(message, 256, "%.120s is no device module: it has no " TEXT(CT_DEVICE_MODULE_OPEN), path);
        return CT_ERR_DEVICE;
    }
    ct_device_request request = {
        .version = CUTAPE_VERSION, .ctx = ctx, .config = &ctx->config, .alloc = ct_alloc, .free = ct_free};
    const ct_status status = open(&request, &ctx->device);
    memcpy(message, request.message, sizeof request.message);
    return status;
}

static ct_status open_named(ct_context *ctx, const char *path)
{
    char message[256];
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) return ct_fail(ctx, CT_ERR_DEVICE, "ct_create: device module %s: %s", path, dlerror());
    const ct_status status = open_module(ctx, module, path, message);
    return status ? ct_fail(ctx, status, "ct_create: %s", message) : CT_OK;
}

/* Beside this library, or the program that holds it; where it was to be installed; the loader's path. */
static void *find_cuda_module(void)
{
    Dl_info self;
    char path[4096];
    const char *slash = dladdr((void *)(uintptr_t)find_cuda_module, &self) ? strrchr(self.dli_fname, '/') : NULL;
    const int folder = slash ? (int)(slash - self.dli_fname) : 0;
    const char *const beside[] = {"/", "/../", "/../lib/"};
    for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++) {
        snprintf(path, sizeof path, "%.*s%s" CUDA_MODULE, folder, self.dli_fname, beside[i]);
        void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (module) return module;
    }
    void *module = dlopen(CT_MODULE_DIR "/" CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
    return module ? module : dlopen(CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
}

static ct_status open_cuda(ct_context *ctx, char message[static 256])
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver) snprintf(message, 256, "no CUDA driver: %.200s", dlerror());
    /* Without a driver the module is looked for only to tell what is missing. */
    if (!driver && ctx->config.device == CT_DEVICE_AUTO) return CT_ERR_DEVICE;
    void *module = find_cuda_module();
    if (!module) {
        snprintf(message, 256,
                 "this build has no CUDA device: " CUDA_MODULE " was not found; use CT_DEVICE_CPU or _AUTO");
        return CT_ERR_UNSUPPORTED;
    }
    return driver ? open_module(ctx, module, CUDA_MODULE, message) : CT_ERR_DEVICE;
}

ct_status ct_device_open(ct_context *ctx)
{
    const ct_config *config = &ctx->config;
    if (config->device_module) return open_named(ctx, config->device_module);
    if (config->device == CT_DEVICE_CPU) return ct_device_cpu_open(ctx, &ctx->device);
    char message[256];
    const ct_status status = open_cuda(ctx, message);
    if (!status) return CT_OK;
    const bool absent = status == CT_ERR_DEVICE || status == CT_ERR_UNSUPPORTED;
    /* A caller with a stream means that device. */
    if (config->device == CT_DEVICE_AUTO && absent && !config->stream) return ct_device_cpu_open(ctx, &ctx->device);
    return ct_fail(ctx, status, "ct_create: %s", message);
}
