/* The tables of ops and kernels, for op_table.h. */
#include "op_table.h"

#include "device/device.h"
#include "ops/op.h"
#include "program/program.h"

#include <stdio.h>

int op_count(void) { return CT_OP_COUNT; }

op_row op_at(int opcode)
{
    const ct_op *op = ct_ops[opcode];
    return (op_row){.name = op->name,
                    .elementwise = op->flags & CT_OP_ELEMENTWISE,
                    .has_rule = op->vjp != NULL,
                    .names_attributes = op->shown != NULL};
}

int op_recorded(ct_context *ctx, size_t i) { return i < ctx->tape->n_records ? ctx->tape->records[i].op : -1; }

int inputs_recorded(ct_context *ctx, size_t i) { return (int)ctx->tape->records[i].n_in; }

const char *input_name(int opcode, int i)
{
    static char text[32];
    int length = 0;
    const char *name = ct_operand_name(ct_ops[opcode], (uint32_t)i, &length);
    snprintf(text, sizeof text, "%.*s", length, name ? name : "");
    return text;
}

bool has_attributes(ct_context *ctx, size_t i)
{
    return ctx->tape->records[i].n_attr + ctx->tape->records[i].n_scalar > 0;
}

int kernel_count(void) { return CT_KERNEL_COUNT; }

const char *kernel_name(int kernel)
{
    static const char *const names[] = {
#define CT_KERNEL(name) #name,
#include "kernels.def"
#undef CT_KERNEL
    };
    return names[kernel];
}

bool kernel_supported(ct_context *ctx, int kernel, ct_dtype dtype)
{
    return ctx->device->supports(ctx->device, (uint16_t)kernel, (int32_t)dtype);
}

/* The one played last. */
static const ct_program *newest_program(ct_context *ctx)
{
    const ct_program *newest = NULL;
    for (int i = 0; i < CT_PROGRAM_BUCKETS; i++)
        for (const ct_program *p = ctx->programs->buckets[i]; p; p = p->chain)
            if (!newest || p->used > newest->used) newest = p;
    return newest;
}

record_counts count_records(ct_context *ctx)
{
    const ct_program *p = newest_program(ctx);
    record_counts counts = {.recorded = (int)p->plan.n_records, .launches = (int)p->code.n_launches};
    for (uint32_t k = 0; k < p->plan.n_records; k++) counts.live += p->plan.records[k].live;
    return counts;
}
