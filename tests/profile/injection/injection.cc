// See injection.h.
#include "injection.h"

#include <nvtx3/nvToolsExtPayload.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{

struct Entry {
    std::string name;
    uint64_t type, offset, length;
};

// What tests read may be written on: texts and events never move.
struct Log {
    std::mutex mutex;
    std::deque<std::string> texts;
    std::deque<injection_event> events;
    std::map<uint64_t, std::vector<Entry>> schemas;
    uint64_t ranges = 0;

    const char *keep(const std::string &text)
    {
        texts.push_back(text);
        return texts.back().c_str();
    }
};

// NVTX may call until the process has ended.
Log &the_log()
{
    static Log *log = new Log;
    return *log;
}

injection_event event_of(const char *what, const char *domain, const char *text)
{
    injection_event e = {};
    e.what = what;
    e.domain = domain;
    e.text = text;
    e.payload = "";
    e.thread = static_cast<uint64_t>(gettid());
    return e;
}

// A domain is its name, a registered string its text.
const char *name_of(nvtxDomainHandle_t domain) { return domain ? reinterpret_cast<const char *>(domain) : ""; }

void note(const char *what, const char *domain, const char *text, uint32_t category = 0)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    injection_event e = event_of(what, domain, log.keep(text));
    e.category = category;
    log.events.push_back(e);
}

// ---- payloads ---------------------------------------------------------------------------------------

std::string value_of(const Entry &entry, const char *at)
{
    if (entry.type == NVTX_PAYLOAD_ENTRY_TYPE_UINT32) {
        uint32_t number;
        std::memcpy(&number, at, sizeof number);
        return std::to_string(number);
    }
    if (entry.type == NVTX_PAYLOAD_ENTRY_TYPE_CSTRING) return std::string(at, strnlen(at, entry.length));
    return "of type " + std::to_string(entry.type);
}

std::string decode(const Log &log, const nvtxPayloadData_t &data)
{
    const auto schema = log.schemas.find(data.schemaId);
    if (schema == log.schemas.end()) return " of no schema";
    std::string text;
    for (const Entry &entry : schema->second) {
        const bool inside = entry.offset < data.size;
        text += " " + entry.name + "=";
        text += inside ? value_of(entry, static_cast<const char *>(data.payload) + entry.offset) : "outside";
    }
    return text;
}

injection_event range_of(Log &log, const char *what, nvtxDomainHandle_t domain, const nvtxEventAttributes_t *a)
{
    injection_event e = event_of(what, name_of(domain), "");
    e.registered = a->messageType == NVTX_MESSAGE_TYPE_REGISTERED;
    if (e.registered)
        e.text = reinterpret_cast<const char *>(a->message.registered);
    else if (a->messageType == NVTX_MESSAGE_TYPE_ASCII)
        e.text = log.keep(a->message.ascii);
    e.category = a->category;
    if (a->colorType == NVTX_COLOR_ARGB) e.color = a->color;
    if (a->payloadType == NVTX_PAYLOAD_TYPE_UNSIGNED_INT64) e.number = a->payload.ullValue;
    if (a->payloadType == static_cast<int32_t>(NVTX_PAYLOAD_TYPE_EXT)) {
        const auto *data = reinterpret_cast<const nvtxPayloadData_t *>(a->payload.ullValue);
        std::string text;
        for (int32_t i = 0; i < a->reserved0; ++i) text += decode(log, data[i]);
        e.payload = log.keep(text);
    }
    return e;
}

// ---- the functions that NVTX calls --------------------------------------------------------------------

// Text that NVTX is given as a handle, and gives back.
char *keep_as_handle(const char *what, nvtxDomainHandle_t domain, const char *text)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    log.events.push_back(event_of(what, name_of(domain), log.keep(text)));
    return const_cast<char *>(log.events.back().text);
}

nvtxDomainHandle_t create_domain(const char *name)
{
    return reinterpret_cast<nvtxDomainHandle_t>(keep_as_handle("domain", nullptr, name));
}

nvtxStringHandle_t register_string(nvtxDomainHandle_t domain, const char *text)
{
    return reinterpret_cast<nvtxStringHandle_t>(keep_as_handle("register", domain, text));
}

void name_category(nvtxDomainHandle_t domain, uint32_t category, const char *name)
{
    note("category", name_of(domain), name, category);
}

int push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *attributes)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    log.events.push_back(range_of(log, "push", domain, attributes));
    return 0;
}

int pop(nvtxDomainHandle_t domain)
{
    note("pop", name_of(domain), "");
    return 0;
}

nvtxRangeId_t start(nvtxDomainHandle_t domain, const nvtxEventAttributes_t *attributes)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    injection_event e = range_of(log, "start", domain, attributes);
    e.range = ++log.ranges;
    log.events.push_back(e);
    return e.range;
}

void end(nvtxDomainHandle_t domain, nvtxRangeId_t range)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    injection_event e = event_of("end", name_of(domain), "");
    e.range = range;
    log.events.push_back(e);
}

void name_thread(uint32_t thread, const char *name)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    injection_event e = event_of("thread", "", log.keep(name));
    e.thread = thread;
    log.events.push_back(e);
}

void name_stream(void *, const char *name) { note("stream", "", name); }

uint64_t register_schema(nvtxDomainHandle_t domain, const nvtxPayloadSchemaAttr_t *schema)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    log.events.push_back(event_of("schema", name_of(domain), log.keep(schema->name)));
    const uint64_t id = NVTX_PAYLOAD_SCHEMA_ID_DYNAMIC_START + log.schemas.size();
    std::vector<Entry> &entries = log.schemas[id];
    for (size_t i = 0; i < schema->numEntries; ++i) {
        const nvtxPayloadSchemaEntry_t &e = schema->entries[i];
        entries.push_back({e.name, e.type, e.offset, e.arrayOrUnionDetail});
    }
    return id;
}

template <typename Function> void set(NvtxFunctionTable table, int id, Function *function)
{
    *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
}

NvtxFunctionTable table_of(const NvtxExportTableCallbacks *callbacks, NvtxCallbackModule module)
{
    NvtxFunctionTable table = nullptr;
    unsigned int size = 0;
    return callbacks->GetModuleFunctionTable(module, &table, &size) ? table : nullptr;
}

} // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

// Called once for the library, and once for each device module that has NVTX of its own.
EXPORTED int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_table)
{
    const auto *callbacks = static_cast<const NvtxExportTableCallbacks *>(get_table(NVTX_ETID_CALLBACKS));
    const NvtxFunctionTable core = callbacks ? table_of(callbacks, NVTX_CB_MODULE_CORE) : nullptr;
    const NvtxFunctionTable domains = callbacks ? table_of(callbacks, NVTX_CB_MODULE_CORE2) : nullptr;
    const NvtxFunctionTable cuda = callbacks ? table_of(callbacks, NVTX_CB_MODULE_CUDART) : nullptr;
    if (!core || !domains || !cuda) return 0;
    set(core, NVTX_CBID_CORE_NameOsThreadA, name_thread);
    set(domains, NVTX_CBID_CORE2_DomainCreateA, create_domain);
    set(domains, NVTX_CBID_CORE2_DomainNameCategoryA, name_category);
    set(domains, NVTX_CBID_CORE2_DomainRegisterStringA, register_string);
    set(domains, NVTX_CBID_CORE2_DomainRangePushEx, push);
    set(domains, NVTX_CBID_CORE2_DomainRangePop, pop);
    set(domains, NVTX_CBID_CORE2_DomainRangeStartEx, start);
    set(domains, NVTX_CBID_CORE2_DomainRangeEnd, end);
    set(cuda, NVTX_CBID_CUDART_NameCudaStreamA, name_stream);
    return 1;
}

EXPORTED int InitializeInjectionNvtxExtension(nvtxExtModuleInfo_t *module)
{
    if (module->moduleId != NVTX_EXT_PAYLOAD_MODULEID || getenv("CUTAPE_INJECTION_WITHOUT_SCHEMAS")) return 0;
    module->segments[0].functionSlots[NVTX3EXT_CBID_nvtxPayloadSchemaRegister] =
        reinterpret_cast<intptr_t>(register_schema);
    return 1;
}

EXPORTED size_t injection_count(void)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    return log.events.size();
}

EXPORTED injection_event injection_at(size_t i)
{
    Log &log = the_log();
    const std::lock_guard<std::mutex> lock(log.mutex);
    return log.events[i];
}
