/* Programs on the GPU. A launch list becomes nodes: kernels, groups of independent launches
 * in one grid, library products. First sight plays the nodes one by one, so that all is loaded and
 * warm; second sight captures them; from then on a step is one graph launch, and many steps
 * are graphs of many.
 */
#include "cuda/cuda.h"

#include "device/cuda.h"

#include <stdio.h>
#include <string.h>

typedef struct cuda_node {
    const void *function; /* NULL: the product */
    void *argument;       /* a ct_args or ct_group: copied when it is launched */
    uint32_t grid, shared_bytes;
    uint32_t launch; /* the first it does, for messages */
    ct_product *product;
} cuda_node;

typedef struct cuda_program {
    cuda_node *nodes;
    uint32_t n_nodes, n_groups;
    ct_group *groups;
    bool played; /* once, launch by launch */
    cudaGraphExec_t step, steps;
} cuda_program;

/* ---- launching ---------------------------------------------------------------------------------- */

static const char *const kernel_names[CT_KERNEL_COUNT] = {
#define CT_KERNEL(name) #name,
#include "kernels.def"
#undef CT_KERNEL
};

static uint32_t grid_of(const cuda_device *d, uint64_t blocks)
{
    return blocks < d->most_blocks ? (uint32_t)blocks : d->most_blocks;
}

/* The one place where a kernel is launched. */
static cudaError_t launch_kernel(const void *function, void *argument, uint32_t grid, uint32_t shared_bytes,
                                 cudaStream_t stream)
{
    const cudaLaunchConfig_t config = {
        .gridDim = {grid, 1, 1}, .blockDim = {CT_THREADS, 1, 1}, .dynamicSmemBytes = shared_bytes, .stream = stream};
    return cudaLaunchKernelExC(&config, function, &argument);
}

static ct_status node_failed(cuda_device *d, const ct_code *code, const cuda_node *node, cudaError_t error)
{
    char call[96];
    snprintf(call, sizeof call, "%s %s", node->function ? "cudaLaunchKernelExC" : "cublasLtMatmul",
             kernel_names[code->launches[node->launch].args.kernel]);
    d->base.failed = node->launch;
    return ct_cuda_failed(d, call, error);
}

static ct_status launch_nodes(cuda_device *d, const ct_code *code, cudaStream_t stream)
{
    const cuda_program *p = code->prepared;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const cuda_node *n = &p->nodes[i];
        const cudaError_t error = n->function
                                      ? launch_kernel(n->function, n->argument, n->grid, n->shared_bytes, stream)
                                      : ct_product_run(n->product, stream);
        if (error) return node_failed(d, code, n, error);
    }
    return CT_OK;
}

/* ---- preparing ------------------------------------------------------------------------------------ */

static cuda_node *add_node(cuda_program *p, uint32_t launch)
{
    cuda_node *node = &p->nodes[p->n_nodes++];
    *node = (cuda_node){.launch = launch};
    return node;
}

static void add_kernel(cuda_device *d, cuda_program *p, ct_launch *l, uint32_t launch)
{
    const ct_cuda_kernel *kernel = ct_cuda_kernels[l->args.kernel];
    cuda_node *node = add_node(p, launch);
    node->function = kernel->function[l->args.dtype];
    node->argument = &l->args;
    node->grid = grid_of(d, l->args.blocks);
    node->shared_bytes = kernel->shared_bytes[l->args.dtype];
}

/* A library product, with the epilogue it cannot do behind it. */
static void add_product(cuda_device *d, cuda_program *p, ct_launch *l, uint32_t launch, ct_product *product)
{
    add_node(p, launch)->product = product;
    if (!ct_product_needs_epilogue(product)) return;
    cuda_node *node = add_node(p, launch);
    l->args.blocks = ct_cuda_gemm_epilogue_blocks(&l->args);
    node->function = ct_cuda_gemm_epilogue[l->args.dtype];
    node->argument = &l->args;
    node->grid = grid_of(d, l->args.blocks);
}

static void add_group(cuda_device *d, cuda_program *p, const ct_code *code, const uint32_t *members, uint32_t n)
{
    ct_group *group = &p->groups[p->n_groups++];
    uint64_t blocks = 0;
    group->n = n;
    for (uint32_t i = 0; i < n; i++) {
        group->args[i] = code->launches[members[i]].args;
        blocks += group->args[i].blocks;
    }
    cuda_node *node = add_node(p, members[0]);
    node->function = ct_cuda_group;
    node->argument = group;
    node->grid = grid_of(d, blocks);
    node->shared_bytes = ct_cuda_group_shared_bytes;
}

static bool may_group(const ct_args *a) { return ct_cuda_kernels[a->kernel]->groups >> a->dtype & 1; }

/* Launches [first, first + n) depend on none of each other: those that a group kernel holds share grids. */
static ct_status add_run(cuda_device *d, cuda_program *p, ct_code *code, uint32_t first, uint32_t n)
{
    uint32_t members[CT_GROUP_LIMIT], n_members = 0;
    for (uint32_t i = first; i < first + n; i++) {
        ct_launch *l = &code->launches[i];
        if (l->args.blocks == 0) continue;
        ct_product *product = NULL;
        if (l->args.kernel == CT_KERNEL_gemm) CT_TRY(d, ct_product_make(d->library, &l->args, d->capture, &product));
        if (product) {
            add_product(d, p, l, i, product);
        } else if (!may_group(&l->args)) {
            add_kernel(d, p, l, i);
        } else {
            members[n_members++] = i;
            if (n_members < CT_GROUP_LIMIT) continue;
            add_group(d, p, code, members, n_members);
            n_members = 0;
        }
    }
    if (n_members == 1) add_kernel(d, p, &code->launches[members[0]], members[0]);
    if (n_members > 1) add_group(d, p, code, members, n_members);
    return CT_OK;
}

static ct_status out_of_memory(cuda_device *d)
{
    snprintf(d->base.message, sizeof d->base.message, "out of host memory");
    return CT_ERR_MEMORY;
}

ct_status ct_cuda_prepare(cuda_device *d, ct_code *code)
{
    const uint32_t n = code->n_launches;
    cuda_program *p = code->prepared = d->alloc(d->ctx, sizeof *p);
    if (!p) return out_of_memory(d);
    p->nodes = d->alloc(d->ctx, 2 * n * sizeof *p->nodes);
    p->groups = d->alloc(d->ctx, (n / 2 + 1) * sizeof *p->groups);
    if (!p->nodes || !p->groups) return out_of_memory(d);
    for (uint32_t i = 0; i < n; i++) {
        ct_args *a = &code->launches[i].args;
        const ct_cuda_kernel *kernel = ct_cuda_kernels[a->kernel];
        a->blocks = kernel->grid ? kernel->grid(a) : 1;
        a->ticket = code->tickets + i;
    }
    ct_status status = CT_OK;
    for (uint32_t i = 0; !status && i < n; i += code->launches[i].run)
        status = add_run(d, p, code, i, code->launches[i].run);
    code->n_nodes = p->n_nodes;
    return status;
}

void ct_cuda_retire(cuda_device *d, ct_code *code)
{
    cuda_program *p = code->prepared;
    /* A graph that still runs is freed when it has passed. */
    if (p->step) (void)cudaGraphExecDestroy(p->step);
    if (p->steps) (void)cudaGraphExecDestroy(p->steps);
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].product) ct_product_free(d->library, p->nodes[i].product);
    d->release(d->ctx, p->nodes);
    d->release(d->ctx, p->groups);
    d->release(d->ctx, p);
    code->prepared = NULL;
}

/* ---- graphs ------------------------------------------------------------------------------------------ */

static ct_status instantiate(cuda_device *d, cudaGraph_t graph, cudaGraphExec_t *out)
{
    CT_TRY(d, cudaGraphInstantiate(out, graph, 0));
    CT_TRY(d, cudaGraphUpload(*out, d->stream));
    return CT_OK;
}

/* The nodes n times, as one graph. */
static ct_status capture(cuda_device *d, const ct_code *code, int64_t n, cudaGraphExec_t *out)
{
    cudaGraph_t graph = NULL;
    CT_TRY(d, cudaStreamBeginCapture(d->capture, cudaStreamCaptureModeThreadLocal));
    ct_status status = CT_OK;
    for (int64_t i = 0; !status && i < n; i++) status = launch_nodes(d, code, d->capture);
    const cudaError_t error = cudaStreamEndCapture(d->capture, &graph);
    if (!status && error) status = ct_cuda_failed(d, "cudaStreamEndCapture", error);
    if (!status) status = instantiate(d, graph, out);
    if (graph) (void)cudaGraphDestroy(graph);
    return status;
}

static ct_status launch_graph(cuda_device *d, cudaGraphExec_t graph)
{
    CT_TRY(d, cudaGraphLaunch(graph, d->stream));
    d->base.launches++;
    return CT_OK;
}

/* ---- playing ------------------------------------------------------------------------------------------- */

static ct_status set_scalars(cuda_device *d, const ct_code *code, const ct_scalar_change *changes, uint32_t n)
{
    for (uint32_t first = 0; first < n; first += CT_SCALARS_A_LAUNCH) {
        ct_scalar_batch batch = {.table = code->scalars};
        for (uint32_t i = first; i < n && batch.n < CT_SCALARS_A_LAUNCH; i++, batch.n++) {
            batch.slot[batch.n] = changes[i].slot;
            batch.value[batch.n] = (ct_scalar){.f64 = changes[i].value, .f32 = (float)changes[i].value};
        }
        CT_TRY(d, launch_kernel(ct_cuda_set_scalars, &batch, 1, 0, d->stream));
        d->base.launches++;
    }
    return CT_OK;
}

ct_status ct_cuda_try_kernel(cuda_device *d)
{
    ct_scalar_batch none = {.n = 0};
    CT_TRY(d, launch_kernel(ct_cuda_set_scalars, &none, 1, 0, d->stream));
    return CT_OK;
}

static ct_status play_list(cuda_device *d, const ct_code *code)
{
    cuda_program *p = code->prepared;
    const ct_status status = launch_nodes(d, code, d->stream);
    p->played = true;
    d->base.launches += p->n_nodes;
    return status;
}

#define MOST_UNROLLED 32
#define MOST_NODES 512

/* Graphs of many steps, where there are enough steps to pay for making one. */
static ct_status play_unrolled(cuda_device *d, const ct_code *code, int64_t *n)
{
    cuda_program *p = code->prepared;
    const int64_t fit = MOST_NODES / p->n_nodes, unroll = fit < MOST_UNROLLED ? fit : MOST_UNROLLED;
    if (unroll < 2 || *n < (p->steps ? unroll : 4 * unroll)) return CT_OK;
    ct_status status = CT_OK;
    if (!p->steps) status = capture(d, code, unroll, &p->steps);
    for (; !status && *n >= unroll; *n -= unroll) status = launch_graph(d, p->steps);
    return status;
}

ct_status ct_cuda_play(cuda_device *d, ct_code *code, int64_t n, const ct_scalar_change *changes, uint32_t n_changes)
{
    cuda_program *p = code->prepared;
    ct_status status = set_scalars(d, code, changes, n_changes);
    if (p->n_nodes == 0) return status;
    for (; !status && n > 0 && (d->eager || !p->played); n--) status = play_list(d, code);
    if (status || n == 0) return status;
    status = play_unrolled(d, code, &n);
    if (!status && n > 0 && !p->step) status = capture(d, code, 1, &p->step);
    for (; !status && n > 0; n--) status = launch_graph(d, p->step);
    return status;
}
