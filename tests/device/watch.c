/* See watch.h. */
#include "device/watch.h"

#include "program/program.h"
#include "tape/tape.h"

static void begin(void *user, const ct_code *code, uint32_t launch)
{
    watch *w = user;
    (void)code, (void)launch;
    w->begun++;
    if (++w->depth > w->deepest) w->deepest = w->depth;
}

static void end(void *user)
{
    watch *w = user;
    w->ended++;
    if (--w->depth < 0) w->below_zero = true;
}

void watch_marks(ct_context *ctx, watch *w)
{
    static ct_marks marks; /* of one test at a time */
    marks = (ct_marks){begin, end, w};
    ctx->device->marks = &marks;
}

static bool stands_before(const ct_code *code, uint32_t j)
{
    for (uint32_t i = 0; i < j; i++)
        if (code->graph_nodes[i].id == code->graph_nodes[j].id) return true;
    return false;
}

watch_graph watch_last_program(ct_context *ctx)
{
    const ct_code *code = &ctx->tape->last->code;
    watch_graph found = {.nodes = code->n_nodes, .launches = code->n_launches, .numbered = code->n_graph_nodes};
    for (uint32_t i = 0; i < code->n_launches; i++) {
        if (code->launches[i].node == CT_NO_NODE)
            found.idle++;
        else if (code->launches[i].node >= code->n_nodes)
            found.foreign = true;
    }
    for (uint32_t node = 0; node < code->n_nodes; node++)
        for (uint32_t j = 0; j < code->n_graph_nodes; j++)
            if (code->graph_nodes[j].node == node) {
                found.covered++;
                break;
            }
    for (uint32_t j = 0; j < code->n_graph_nodes; j++) {
        found.repeated |= stands_before(code, j);
        found.foreign |= code->graph_nodes[j].node >= code->n_nodes;
    }
    return found;
}
