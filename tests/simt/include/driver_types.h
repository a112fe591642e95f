/* What NVTX's header wants of CUDA's types: streams and events. */
#include "cuda_runtime_api.h"
