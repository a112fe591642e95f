/* A profile made by hand, with numbers that a test computes by hand too. In C, as the runtime's headers are. */
#ifndef CUTAPE_TESTS_TABLE_SUBJECT_H
#define CUTAPE_TESTS_TABLE_SUBJECT_H

#include <cutape/cutape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In place of what the context has collected: two programs, five rows, of every phase. False: no memory. */
bool profile_by_hand(ct_context *ctx);
/* The peaks of it go: they were not measured. */
void forget_peaks(ct_context *ctx);
/* A row's FLOPs and bytes are not known. */
void forget_costs(ct_context *ctx, size_t row);

#ifdef __cplusplus
}
#endif

#endif
