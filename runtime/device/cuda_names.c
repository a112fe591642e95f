/* The names of the device's streams, for tools. The module finds the tool by itself: it links nothing of the core. */
#include "device/cuda.h"

#ifdef CT_HAVE_NVTX
#include <nvtx3/nvToolsExtCudaRt.h>

void ct_cuda_name_streams(const cuda_device *d)
{
    nvtxNameCudaStreamA(d->stream, "cutape");
    nvtxNameCudaStreamA(d->capture, "cutape capture");
    nvtxNameCudaStreamA(d->side, "cutape side");
}

#else

void ct_cuda_name_streams(const cuda_device *d) { (void)d; }

#endif
