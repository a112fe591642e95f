/* Telling how a run goes: formatting, the rewritten line, and the CSV file. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, isatty */
#include "progress.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

static const double seconds_between = 0.1;

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- texts -----------------------------------------------------------------------------------------------
 */

static void format_duration(char *text, size_t size, double seconds)
{
    if (!(seconds >= 0) || seconds > 3.6e6) {
        snprintf(text, size, "--:--");
        return;
    }
    int whole = (int)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(text, size, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, size, "%d:%02d", whole / 60, whole % 60);
}

void progress_format_point(char *line, size_t size, const progress_point *at)
{
    char left[32];
    format_duration(left, sizeof left, at->seconds_left);
    snprintf(line, size, "epoch %lld/%lld  step %lld/%lld  loss %.4f  %.0f samples/s  %s left", (long long)at->epoch,
             (long long)at->epochs, (long long)at->step, (long long)at->steps, at->loss, at->samples_per_second, left);
}

void progress_format_epoch(char *line, size_t size, const progress_epoch *e)
{
    char result[64];
    double accuracy = e->has_test ? e->test_accuracy : e->train_accuracy;
    if (!e->regression)
        snprintf(result, sizeof result, "%s accuracy %.2f %%", e->has_test ? "test" : "training", 100 * accuracy);
    else if (e->has_test)
        snprintf(result, sizeof result, "test loss %.6g", e->test_loss);
    else
        snprintf(result, sizeof result, "no test data");
    snprintf(line, size, "epoch %lld/%lld  loss %.4f  %s  lr %g  %.0f samples/s", (long long)e->epoch,
             (long long)e->epochs, e->train_loss, result, e->lr, e->samples_per_second);
}

/* ",0.123", or "," where there is nothing to tell. */
static int format_cell(char *text, size_t size, double value)
{
    return isnan(value) ? snprintf(text, size, ",") : snprintf(text, size, ",%.9g", value);
}

void progress_format_curve(char *line, size_t size, const progress_epoch *e)
{
    double test_loss = e->has_test ? e->test_loss : NAN;
    const double cells[] = {e->lr,      e->train_loss,        e->train_accuracy, test_loss, e->test_accuracy,
                            e->seconds, e->samples_per_second};
    size_t used = (size_t)snprintf(line, size, "%lld,%lld", (long long)e->epoch, (long long)e->step);
    for (size_t i = 0; i < sizeof cells / sizeof *cells && used < size; i++)
        used += (size_t)format_cell(line + used, size - used, cells[i]);
}

/* ---- writing them ----------------------------------------------------------------------------------------
 */

bool progress_open(progress *p, const char *output)
{
    *p = (progress){.live = isatty(STDERR_FILENO) == 1};
    if (!output) return true;
    p->curve = fopen(output, "w");
    if (!p->curve) return false;
    fputs("epoch,step,lr,train_loss,train_accuracy,test_loss,test_accuracy,seconds,samples_per_second\n", p->curve);
    return fflush(p->curve) == 0;
}

bool progress_due(const progress *p) { return p->live && seconds_now() - p->last >= seconds_between; }

void progress_show(progress *p, const progress_point *at)
{
    char line[160];
    progress_format_point(line, sizeof line, at);
    fprintf(stderr, "\r%.*s\033[K", 79, line);
    fflush(stderr);
    p->shown = true;
    p->last = seconds_now();
}

void progress_clear(progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

void progress_epoch_done(progress *p, const progress_epoch *e)
{
    char line[256];
    progress_clear(p);
    progress_format_epoch(line, sizeof line, e);
    puts(line);
    fflush(stdout);
    if (!p->curve) return;
    progress_format_curve(line, sizeof line, e);
    fprintf(p->curve, "%s\n", line);
    fflush(p->curve); /* a run that is cut short leaves what it had */
}

bool progress_close(progress *p)
{
    progress_clear(p);
    if (!p->curve) return true;
    bool written = !ferror(p->curve);
    written = fclose(p->curve) == 0 && written;
    p->curve = NULL;
    return written;
}
