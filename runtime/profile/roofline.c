/* The roofline: what the device reaches, measured by copies and by products, and how far a
 * record is from it. See Williams, Waterman and Patterson, "Roofline", CACM 52 (2009).
 *
 * A measurement has memory of its own, straight from the device, and leaves nothing on the context behind: no error,
 * no launch in its counts. Sizes grow until one play takes long, so that a slow device is measured in a moment too.
 */
#include "profile/profile.h"

#include "core/clock.h"

#include <math.h>

/* ---- measuring ------------------------------------------------------------------------------------- */

#define LONG_PLAY_NS 12e6  /* a size that would take longer is not tried                  */
#define LEAST_TIMED_NS 1e6 /* by as many plays as that takes: clocks and launches cost    */
#define TIMED_NS 3e6       /* of a size, in all                                           */
#define OPERAND_ALIGN 256

static bool play(ct_device *device, ct_code *code, int64_t n)
{
    return !device->play(device, code, n, NULL, 0) && !device->wait(device);
}

/* The least time of a play; 0: it failed. The first one also pays for what is made on first use. */
static double time_of_play(ct_device *device, ct_code *code)
{
    double best = INFINITY;
    if (!play(device, code, 1)) return 0;
    int64_t n = 1;
    for (double spent = 0, ns; spent < TIMED_NS; spent += ns) {
        const int64_t begin = ct_now_ns();
        if (!play(device, code, n)) return 0;
        ns = (double)(ct_now_ns() - begin);
        if (ns / (double)n < best) best = ns / (double)n;
        if (ns < LEAST_TIMED_NS) n *= 2;
    }
    return best;
}

/* Places operands, one after the other and with numbers in them, and plays the launch; 0: something failed. */
static double time_of_launch(ct_device *device, ct_launch *launch, int n_operands, size_t operand_bytes)
{
    const size_t step = (operand_bytes + OPERAND_ALIGN - 1) / OPERAND_ALIGN * OPERAND_ALIGN;
    const size_t operands = (size_t)n_operands * step;
    char *memory = NULL;
    if (device->alloc(device, operands + device->ticket_bytes, (void **)&memory)) return 0;
    for (int i = 0; i < n_operands; i++) launch->args.p[i] = memory + (size_t)i * step;
    ct_code code = {.launches = launch, .n_launches = 1, .tickets = (uint32_t *)(memory + operands)};
    const bool ready = !device->fill(device, memory, 0x3f, operands) && /* 0.75 in F32, 0.0005 in F64 */
                       !device->fill(device, code.tickets, 0, device->ticket_bytes) && !device->prepare(device, &code);
    const double ns = ready ? time_of_play(device, &code) : 0;
    if (code.prepared) device->retire(device, &code);
    device->free(device, memory);
    return ns;
}

/* Bytes are read and written, half and half. */
static double time_of_copy(ct_device *device, size_t bytes)
{
    const int64_t n = (int64_t)(bytes / 2 / sizeof(float));
    ct_launch copy = {.folded = CT_NOT_FOLDED, .run = 1, .bytes = (double)bytes};
    copy.args = (ct_args){.kernel = CT_KERNEL_copy, .dtype = F32, .n = n, .ndim = 1, .shape = {n}, .stride = {{1}}};
    return time_of_launch(device, &copy, 2, bytes / 2);
}

/* C = A B, all [n,n]. */
static double time_of_product(ct_device *device, uint8_t dtype, int64_t n)
{
    const size_t matrix = (size_t)n * (size_t)n * (dtype == F64 ? sizeof(double) : sizeof(float));
    const double side = (double)n;
    ct_launch product = {
        .folded = CT_NOT_FOLDED, .run = 1, .flops = 2 * side * side * side, .bytes = 3 * (double)matrix};
    product.args = (ct_args){.kernel = CT_KERNEL_gemm, .dtype = dtype, .m = n, .n = n, .k = n, .i = {n, n, n}};
    return time_of_launch(device, &product, 3, matrix);
}

#define SMALLEST_COPY ((size_t)8 << 10)

static double last_copy_ns(const ct_peaks *peaks)
{
    const int n = peaks->n_sizes;
    return n ? peaks->copied[n - 1] / peaks->bandwidth[n - 1] * 1e9 : 0;
}

/* From what fits the first cache to what fits none: 8 KiB to 128 MiB. Behind the sizes that are there; false: one could
 * not be measured. */
static bool measure_copies(ct_device *device, ct_peaks *peaks)
{
    while (peaks->n_sizes < CT_PEAK_SIZES && 4 * last_copy_ns(peaks) < LONG_PLAY_NS) {
        const size_t bytes = SMALLEST_COPY << 2 * peaks->n_sizes;
        const double ns = time_of_copy(device, bytes);
        if (!(ns > 0)) return false;
        peaks->copied[peaks->n_sizes] = (double)bytes;
        peaks->bandwidth[peaks->n_sizes++] = (double)bytes / ns * 1e9;
    }
    return true;
}

#define LARGEST_PRODUCT 8192

/* The most FLOP/s, at first those that are known. False: a size could not be measured. */
static bool measure_products(ct_device *device, uint8_t dtype, double *best)
{
    double ns = 1;
    for (int64_t n = 32; n <= LARGEST_PRODUCT && 8 * ns < LONG_PLAY_NS; n *= 2) {
        ns = time_of_product(device, dtype, n);
        if (!(ns > 0)) return false;
        const double side = (double)n, rate = 2 * side * side * side / ns * 1e9;
        if (rate > *best) *best = rate;
    }
    return true;
}

/* What could not be measured, where the device's memory is full say, is tried again the next time. */
void ct_profile_measure(ct_context *ctx)
{
    ct_device *device = ctx->device;
    ct_peaks *peaks = &ctx->profile->peaks;
    if (peaks->measured) return;
    const int64_t launches = device->launches, failed = device->failed;
    const bool copies = measure_copies(device, peaks);
    const bool f32 = measure_products(device, F32, &peaks->flops[0]);
    const bool f64 = measure_products(device, F64, &peaks->flops[1]);
    peaks->measured = copies && f32 && f64;
    device->launches = launches;
    device->failed = failed;
}

/* ---- comparing --------------------------------------------------------------------------------------- */

double ct_peak_bandwidth(const ct_peaks *peaks, double bytes)
{
    double most = 0;
    for (int i = 0; i < peaks->n_sizes; i++) {
        const bool counts = peaks->copied[i] >= bytes || i == peaks->n_sizes - 1; /* beyond: as the largest */
        if (counts && peaks->bandwidth[i] > most) most = peaks->bandwidth[i];
    }
    return most;
}

double ct_peak_flops(const ct_peaks *peaks, int32_t dtype) { return peaks->flops[dtype == F64]; }

/* The least seconds that the FLOPs of a call take, or its bytes; what was not measured takes forever. */
static double arithmetic_time(const ct_peaks *peaks, const ct_profile_row *row)
{
    return row->flops > 0 ? row->flops / ct_peak_flops(peaks, row->dtype) : 0;
}

static double memory_time(const ct_peaks *peaks, const ct_profile_row *row)
{
    return row->bytes > 0 ? row->bytes / ct_peak_bandwidth(peaks, row->bytes) : 0;
}

double ct_profile_roofline(const ct_profile *profile, const ct_profile_row *row)
{
    const double least = fmax(arithmetic_time(&profile->peaks, row), memory_time(&profile->peaks, row));
    if (row->ns <= 0 || !isfinite(least)) return 0;
    return least * 1e9 * (double)row->calls / (double)row->ns;
}

bool ct_profile_compute_bound(const ct_profile *profile, const ct_profile_row *row)
{
    return arithmetic_time(&profile->peaks, row) > memory_time(&profile->peaks, row);
}
