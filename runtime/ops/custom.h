/* Ops that a context was given through custom.h: they stand in the same kind of table entry as
 * the library's own, numbered from CT_OP_COUNT on. op.c looks them up, context.c ends them. */
#ifndef CUTAPE_OPS_CUSTOM_H
#define CUTAPE_OPS_CUSTOM_H

#include "ops/op.h"

void ct_custom_ops_close(ct_context *);

#endif
