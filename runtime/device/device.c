/* The choice of a device: the CPU, which is built in, or a module that is opened at run
 * time, so that the core links no CUDA and one build runs anywhere.
 */
#define _GNU_SOURCE
#include "device/device.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT(name) #name
#define TEXT_OF(name) TEXT(name)
#define CUDA_MODULE "libcutape_cuda.so"
#define MESSAGE_BYTES sizeof(((ct_device_request *)0)->message)

/* A loaded module stays so: its code may run until the process ends. */
static ct_status open_module(ct_context *ctx, void *module, const char *path, char message[static MESSAGE_BYTES])
{
    ct_device_module_open_fn *open = NULL;
    *(void **)&open = dlsym(module, TEXT_OF(CT_DEVICE_MODULE_OPEN));
    if (!open) {
        dlclose(module);
        snprintf(message, MESSAGE_BYTES, "%.120s is no device module: it has no " TEXT_OF(CT_DEVICE_MODULE_OPEN), path);
        return CT_ERR_DEVICE;
    }
    ct_device_request request = {

        .version = CUTAPE_VERSION,
        .layout = CT_DEVICE_LAYOUT,
        .ctx = ctx,
        .config = &ctx->config,
        .alloc = ct_alloc,
        .free = ct_free};
    const ct_status status = open(&request, &ctx->device);
    memcpy(message, request.message, sizeof request.message);
    return status;
}

static ct_status open_named(ct_context *ctx, const char *path)
{
    char message[MESSAGE_BYTES];
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) return ct_fail(ctx, CT_ERR_DEVICE, "ct_create: device module %s: %s", path, dlerror());
    const ct_status status = open_module(ctx, module, path, message);
    return status ? ct_fail(ctx, status, "ct_create: %s", message) : CT_OK;
}

/* The folder of this library or, where it is part of a program, of that. */
static bool own_folder(char folder[static PATH_MAX])
{
    Dl_info self, program;
    void *handle = dlopen(NULL, RTLD_LAZY);
    const bool found = dladdr((void *)(uintptr_t)own_folder, &self) != 0;
    void *entry = handle ? dlsym(handle, "main") : NULL;
    const bool in_program = entry && dladdr(entry, &program) && program.dli_fbase == self.dli_fbase;
    /* The name of a program is what its caller says it is. */
    if (!found || !realpath(in_program || self.dli_fname[0] != '/' ? "/proc/self/exe" : self.dli_fname, folder))
        return false;
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    return slash != NULL;
}

/* Beside this library; in the lib beside its bin; where it was to be installed; on the loader's path. A module
 * that is there and cannot be loaded is told of. */
static void *find_cuda_module(char message[static MESSAGE_BYTES])
{
    char folder[PATH_MAX], path[PATH_MAX + 32];
    const bool known = own_folder(folder);
    const char *const places[] = {known ? folder : NULL, known ? folder : NULL, CT_MODULE_DIR};
    const char *const behind[] = {"/", "/../lib/", "/"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i]) continue;
        snprintf(path, sizeof path, "%s%s" CUDA_MODULE, places[i], behind[i]);
        if (access(path, F_OK)) continue;
        void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!module) snprintf(message, MESSAGE_BYTES, "%.200s", dlerror());
        return module;
    }
    return dlopen(CUDA_MODULE, RTLD_NOW | RTLD_LOCAL);
}

static ct_status open_cuda(ct_context *ctx, char message[static MESSAGE_BYTES])
{
    char why[MESSAGE_BYTES] = "";
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver) snprintf(message, MESSAGE_BYTES, "no CUDA driver: %.200s", dlerror());
    /* Without a driver the module is looked for only to tell what is missing. */
    if (!driver && ctx->config.device == CT_DEVICE_AUTO) return CT_ERR_DEVICE;
    void *module = find_cuda_module(why);
    if (module) return driver ? open_module(ctx, module, CUDA_MODULE, message) : CT_ERR_DEVICE;
    if (*why) {
        memcpy(message, why, sizeof why);
        return CT_ERR_DEVICE;
    }
    snprintf(message, MESSAGE_BYTES,
             "this build has no CUDA device: " CUDA_MODULE " was not found; use CT_DEVICE_CPU or _AUTO");
    return CT_ERR_UNSUPPORTED;
}

ct_status ct_device_open(ct_context *ctx)
{
    const ct_config *config = &ctx->config;
    if (config->device_module) return open_named(ctx, config->device_module);
    if (config->device == CT_DEVICE_CPU) return ct_device_cpu_open(ctx, &ctx->device);
    char message[MESSAGE_BYTES];
    const ct_status status = open_cuda(ctx, message);
    if (!status) return CT_OK;
    const bool absent = status == CT_ERR_DEVICE || status == CT_ERR_UNSUPPORTED;
    /* A caller with a stream means that device. */
    if (config->device == CT_DEVICE_AUTO && absent && !config->stream) return ct_device_cpu_open(ctx, &ctx->device);
    return ct_fail(ctx, status, "ct_create: %s", message);
}
