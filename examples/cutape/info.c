/* `cutape info`: the version, each kind of device with its name or why it is not there, and the one that is
 * used when none is asked for. */
#include "commands.h"

#include <cutape/cutape.h>

#include <stdio.h>
#include <string.h>

static void quiet(void *user, const char *message)
{
    (void)user;
    (void)message;
}

/* One line for a device; false if it is not there. */
static bool show_device(const char *title, int32_t device)
{
    ct_config config = {.device = device, .log = quiet};
    ct_context *ctx = NULL;
    ct_status status = ct_create(&config, &ctx);
    if (status == CT_OK)
        printf("%-9s%s\n", title, ct_device_name(ctx));
    else
        printf("%-9snot available: %s\n", title, ctx ? ct_error_message(ctx) : ct_status_name(status));
    ct_destroy(ctx);
    return status == CT_OK;
}

int command_info(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "--help") == 0) {
        puts("usage: cutape info\nShows the version, the devices found, and the one used by default.");
        return EXIT_DONE;
    }
    if (argc > 0) {
        fputs("cutape info: takes no arguments; type 'cutape info' alone\n", stderr);
        return EXIT_USAGE;
    }
    printf("%-9s%s\n", "cutape", ct_version());
    show_device("cpu", CT_DEVICE_CPU);
    show_device("cuda", CT_DEVICE_CUDA);
    return show_device("auto", CT_DEVICE_AUTO) ? EXIT_DONE : EXIT_FAILED;
}
