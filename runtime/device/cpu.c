/* The CPU device: a loop over the launches, and the reference for every other device.
 *
 * A launch whose estimated time is worth it is shared among threads by its virtual
 * blocks; which blocks there are follows from the shapes alone, so that the number of
 * threads never changes a bit.
 */
#define _GNU_SOURCE
#include "cpu/cpu.h"
#include "core/clock.h"
#include "device/device.h"
#include "device/threads.h"
#include "profile/nvtx.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CT_HAVE_ONEDNN
#include <omp.h>
#endif

/* ---- the matrix library's own threads --------------------------------------------------------- */

/* Our tiles are the parallelism: the library's would fight with it. Returns what was set before. */
static int set_library_threads(int n)
{
#if defined CT_HAVE_ONEDNN
    int before = omp_get_max_threads(); /* a setting of the calling thread */
    omp_set_num_threads(n);
    return before;
#elif defined CT_HAVE_CBLAS
    /* OpenBLAS, if it is that: a setting of the process, so it is put back after every play. */
    extern int openblas_get_num_threads(void) __attribute__((weak));
    extern void openblas_set_num_threads(int) __attribute__((weak));
    int before = openblas_get_num_threads ? openblas_get_num_threads() : n;
    if (openblas_set_num_threads && before != n) openblas_set_num_threads(n);
    return before;
#else
    return n;
#endif
}

typedef struct cpu_device {
    ct_device base;
    ct_context *ctx;
    const ct_cpu_kernel *const *kernels;
    ct_threads *threads;
} cpu_device;

/* ---- instruction sets ------------------------------------------------------------------------- */

#define TABLE(isa) extern const ct_cpu_kernel *const CT_PASTE2(ct_cpu_kernels, isa)[CT_KERNEL_COUNT]
TABLE(base);
#if defined __x86_64__ && defined CT_HAVE_X86_TABLES
TABLE(v3);
TABLE(v4);
#endif

static const ct_cpu_kernel *const *choose_table(const char **isa)
{
#if defined __x86_64__ && defined CT_HAVE_X86_TABLES
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (v4) return *isa = "AVX-512", ct_cpu_kernels_v4;
    if (v3) return *isa = "AVX2", ct_cpu_kernels_v3;
#endif
    return *isa = "baseline", ct_cpu_kernels_base;
}

/* ---- memory -------------------------------------------------------------------------------------- */

/* Exact sizes, so that ASan sees the edges. */
static ct_status alloc(ct_device *device, size_t bytes, void **out)
{
    *out = NULL;
    if (posix_memalign(out, 256, bytes ? bytes : 1) == 0) return CT_OK;
    snprintf(device->message, sizeof device->message, "no memory for %zu bytes", bytes);
    return CT_ERR_MEMORY;
}

static void release(ct_device *device, void *memory)
{
    (void)device;
    free(memory);
}

static ct_status copy(ct_device *device, void *to, const void *from, size_t bytes)
{
    (void)device;
    if (bytes) memcpy(to, from, bytes);
    return CT_OK;
}

static ct_status adopt(ct_device *device, const void *memory)
{
    (void)device, (void)memory;
    return CT_OK;
}

static ct_status fill(ct_device *device, void *to, int byte, size_t bytes)
{
    (void)device;
    if (bytes) memset(to, byte, bytes);
    return CT_OK;
}

/* ---- programs -------------------------------------------------------------------------------------- */

static bool supports(const ct_device *device, uint16_t kernel, int32_t dtype)
{
    return ((const cpu_device *)device)->kernels[kernel]->body[dtype] != NULL;
}

/* How long one thread takes, as measured with AVX-512 by `cutape profile` on 128 KB: AVX2 takes up to a half more, the
 * plain kernels up to three times as long. A FLOP is what ct_cost counts as one. */
#define FLOPS_A_NS 100.0    /* in products */
#define BYTES_A_NS 60.0     /* from the second cache, of which a core has CACHE ... */
#define FAR_BYTES_A_NS 20.0 /* ... and from behind it */
#define CACHE (1 << 20)
#define CUSTOM_NS 4.0 /* an element; a guess */
#define FLOP_NS 0.1   /* but for */
static const float flop_ns[CT_KERNEL_COUNT] = {
    [CT_KERNEL_expm1] = 4,
    [CT_KERNEL_log1p] = 4,
    [CT_KERNEL_elu] = 4,
    [CT_KERNEL_exp] = 0.4F,
    [CT_KERNEL_log] = 2.5F,
    [CT_KERNEL_sqrt] = 0.17F,
    [CT_KERNEL_sin] = 2,
    [CT_KERNEL_cos] = 2,
    [CT_KERNEL_tanh] = 0.7F,
    [CT_KERNEL_pow] = 4,
    [CT_KERNEL_pow_scalar] = 4,
    [CT_KERNEL_softplus] = 2.5F,
    [CT_KERNEL_gelu] = 0.2F,
    [CT_KERNEL_softmax] = 0.3F,
    [CT_KERNEL_log_softmax] = 0.3F,
    [CT_KERNEL_logsumexp] = 0.3F,
    [CT_KERNEL_cross_entropy] = 0.3F,
    [CT_KERNEL_bce_with_logits] = 0.3F,
    [CT_KERNEL_layer_norm] = 0.3F,
    [CT_KERNEL_dropout] = 0.4F,
    [CT_KERNEL_rand] = 0.8F,
    [CT_KERNEL_randn] = 4,
    [CT_KERNEL_adam] = 0.02F,
    [CT_KERNEL_sgd] = 0.02F,
};
#define SHARE_FROM_NS 6000.0 /* handing a launch over costs about a microsecond */
#define TASK_NS 2500.0

static double arithmetic_ns(const ct_launch *l)
{
    const uint16_t kernel = l->args.kernel;
    if (kernel == CT_KERNEL_gemm) return l->flops / FLOPS_A_NS;
    if (kernel == CT_KERNEL_custom) return CUSTOM_NS * (double)l->args.n;
    return l->flops * (flop_ns[kernel] > 0 ? (double)flop_ns[kernel] : FLOP_NS);
}

static double memory_ns(const ct_launch *l)
{
    const bool scattered = l->args.kernel == CT_KERNEL_gather || l->args.kernel == CT_KERNEL_copy;
    return l->bytes / (scattered || l->bytes > CACHE ? FAR_BYTES_A_NS : BYTES_A_NS);
}

/* Into how many tasks a launch is cut; 1 is not shared. */
static uint32_t tasks_of(const ct_launch *l)
{
    const double arithmetic = arithmetic_ns(l), memory = memory_ns(l);
    const double ns = arithmetic > memory ? arithmetic : memory;
    if (ns < SHARE_FROM_NS) return 1;
    double tasks = ns / TASK_NS;
    if (tasks > 64) tasks = 64;
    return tasks < l->args.blocks ? (uint32_t)tasks : l->args.blocks;
}

static ct_status prepare(ct_device *device, ct_code *code)
{
    cpu_device *cpu = (cpu_device *)device;
    for (uint32_t i = 0; i < code->n_launches; i++) {
        ct_launch *l = &code->launches[i];
        const ct_cpu_kernel *k = cpu->kernels[l->args.kernel];
        l->args.blocks = k->grid ? k->grid(&l->args) : 1;
        l->schedule = ct_threads_count(cpu->threads) > 1 ? tasks_of(l) : 1;
        l->node = i;
    }
    code->n_nodes = code->n_launches;
    return CT_OK;
}

static void retire(ct_device *device, ct_code *code) { (void)device, (void)code; }

typedef void body_fn(const ct_args *, uint32_t, uint32_t);

typedef struct shared_launch {
    const ct_launch *launch;
    body_fn *body;     /* NULL: the launch of an op that the user added */
    atomic_int status; /* what its function returned, if not 0          */
} shared_launch;

static int call_custom(const ct_launch *l, uint32_t first, uint32_t last)
{
    const ct_custom_launch *custom = l->custom;
    ct_op_call call = custom->call;
    if (custom->in_ranges) {
        call.first = ct_first_element(first);
        call.count = ct_last_element(last, l->args.n) - call.first;
    }
    return custom->cpu(&call);
}

static void run_blocks(shared_launch *s, uint32_t first, uint32_t last)
{
    if (s->body) {
        s->body(&s->launch->args, first, last);
        return;
    }
    const int status = call_custom(s->launch, first, last);
    if (status) atomic_store(&s->status, status);
}

static void run_share(void *arg, uint32_t task)
{
    shared_launch *s = arg;
    uint64_t blocks = s->launch->args.blocks, tasks = s->launch->schedule;
    uint32_t first = (uint32_t)(blocks * task / tasks), last = (uint32_t)(blocks * (task + 1) / tasks);
    if (first < last) run_blocks(s, first, last);
}

/* A launch that is shared, or that of an op that the user added. */
static ct_status run_shared(cpu_device *cpu, ct_code *code, uint32_t i)
{
    const ct_launch *l = &code->launches[i];
    const ct_cpu_kernel *k = cpu->kernels[l->args.kernel];
    shared_launch shared = {.launch = l, .body = k->body[l->args.dtype]};
    if (l->schedule > 1)
        ct_threads_run(cpu->threads, run_share, &shared, l->schedule);
    else if (l->args.blocks)
        run_blocks(&shared, 0, l->args.blocks);
    if (k->finish[l->args.dtype]) k->finish[l->args.dtype](&l->args);
    if (!shared.status) return CT_OK;
    cpu->base.failed = i;
    snprintf(cpu->base.message, sizeof cpu->base.message, "its CPU function returned %d", shared.status);
    return CT_ERR_DEVICE;
}

/* Inline: small networks are some dozen launches of 12 ns. */
static inline __attribute__((always_inline)) ct_status run_launch(cpu_device *cpu, ct_code *code, uint32_t i)
{
    const ct_launch *l = &code->launches[i];
    const ct_cpu_kernel *k = cpu->kernels[l->args.kernel];
    body_fn *body = k->body[l->args.dtype];
    if (!body || l->schedule > 1) return run_shared(cpu, code, i);
    if (l->args.blocks) body(&l->args, 0, l->args.blocks);
    if (k->finish[l->args.dtype]) k->finish[l->args.dtype](&l->args);
    return CT_OK;
}

static ct_status play_marked(cpu_device *cpu, ct_code *code)
{
    const ct_marks *marks = cpu->base.marks;
    ct_status status = CT_OK;
    for (uint32_t i = 0; !status && i < code->n_launches; i++) {
        marks->begin(marks->user, code, i);
        status = run_launch(cpu, code, i);
        marks->end(marks->user);
    }
    return status;
}

static ct_status play(ct_device *device, ct_code *code, int64_t n, const ct_scalar_change *changes, uint32_t n_changes)
{
    cpu_device *cpu = (cpu_device *)device;
    for (uint32_t i = 0; i < n_changes; i++)
        code->scalars[changes[i].slot] = (ct_scalar){.f64 = changes[i].value, .f32 = (float)changes[i].value};
    const int library_threads = set_library_threads(1);
    device->launches += n * (int64_t)code->n_launches;
    ct_status status = CT_OK;
    for (; device->marks && !status && n > 0; n--) status = play_marked(cpu, code);
    for (; n > 0; n--)
        for (uint32_t i = 0; !status && i < code->n_launches; i++) status = run_launch(cpu, code, i);
    set_library_threads(library_threads);
    return status;
}

static ct_status play_launch(ct_device *device, ct_code *code, uint32_t i)
{
    const int library_threads = set_library_threads(1);
    device->launches++;
    const ct_status status = run_launch((cpu_device *)device, code, i);
    set_library_threads(library_threads);
    return status;
}

static ct_status play_timed(ct_device *device, ct_code *code, ct_launch_time *times)
{
    cpu_device *cpu = (cpu_device *)device;
    const ct_marks *marks = device->marks;
    const int library_threads = set_library_threads(1);
    ct_status status = CT_OK;
    for (uint32_t i = 0; !status && i < code->n_launches; i++) {
        ct_launch_time *t = &times[i];
        if (marks) marks->begin(marks->user, code, i);
        t->asked = t->begin = ct_now_ns();
        status = run_launch(cpu, code, i);
        t->returned = t->end = ct_now_ns();
        if (marks) marks->end(marks->user);
        device->launches++;
    }
    set_library_threads(library_threads);
    return status;
}

/* Tools that record a CPU need no telling. */
static ct_status capture_range(ct_device *device, bool open)
{
    (void)device, (void)open;
    return CT_OK;
}

static ct_status wait_for(ct_device *device)
{
    (void)device;
    return CT_OK;
}

/* ---- open and close ----------------------------------------------------------------------------------- */

static void start_thread(int number)
{
    set_library_threads(1);
    char name[32];
    snprintf(name, sizeof name, "cutape worker %d", number);
    ct_nvtx_name_thread(name);
}

static void close_device(ct_device *device)
{
    cpu_device *cpu = (cpu_device *)device;
    ct_threads_close(cpu->threads);
    ct_free(cpu->ctx, cpu);
}

#define MOST_THREADS 16 /* small networks gain nothing from more */

static int thread_count(const ct_context *ctx)
{
    if (ctx->config.cpu_threads) return ctx->config.cpu_threads;
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : n;
}

ct_status ct_device_cpu_open(ct_context *ctx, ct_device **out)
{
    cpu_device *cpu = ct_alloc(ctx, sizeof *cpu);
    if (!cpu) return CT_ERR_MEMORY;
    cpu->ctx = ctx;
    cpu->base = (ct_device){.close = close_device,
                            .alloc = alloc,
                            .free = release,
                            .upload = copy,
                            .download = copy,
                            .fill = fill,
                            .adopt = adopt,
                            .supports = supports,
                            .prepare = prepare,
                            .retire = retire,
                            .play = play,
                            .play_launch = play_launch,
                            .play_timed = play_timed,
                            .capture_range = capture_range,
                            .wait = wait_for};
    const char *isa;
    cpu->kernels = choose_table(&isa);
    cpu->threads = ct_threads_open(ctx, thread_count(ctx), start_thread);
    if (!cpu->threads) {
        ct_free(ctx, cpu);
        return CT_ERR_MEMORY;
    }
    snprintf(cpu->base.name, sizeof cpu->base.name, "CPU, %s, %d thread%s", isa, ct_threads_count(cpu->threads),
             ct_threads_count(cpu->threads) > 1 ? "s" : "");
    *out = &cpu->base;
    return CT_OK;
}
