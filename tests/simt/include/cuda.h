/* What NVTX's header wants of the driver: nothing but that it is there. */
#include "cuda_runtime_api.h"
