/* Parameter sets as optimizers and clipping see them. */
#ifndef CUTAPE_TRAIN_PARAMS_H
#define CUTAPE_TRAIN_PARAMS_H

#include "core/context.h"

typedef struct ct_named_leaf {
    char *name;
    ct_tensor leaf;
} ct_named_leaf;

struct ct_params {
    ct_context *ctx;
    int refs;
    ct_named_leaf *leaves;
    size_t n, capacity;
};

/* Release a leaf that an object holds; nothing if the user released it, or the context is gone. */
void ct_release_held(ct_context *, ct_tensor);
/* CT_OK if the object's context can record; names the call if it was destroyed. */
ct_status ct_object_ready(ct_context *, const char *call);

#endif
