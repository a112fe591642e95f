/* The random counter of a context: what the tape needs to know of random ops. */
#ifndef CUTAPE_OPS_RANDOM_H
#define CUTAPE_OPS_RANDOM_H

#include "core/context.h"

/* Record that a step with random records ends: its counter, on the device, goes on by one. */
ct_status ct_random_advance(ct_context *);

#endif
