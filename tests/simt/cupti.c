/* A stand-in for CUPTI, of which only the numbers of graph nodes are asked. */
#include <stdint.h>

int cuptiGetGraphNodeId(const void *node, uint64_t *id)
{
    if (!node) return 1;
    *id = (uint64_t)(uintptr_t)node;
    return 0;
}
