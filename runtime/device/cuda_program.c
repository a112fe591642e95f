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
    const void *function; /* NULL: the product, or the user's launcher */
    void *argument;       /* a ct_args or ct_group: copied when it is launched */
    uint32_t grid, shared_bytes;
    uint32_t launch; /* the first it does, for messages */
    float ns;        /* what it will take, about        */
    uint8_t lane;    /* 1: on the side stream           */
    bool forks, joins;
    ct_product *product;
    const ct_custom_launch *custom;
} cuda_node;

typedef struct cuda_program {
    cuda_node *nodes;
    uint32_t n_nodes, n_groups;
    ct_group *groups;
    bool played;    /* once, launch by launch                          */
    bool graphless; /* the card had no memory for a graph: no new try   */
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

cudaError_t ct_cuda_launch_kernel(const void *function, void *argument, uint32_t grid, uint32_t shared_bytes,
                                  cudaStream_t stream)
{
    const cudaLaunchConfig_t config = {
        .gridDim = {grid, 1, 1}, .blockDim = {CT_THREADS, 1, 1}, .dynamicSmemBytes = shared_bytes, .stream = stream};
    return cudaLaunchKernelExC(&config, function, &argument);
}

static ct_status node_failed(cuda_device *d, const ct_code *code, const cuda_node *node, cudaError_t error)
{
    char call[96];
    const char *function = node->function ? "cudaLaunchKernelExC" : node->product ? "cublasLtMatmul" : "launcher";
    snprintf(call, sizeof call, "%s %s", function, kernel_names[code->launches[node->launch].args.kernel]);
    d->base.failed = node->launch;
    return ct_cuda_failed(d, call, error);
}

static cudaError_t order(cudaStream_t after, cudaStream_t before, cudaEvent_t event)
{
    const cudaError_t error = cudaEventRecord(event, before);
    return error ? error : cudaStreamWaitEvent(after, event, 0);
}

/* What a launcher launches becomes part of a capture as kernels of ours do: its stream is the driver's. */
static cudaError_t run_node(const cuda_node *n, cudaStream_t stream)
{
    if (n->custom) return (cudaError_t)n->custom->cuda(&n->custom->call, stream);
    if (n->product) return ct_product_run(n->product, stream, n->lane);
    return ct_cuda_launch_kernel(n->function, n->argument, n->grid, n->shared_bytes, stream);
}

static cudaError_t launch_node(cuda_device *d, const cuda_node *n, cudaStream_t stream)
{
    const cudaStream_t own = n->lane ? d->side : stream;
    cudaError_t error = n->forks ? order(d->side, stream, d->fork) : cudaSuccess;
    if (!error) error = run_node(n, own);
    if (!error && n->joins) error = order(stream, d->side, d->join);
    return error;
}

static uint32_t begin_marks(const cuda_device *d, const ct_code *code, uint32_t node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < code->n_launches; i++) {
        if (code->launches[i].node != node) continue;
        d->base.marks->begin(d->base.marks->user, code, i);
        n++;
    }
    return n;
}

/* Of a node that does several launches each is begun, and all end behind it. */
static cudaError_t launch_marked(cuda_device *d, ct_code *code, uint32_t i, cudaStream_t stream)
{
    const cuda_program *p = code->prepared;
    if (!d->base.marks) return launch_node(d, &p->nodes[i], stream);
    uint32_t n = begin_marks(d, code, i);
    const cudaError_t error = launch_node(d, &p->nodes[i], stream);
    if (!error && stream == d->capture) ct_cuda_number_nodes(d, code, i, stream);
    for (; n > 0; n--) d->base.marks->end(d->base.marks->user);
    return error;
}

/* On an error the side stream is joined all the same: what follows is ordered behind all that went out. */
static ct_status launch_nodes(cuda_device *d, ct_code *code, cudaStream_t stream)
{
    const cuda_program *p = code->prepared;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const cudaError_t error = launch_marked(d, code, i, stream);
        if (!error) continue;
        (void)order(stream, d->side, d->join);
        return node_failed(d, code, &p->nodes[i], error);
    }
    return CT_OK;
}

/* For eager play: waits for every node, so that a fault is met where it is made. */
static ct_status launch_and_wait(cuda_device *d, ct_code *code)
{
    const cuda_program *p = code->prepared;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        cudaError_t error = launch_marked(d, code, i, d->stream);
        if (!error) error = cudaStreamSynchronize(d->stream);
        if (error) return node_failed(d, code, &p->nodes[i], error);
    }
    return CT_OK;
}

/* ---- preparing ------------------------------------------------------------------------------------ */

static float estimate(const cuda_device *d, const ct_launch *l)
{
    const double arithmetic = l->flops / (double)d->flops_a_ns, memory = l->bytes / (double)d->bytes_a_ns;
    return (float)(arithmetic > memory ? arithmetic : memory);
}

static cuda_node *add_node(cuda_program *p, uint32_t launch)
{
    cuda_node *node = &p->nodes[p->n_nodes++];
    *node = (cuda_node){.launch = launch};
    return node;
}

/* A launch as a node of its own. */
static cuda_node kernel_node(const cuda_device *d, ct_launch *l, uint32_t launch)
{
    const ct_cuda_kernel *kernel = ct_cuda_kernels[l->args.kernel];
    return (cuda_node){.function = kernel->function[l->args.dtype],
                       .argument = &l->args,
                       .grid = grid_of(d, l->args.blocks),
                       .shared_bytes = kernel->shared_bytes[l->args.dtype],
                       .launch = launch,
                       .ns = estimate(d, l),
                       .custom = l->custom};
}

static void add_kernel(cuda_device *d, cuda_program *p, ct_launch *l, uint32_t launch)
{
    l->node = p->n_nodes;
    *add_node(p, launch) = kernel_node(d, l, launch);
}

/* A library product, with the epilogue it cannot do behind it. */
static void add_product(cuda_device *d, cuda_program *p, ct_launch *l, uint32_t launch, ct_product *product)
{
    l->node = p->n_nodes;
    cuda_node *first = add_node(p, launch);
    first->product = product;
    first->ns = estimate(d, l);
    if (!ct_product_needs_epilogue(product)) return;
    cuda_node *node = add_node(p, launch);
    l->args.blocks = ct_cuda_gemm_epilogue_blocks(&l->args);
    node->function = ct_cuda_gemm_epilogue[l->args.dtype];
    node->argument = &l->args;
    node->grid = grid_of(d, l->args.blocks);
}

/* A node that is to be one grid for several launches. */
static ct_group *make_group(cuda_program *p, cuda_node *node)
{
    ct_group *group = &p->groups[p->n_groups++];
    node->function = ct_cuda_group;
    node->argument = group;
    return group;
}

static void join_group(cuda_device *d, cuda_node *node, ct_args *place, const ct_launch *l)
{
    const uint32_t wanted = ct_cuda_kernels[l->args.kernel]->shared_bytes[l->args.dtype];
    *place = l->args;
    node->ns += estimate(d, l);
    if (wanted > node->shared_bytes) node->shared_bytes = wanted;
}

static void add_group(cuda_device *d, cuda_program *p, ct_code *code, const uint32_t *members, uint32_t n)
{
    cuda_node *node = add_node(p, members[0]);
    ct_group *group = make_group(p, node);
    for (; group->n < n; group->n++) {
        ct_launch *l = &code->launches[members[group->n]];
        l->node = p->n_nodes - 1;
        group->blocks += l->args.blocks;
        join_group(d, node, &group->args[group->n], l);
    }
    node->grid = group->blocks;
}

#define LEAST_BRANCH_NS 10000 /* a fork and its join cost some microseconds */

/* Nodes [first, end) are a run: two branches of it go side by side, where both are worth it. What
 * follows a library product is its epilogue, and stays behind it. */
static void make_branches(cuda_program *p, uint32_t first)
{
    float ns[CT_LANES] = {0};
    uint8_t lane = 0;
    for (uint32_t i = first; i < p->n_nodes; i++) {
        cuda_node *n = &p->nodes[i];
        const bool follows = i > first && p->nodes[i - 1].product && p->nodes[i - 1].launch == n->launch;
        if (!follows) lane = ns[1] < ns[0];
        n->lane = lane;
        ns[lane] += n->ns;
    }
    const bool pays = ns[0] >= LEAST_BRANCH_NS && ns[1] >= LEAST_BRANCH_NS;
    for (uint32_t i = first; i < p->n_nodes && !pays; i++) p->nodes[i].lane = 0;
    if (!pays) return;
    p->nodes[first].forks = true;
    p->nodes[p->n_nodes - 1].joins = true;
}

enum { IS_TAIL = 1 }; /* schedule of a launch: a node before it does it */

static bool may_group(const ct_args *a) { return ct_cuda_kernels[a->kernel]->groups >> a->dtype & 1; }

/* Launches [first, first + n) depend on none of each other: those that a group kernel holds share grids. */
static ct_status add_run(cuda_device *d, cuda_program *p, ct_code *code, uint32_t first, uint32_t n)
{
    uint32_t members[CT_GROUP_LIMIT], n_members = 0;
    const uint32_t first_node = p->n_nodes;
    for (uint32_t i = first; i < first + n; i++) {
        ct_launch *l = &code->launches[i];
        if (l->args.blocks == 0 || l->schedule == IS_TAIL) continue;
        ct_product *product = NULL;
        if (l->args.kernel == CT_KERNEL_gemm) {
            const cudaError_t error = ct_product_make(d->library, &l->args, d->capture, &product);
            if (error) return ct_cuda_failed(d, "cublasLt", error);
        }
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
    make_branches(p, first_node);
    return CT_OK;
}

/* A launch of one block behind a node that a group kernel could be: that goes on with it, and a node is
 * saved. `next` is the run behind; what is before the last node has passed when that ends. */
static void add_tail(cuda_device *d, cuda_program *p, ct_code *code, uint32_t next, uint32_t n)
{
    cuda_node *node = p->n_nodes ? &p->nodes[p->n_nodes - 1] : NULL;
    if (!node || node->product || node->lane || node->joins) return;
    const ct_launch *last = &code->launches[node->launch];
    const bool alone = node->function == ct_cuda_kernels[last->args.kernel]->function[last->args.dtype];
    const bool grouped = node->function == ct_cuda_group;
    if (grouped ? ((ct_group *)node->argument)->has_tail : !alone || !may_group(&last->args)) return;
    for (uint32_t i = next; i < next + n; i++) {
        ct_launch *l = &code->launches[i];
        if (l->args.blocks != 1 || !may_group(&l->args)) continue;
        ct_group *group = node->argument;
        if (!grouped) {
            group = make_group(p, node);
            group->n = 1;
            group->blocks = last->args.blocks;
            group->args[0] = last->args;
            node->grid = group->blocks;
        }
        group->has_tail = 1;
        join_group(d, node, &group->args[group->n], l);
        if (node->shared_bytes < CT_TURN_BYTES) node->shared_bytes = CT_TURN_BYTES;
        l->schedule = IS_TAIL;
        l->node = p->n_nodes - 1;
        return;
    }
}

ct_status ct_cuda_out_of_memory(cuda_device *d)
{
    snprintf(d->base.message, sizeof d->base.message, "out of host memory");
    return CT_ERR_MEMORY;
}

ct_status ct_cuda_prepare(cuda_device *d, ct_code *code)
{
    const uint32_t n = code->n_launches;
    cuda_program *p = code->prepared = d->alloc(d->ctx, sizeof *p);
    if (!p) return ct_cuda_out_of_memory(d);
    p->nodes = d->alloc(d->ctx, 2 * n * sizeof *p->nodes);
    p->groups = d->alloc(d->ctx, (n / 2 + 1) * sizeof *p->groups);
    if (!p->nodes || !p->groups) return ct_cuda_out_of_memory(d);
    for (uint32_t i = 0; i < n; i++) {
        ct_args *a = &code->launches[i].args;
        const ct_cuda_kernel *kernel = ct_cuda_kernels[a->kernel];
        a->blocks = kernel->grid ? kernel->grid(a) : 1;
        a->ticket = code->tickets + i;
        code->launches[i].node = CT_NO_NODE;
    }
    ct_status status = CT_OK;
    for (uint32_t i = 0, next; !status && i < n; i = next) {
        next = i + code->launches[i].run;
        status = add_run(d, p, code, i, code->launches[i].run);
        if (!status && next < n) add_tail(d, p, code, next, code->launches[next].run);
    }
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
    d->release(d->ctx, code->graph_nodes);
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
static ct_status capture(cuda_device *d, ct_code *code, int64_t n, cudaGraphExec_t *out)
{
    const uint32_t n_graph_nodes = code->n_graph_nodes;
    cudaGraph_t graph = NULL;
    ct_cuda_capture_begins(d);
    CT_TRY(d, cudaStreamBeginCapture(d->capture, cudaStreamCaptureModeThreadLocal));
    ct_status status = CT_OK;
    for (int64_t i = 0; !status && i < n; i++) status = launch_nodes(d, code, d->capture);
    const cudaError_t error = cudaStreamEndCapture(d->capture, &graph);
    if (!status && error) status = ct_cuda_failed(d, "cudaStreamEndCapture", error);
    (void)cudaGetLastError();
    if (!status) status = instantiate(d, graph, out);
    if (graph) (void)cudaGraphDestroy(graph);
    if (status) code->n_graph_nodes = n_graph_nodes;
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
        const cudaError_t error = ct_cuda_launch_kernel(ct_cuda_set_scalars, &batch, 1, 0, d->stream);
        if (error) return ct_cuda_failed(d, "cudaLaunchKernelExC set_scalars", error);
        d->base.launches++;
    }
    return CT_OK;
}

ct_status ct_cuda_try_kernel(cuda_device *d)
{
    ct_scalar_batch none = {.n = 0};
    const cudaError_t error = ct_cuda_launch_kernel(ct_cuda_set_scalars, &none, 1, 0, d->stream);
    return error ? ct_cuda_failed(d, "cudaLaunchKernelExC set_scalars", error) : CT_OK;
}

static ct_status play_list(cuda_device *d, ct_code *code)
{
    cuda_program *p = code->prepared;
    const ct_status status = d->eager ? launch_and_wait(d, code) : launch_nodes(d, code, d->stream);
    if (status) return status;
    p->played = true;
    d->base.launches += p->n_nodes;
    return CT_OK;
}

#define MOST_UNROLLED 32
#define MOST_NODES 512

/* How many steps a graph of many has; 0: no such graph. */
static int64_t unrolled_steps(const cuda_program *p)
{
    const int64_t fit = MOST_NODES / p->n_nodes, steps = fit < MOST_UNROLLED ? fit : MOST_UNROLLED;
    return steps < 2 ? 0 : steps;
}

/* The graphs that n steps want: one of many steps only where there are enough to pay for making it.
 * A card that has no memory for a graph is no error: there is the list. */
static ct_status make_graphs(cuda_device *d, ct_code *code, int64_t n)
{
    cuda_program *p = code->prepared;
    const int64_t unrolled = unrolled_steps(p);
    ct_status status = CT_OK;
    if (p->graphless) return CT_OK;
    if (!p->steps && unrolled && n >= 4 * unrolled) status = capture(d, code, unrolled, &p->steps);
    if (!status && !p->step) status = capture(d, code, 1, &p->step);
    p->graphless = status == CT_ERR_MEMORY;
    return p->graphless ? CT_OK : status;
}

static ct_status play_graphs(cuda_device *d, ct_code *code, int64_t n)
{
    const cuda_program *p = code->prepared;
    const int64_t unrolled = unrolled_steps(p);
    ct_status status = CT_OK;
    for (; !status && p->steps && n >= unrolled; n -= unrolled) status = launch_graph(d, p->steps);
    for (; !status && n > 0; n--) status = p->step ? launch_graph(d, p->step) : play_list(d, code);
    return status;
}

static ct_status play(cuda_device *d, ct_code *code, int64_t n, const ct_scalar_change *changes, uint32_t n_changes)
{
    const cuda_program *p = code->prepared;
    ct_status status = set_scalars(d, code, changes, n_changes);
    if (p->n_nodes == 0) return status;
    for (; !status && n > 0 && (d->eager || !p->played); n--) status = play_list(d, code);
    if (!status && n > 0) status = make_graphs(d, code, n);
    return status ? status : play_graphs(d, code, n);
}

/* What has gone out cannot be taken back: so a failure here is one of the device, and stands. */
ct_status ct_cuda_play(cuda_device *d, ct_code *code, int64_t n, const ct_scalar_change *changes, uint32_t n_changes)
{
    return play(d, code, n, changes, n_changes) ? CT_ERR_DEVICE : CT_OK;
}

/* ---- launch by launch ----------------------------------------------------------------------------------- */

/* The node of a launch that became a library product; NULL: it did not. */
static const cuda_node *product_of(const cuda_program *p, uint32_t launch)
{
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (p->nodes[i].product && p->nodes[i].launch == launch) return &p->nodes[i];
    return NULL;
}

/* A library product with its epilogue; any other launch from the table, wherever prepare put it. */
static ct_status play_launch(cuda_device *d, ct_code *code, uint32_t i)
{
    ct_launch *l = &code->launches[i];
    const cuda_node alone = kernel_node(d, l, i), *node = product_of(code->prepared, i);
    const uint32_t n = node ? 1 + ct_product_needs_epilogue(node->product) : l->args.blocks > 0;
    if (!node) node = &alone;
    for (uint32_t j = 0; j < n; j++) {
        cuda_node own = node[j];
        own.lane = 0;
        const cudaError_t error = run_node(&own, d->stream);
        if (error) return node_failed(d, code, &node[j], error);
    }
    d->base.launches += n;
    return CT_OK;
}

ct_status ct_cuda_play_launch(cuda_device *d, ct_code *code, uint32_t i)
{
    return play_launch(d, code, i) ? CT_ERR_DEVICE : CT_OK;
}
