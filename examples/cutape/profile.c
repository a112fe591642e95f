/* `cutape profile`: where the time of a training step goes.
 *
 * Trains as `cutape train` would: steps to warm up, plain replays whose time is taken from outside, then the profile,
 * in which steps are played launch by launch. Writes it as a table, a timeline, a page.
 */
#include "commands.h"
#include "progress.h"
#include "trainer.h"

/* Seconds of a step, from n of them replayed. */
static ct_status time_replays(trainer *t, int64_t n, double *seconds)
{
    ct_status status = ct_synchronize(t->ctx);
    double begin = seconds_now();
    if (status == CT_OK) status = ct_replay(t->ctx, n);
    if (status == CT_OK) status = ct_synchronize(t->ctx);
    *seconds = (seconds_now() - begin) / (double)n;
    return status;
}

static ct_status warm_up(trainer *t)
{
    ct_status status = trainer_step(t, t->options->dot);
    for (int64_t i = 1; i < t->options->warmup && status == CT_OK; i++) status = trainer_step(t, NULL);
    return status;
}

/* The first turn is to warm up too: a device may build something for so many steps. */
static ct_status replay(trainer *t, double *seconds)
{
    int64_t n = t->options->replays;
    if (n == 0) return CT_OK;
    ct_status status = time_replays(t, n, seconds);
    return status == CT_OK ? time_replays(t, n, seconds) : status;
}

static ct_status profile(trainer *t, double *seconds)
{
    ct_status status = ct_profile_begin(t->ctx);
    if (status != CT_OK) return status;
    status = time_replays(t, t->options->steps, seconds);
    ct_status ended = ct_profile_end(t->ctx);
    return status == CT_OK ? ended : status;
}

/* The files first: where one cannot be written, nothing is printed. */
static ct_status write_files(trainer *t)
{
    const train_options *o = t->options;
    ct_status status = ct_profile_sort(t->ctx, (ct_profile_order)o->sort);
    if (status == CT_OK && o->table) status = ct_profile_table(t->ctx, o->table);
    if (status == CT_OK && o->trace) status = ct_profile_trace(t->ctx, o->trace);
    if (status == CT_OK && o->html) status = ct_profile_page(t->ctx, o->html);
    return status;
}

/* By way of the log. */
static ct_status print_table(trainer *t)
{
    t->log = stdout;
    puts("");
    ct_status status = ct_profile_table(t->ctx, NULL);
    puts("");
    t->log = NULL;
    return status;
}

static ct_status run(trainer *t)
{
    const train_options *o = t->options;
    double replayed = 0, alone = 0;
    ct_status status = warm_up(t);
    if (status == CT_OK) status = replay(t, &replayed);
    if (status == CT_OK) status = profile(t, &alone);
    if (status == CT_OK) status = write_files(t);
    if (status != CT_OK) return status;

    trainer_introduce(t);
    if (!o->table) status = print_table(t);
    if (o->replays > 0)
        printf("a replayed step takes %.1f us; its launches one by one, each timed, %.1f us\n", 1e6 * replayed,
               1e6 * alone);
    const char *files[] = {o->table, o->trace, o->html, o->dot};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i]) printf("wrote %s\n", files[i]);
    }
    return status;
}

int command_profile(int argc, char **argv)
{
    train_options options;
    char message[512];
    switch (options_parse(OPTIONS_OF_PROFILE, argc, argv, &options, message, sizeof message)) {
    case OPTIONS_OK: break;
    case OPTIONS_HELP: options_help(OPTIONS_OF_PROFILE, stdout); return EXIT_DONE;
    case OPTIONS_BAD: fprintf(stderr, "cutape profile: %s\n", message); return EXIT_USAGE;
    }

    trainer t = {0};
    bool done = trainer_open(&t, &options, true) && trainer_build(&t) && run(&t) == CT_OK;
    if (done && (fflush(stdout) != 0 || ferror(stdout))) {
        snprintf(t.message, sizeof t.message, "standard output could not be written in full");
        done = false;
    }
    int status = done ? EXIT_DONE : trainer_fail(&t, "profile");
    trainer_close(&t);
    return status;
}
