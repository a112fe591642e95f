/* Matrix products with transposed operands: what gradient rules record. */
#ifndef CUTAPE_OPS_MATRIX_H
#define CUTAPE_OPS_MATRIX_H

#include "ops/op.h"

/* Attributes of matmul, toggled by the planner when it takes in a transpose. */
enum { CT_MATMUL_TA = 0, CT_MATMUL_TB = 1 };

/* op(a) op(b), where op transposes the last two dims if asked. */
ct_tensor ct_matmul_transposed(ct_context *, ct_tensor a, ct_tensor b, bool ta, bool tb);

#endif
