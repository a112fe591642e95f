/* NVTX: what tools such as Nsight Systems are told. Nothing else includes its headers.
 *
 * All of it stands in the domain "cutape". Where no tool is attached to the process, or the
 * library was built without NVTX, ct_nvtx_attached is false and the others do nothing.
 */
#ifndef CUTAPE_PROFILE_NVTX_H
#define CUTAPE_PROFILE_NVTX_H

#include "core/context.h"

/* Categories: a record's is its phase + 1. */
enum { CT_NVTX_RUNTIME = 5, CT_NVTX_CATEGORIES };

/* Found out at the first call, which makes the domain; any thread. */
bool ct_nvtx_attached(void);

/* A record, as the payload of its range. */
typedef struct ct_nvtx_record {
    uint32_t record; /* its number in the step             */
    uint32_t program;
    uint32_t launch; /* of the program                     */
    char dtype[8];   /* of what it makes, or writes: "f32" */
    char shape[96];  /* "[64,10]"                          */
} ct_nvtx_record;

/* Ranges of the calling thread. `text` is copied; NULL: the name of the op, which is registered once. */
void ct_nvtx_push_record(uint8_t phase, uint16_t op, const char *op_name, const char *text, const ct_nvtx_record *);
void ct_nvtx_push(const char *text, int64_t number);
void ct_nvtx_pop(void);
/* A range that overlaps others, by what start returned. */
uint64_t ct_nvtx_start(const char *text, uint64_t number);
void ct_nvtx_end(uint64_t range);

/* The calling thread. */
void ct_nvtx_name_thread(const char *name);

#endif
