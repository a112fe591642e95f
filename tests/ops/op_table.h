/* What the tests of all ops want to know of ops.def and kernels.def, whose headers are C only. */
#ifndef CUTAPE_TESTS_OP_TABLE_H
#define CUTAPE_TESTS_OP_TABLE_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct op_row {
    const char *name;
    bool elementwise, has_rule;
    bool names_attributes; /* in drawings and listings */
} op_row;

int op_count(void);
op_row op_at(int opcode);
/* The opcode of record i of the current step; -1 behind the last. */
int op_recorded(ct_context *ctx, size_t i);
/* How many inputs record i of the current step has. */
int inputs_recorded(ct_context *ctx, size_t i);
/* The name of input i of an op; empty: it has none. */
const char *input_name(int opcode, int i);
/* Has record i attributes or scalars? */
bool has_attributes(ct_context *ctx, size_t i);

int kernel_count(void);
const char *kernel_name(int kernel);
bool kernel_supported(ct_context *ctx, int kernel, ct_dtype dtype);

/* Records of the last segment that was compiled, and those of them that were left to run. */
typedef struct record_counts {
    int recorded, live, launches;
} record_counts;
record_counts count_records(ct_context *ctx);

#ifdef __cplusplus
}
#endif

#endif
