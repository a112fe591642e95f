/* NVTX, whose headers are all there is of it: see nvtx.h. A tool is found by the headers, through the
 * environment variable that it sets; one that is there gives the domain a handle.
 */
#define _GNU_SOURCE
#include "profile/nvtx.h"

#ifdef CT_HAVE_NVTX

#include "ops/op.h"

#include <nvtx3/nvToolsExt.h>
#if __has_include(<nvtx3/nvToolsExtPayload.h>)
#include <nvtx3/nvToolsExtPayload.h>
#endif
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static nvtxDomainHandle_t domain;

static const struct {
    const char *name;
    uint32_t argb;
} categories[CT_NVTX_CATEGORIES] = {
    [CT_PHASE_FORWARD + 1] = {"forward", 0xff3b7dd8},   /* blue   */
    [CT_PHASE_BACKWARD + 1] = {"backward", 0xffe07b39}, /* orange */
    [CT_PHASE_UPDATE + 1] = {"update", 0xff4c9f50},     /* green  */
    [CT_PHASE_DATA + 1] = {"data", 0xff8e5bb5},         /* purple */
    [CT_NVTX_RUNTIME] = {"runtime", 0xff8a8f98},        /* grey   */
};

/* ---- the payload of a record --------------------------------------------------------------------- */

#ifdef NVTX_PAYLOAD_TYPE_EXT

static uint64_t record_schema; /* 0: the tool does not know of schemas */

static void register_schema(void)
{
    const nvtxPayloadSchemaEntry_t entries[] = {
        {.type = NVTX_PAYLOAD_ENTRY_TYPE_UINT32, .name = "record", .offset = offsetof(ct_nvtx_record, record)},
        {.type = NVTX_PAYLOAD_ENTRY_TYPE_UINT32, .name = "program", .offset = offsetof(ct_nvtx_record, program)},
        {.type = NVTX_PAYLOAD_ENTRY_TYPE_UINT32, .name = "launch", .offset = offsetof(ct_nvtx_record, launch)},
        {.type = NVTX_PAYLOAD_ENTRY_TYPE_CSTRING,
         .name = "dtype",
         .arrayOrUnionDetail = sizeof((ct_nvtx_record *)0)->dtype,
         .offset = offsetof(ct_nvtx_record, dtype)},
        {.type = NVTX_PAYLOAD_ENTRY_TYPE_CSTRING,
         .name = "shape",
         .arrayOrUnionDetail = sizeof((ct_nvtx_record *)0)->shape,
         .offset = offsetof(ct_nvtx_record, shape)},
    };
    record_schema = nvtxPayloadSchemaRegister(
        domain, &(nvtxPayloadSchemaAttr_t){
                    .fieldMask = NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NAME | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_TYPE |
                                 NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_ENTRIES | NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_NUM_ENTRIES |
                                 NVTX_PAYLOAD_SCHEMA_ATTR_FIELD_STATIC_SIZE,
                    .name = "cutape record",
                    .type = NVTX_PAYLOAD_SCHEMA_TYPE_STATIC,
                    .entries = entries,
                    .numEntries = sizeof entries / sizeof *entries,
                    .payloadStaticSize = sizeof(ct_nvtx_record)});
}

static bool describe(nvtxEventAttributes_t *event, nvtxPayloadData_t *data, const ct_nvtx_record *record)
{
    if (!record_schema) return false;
    *data = (nvtxPayloadData_t){.schemaId = record_schema, .size = sizeof *record, .payload = record};
    event->payloadType = NVTX_PAYLOAD_TYPE_EXT;
    event->reserved0 = 1; /* how many */
    event->payload.ullValue = (uintptr_t)data;
    return true;
}

#else

typedef struct nvtxPayloadData_t {
    char none;
} nvtxPayloadData_t;
static void register_schema(void) {}
static bool describe(nvtxEventAttributes_t *event, nvtxPayloadData_t *data, const ct_nvtx_record *record)
{
    (void)event, (void)data, (void)record;
    return false;
}

#endif

/* ---- the domain ------------------------------------------------------------------------------------ */

static void open_domain(void)
{
    domain = nvtxDomainCreateA("cutape");
    if (!domain) return;
    for (uint32_t i = 1; i < CT_NVTX_CATEGORIES; i++) nvtxDomainNameCategoryA(domain, i, categories[i].name);
    register_schema();
}

bool ct_nvtx_attached(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, open_domain);
    return domain != NULL;
}

/* ---- names of ops ---------------------------------------------------------------------------------- */

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(nvtxStringHandle_t) own_names[CT_OP_COUNT];

/* Of ops of users' own, whose numbers are a context's: as long as the process. */
typedef struct custom_name {
    struct custom_name *next;
    nvtxStringHandle_t handle;
    char text[];
} custom_name;
static custom_name *custom_names;

static nvtxStringHandle_t own_name(uint16_t op, const char *name)
{
    if (!own_names[op]) own_names[op] = nvtxDomainRegisterStringA(domain, name);
    return own_names[op];
}

static nvtxStringHandle_t name_custom(const char *name)
{
    for (const custom_name *c = custom_names; c; c = c->next)
        if (strcmp(c->text, name) == 0) return c->handle;
    custom_name *c = malloc(sizeof *c + strlen(name) + 1);
    if (!c) return NULL;
    strcpy(c->text, name);
    c->handle = nvtxDomainRegisterStringA(domain, name);
    c->next = custom_names;
    return (custom_names = c)->handle;
}

static nvtxStringHandle_t registered(uint16_t op, const char *name)
{
    const nvtxStringHandle_t known = op < CT_OP_COUNT ? atomic_load(&own_names[op]) : NULL;
    if (known) return known;
    (void)pthread_mutex_lock(&names_lock);
    const nvtxStringHandle_t handle = op < CT_OP_COUNT ? own_name(op, name) : name_custom(name);
    (void)pthread_mutex_unlock(&names_lock);
    return handle;
}

/* ---- ranges ---------------------------------------------------------------------------------------- */

static nvtxEventAttributes_t event_of(uint32_t category, const char *text, uint64_t number)
{
    return (nvtxEventAttributes_t){.version = NVTX_VERSION,
                                   .size = NVTX_EVENT_ATTRIB_STRUCT_SIZE,
                                   .category = category,
                                   .colorType = NVTX_COLOR_ARGB,
                                   .color = categories[category].argb,
                                   .payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64,
                                   .payload.ullValue = number,
                                   .messageType = NVTX_MESSAGE_TYPE_ASCII,
                                   .message.ascii = text};
}

void ct_nvtx_push_record(uint8_t phase, uint16_t op, const char *op_name, const char *text,
                         const ct_nvtx_record *record)
{
    nvtxEventAttributes_t event = event_of((uint32_t)phase + 1, text ? text : op_name, record->record);
    nvtxPayloadData_t data;
    const nvtxStringHandle_t name = text ? NULL : registered(op, op_name);
    if (name) {
        event.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
        event.message.registered = name;
    }
    (void)describe(&event, &data, record);
    (void)nvtxDomainRangePushEx(domain, &event);
}

void ct_nvtx_push(const char *text, int64_t number)
{
    const nvtxEventAttributes_t event = event_of(CT_NVTX_RUNTIME, text, (uint64_t)number);
    (void)nvtxDomainRangePushEx(domain, &event);
}

void ct_nvtx_pop(void) { (void)nvtxDomainRangePop(domain); }

uint64_t ct_nvtx_start(const char *text, uint64_t number)
{
    const nvtxEventAttributes_t event = event_of(CT_NVTX_RUNTIME, text, number);
    return nvtxDomainRangeStartEx(domain, &event);
}

void ct_nvtx_end(uint64_t range) { nvtxDomainRangeEnd(domain, range); }

void ct_nvtx_name_thread(const char *name)
{
    if (ct_nvtx_attached()) nvtxNameOsThreadA((uint32_t)gettid(), name);
}

#else

bool ct_nvtx_attached(void) { return false; }
void ct_nvtx_push_record(uint8_t phase, uint16_t op, const char *op_name, const char *text,
                         const ct_nvtx_record *record)
{
    (void)phase, (void)op, (void)op_name, (void)text, (void)record;
}
void ct_nvtx_push(const char *text, int64_t number) { (void)text, (void)number; }
void ct_nvtx_pop(void) {}
uint64_t ct_nvtx_start(const char *text, uint64_t number) { return (void)text, number; }
void ct_nvtx_end(uint64_t range) { (void)range; }
void ct_nvtx_name_thread(const char *name) { (void)name; }

#endif
