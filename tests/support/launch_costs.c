/* Reads the launch list of a program; see launch_costs.h. */
#include "support/launch_costs.h"

#include "device/device.h"
#include "ops/op.h"
#include "program/program.h"

#include <string.h>

static const ct_program *newest_program(const ct_context *ctx)
{
    const ct_program *newest = NULL;
    for (int i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *p = ctx->programs->buckets[i]; p; p = p->chain)
            if (!newest || p->used > newest->used) newest = p;
    return newest;
}

launch_costs costs_of(ct_context *ctx, const char *op)
{
    launch_costs sum = {0};
    const ct_program *p = newest_program(ctx);
    for (uint32_t i = 0; p && i < p->code.n_launches; i++) {
        const ct_launch *l = &p->code.launches[i];
        if (op && strcmp(ct_op_of(ctx, p->plan.records[l->record].op)->name, op) != 0) continue;
        sum.flops += l->flops;
        sum.bytes += l->bytes;
        sum.launches++;
        sum.folded += l->folded != CT_NOT_FOLDED;
    }
    return sum;
}
