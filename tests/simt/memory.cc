/* Memory of the devices: one reserved stretch of addresses, of which none is used twice. An
 * allocation ends just before a page that cannot be touched, as close as an alignment of 256
 * bytes lets it; what is left on its pages is watched, and poisoned under AddressSanitizer.
 * New memory is full of 0xFF, which is NaN in every float: its pages are private copies of a
 * file full of that, so that only those that are used cost anything.
 *
 * That kernels touch pageable host memory is not noticed: that takes the race build.
 */
#include "memory.h"

#include "device.h"
#include "error.h"
#include "fiber.h"
#include "simt.h"
#include "stream.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

namespace simt
{

enum : size_t { PAGE = 4096, ALIGNMENT = 256, RESERVED = size_t(1) << 40, FILE_LIMIT = 8 << 20 };

struct Allocation {
    char *pages;
    size_t page_bytes;
    char *memory;
    size_t bytes;
    int device;
    bool live;
};

static size_t limit_from_environment()
{
    const char *text = getenv("CT_SIMT_MEMORY_MB");
    return (text ? strtoull(text, nullptr, 10) : 1024) << 20;
}

static size_t limit = limit_from_environment(), used[DEVICES];
static char *reserved, *reserved_end, *next_free;
static std::map<const char *, Allocation> allocations; /* by first page, the freed ones too */
static std::set<const Allocation *> live;
static std::map<const char *, Allocation> pinned; /* by what the user holds */
static int opened;

size_t memory_limit() { return limit; }

/* ---- finding ------------------------------------------------------------------------------------ */

static Allocation *find(const void *address)
{
    auto found = allocations.upper_bound(static_cast<const char *>(address));
    if (found == allocations.begin()) return nullptr;
    Allocation &allocation = (--found)->second;
    const auto *p = static_cast<const char *>(address);
    return p >= allocation.memory && p < allocation.memory + allocation.bytes ? &allocation : nullptr;
}

bool is_device_address(const void *address) { return address >= reserved && address < next_free; }

bool is_device_memory(const void *p, size_t bytes, int device)
{
    const Allocation *a = find(p);
    return a && a->live && (device < 0 || a->device == device) &&
           bytes <= size_t(a->memory + a->bytes - static_cast<const char *>(p));
}

bool is_pinned_memory(const void *p, size_t bytes)
{
    auto found = pinned.upper_bound(static_cast<const char *>(p));
    if (found == pinned.begin()) return false;
    --found;
    const size_t offset = size_t(static_cast<const char *>(p) - found->first), length = found->second.bytes;
    return offset <= length && bytes <= length - offset;
}

bool is_freed(const void *address)
{
    const Allocation *a = find(address);
    return a && !a->live;
}

bool is_foreign(const void *address, int device)
{
    const Allocation *a = find(address);
    return a && a->device != device;
}

std::string describe(const void *address)
{
    if (!is_device_address(address)) return "";
    const auto *p = static_cast<const char *>(address);
    if (const Allocation *a = find(address)) {
        const std::string kind = a->live ? " (in an allocation of " : " (in a freed allocation of ";
        return kind + std::to_string(a->bytes) + " bytes)";
    }
    const auto next = allocations.upper_bound(p);
    if (next == allocations.begin()) return "";
    const Allocation &a = std::prev(next)->second;
    return " (" + std::to_string(p - a.memory) + " bytes from the beginning of an allocation of " +
           std::to_string(a.bytes) + " bytes)";
}

/* ---- pages -------------------------------------------------------------------------------------- */

static void die(const char *what)
{
    perror(what);
    abort();
}

static void reserve()
{
    if (reserved) return;
    for (size_t bytes = RESERVED; bytes > limit; bytes /= 2) {
        void *p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;
        reserved = next_free = static_cast<char *>(p);
        reserved_end = reserved + bytes;
        return;
    }
    die("simt: no addresses for device memory");
}

/* A file of 0xFF, at least as long as asked up to a limit; returns its length. */
static int fill_file;
static size_t fill_length(size_t wanted)
{
    static size_t length;
    if (!fill_file) fill_file = memfd_create("simt-fill", MFD_CLOEXEC);
    if (fill_file < 0) die("simt: memfd_create");
    static char page[PAGE];
    memset(page, 0xFF, sizeof page);
    for (; length < std::min<size_t>(wanted, FILE_LIMIT); length += PAGE)
        if (write(fill_file, page, PAGE) != PAGE) die("simt: write to the fill file");
    return length;
}

static void map_filled(const Allocation &a, int access)
{
    const size_t step = fill_length(a.page_bytes);
    for (size_t at = 0; at < a.page_bytes; at += step)
        if (mmap(a.pages + at, std::min(step, a.page_bytes - at), access, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                 fill_file, 0) == MAP_FAILED)
            die("simt: mmap of memory");
}

static void protect(int access)
{
    for (const Allocation *a : live)
        if (mprotect(a->pages, a->page_bytes, access) != 0) die("simt: mprotect");
}

void open_memory()
{
    if (opened++ == 0) protect(PROT_READ | PROT_WRITE);
}

void close_memory()
{
    if (--opened == 0) protect(PROT_NONE);
}

/* ---- allocation ---------------------------------------------------------------------------------- */

/* Where an allocation lies on its pages: a page behind them stays closed. */
static Allocation lay_out(size_t bytes, int device)
{
    Allocation a = {};
    a.bytes = bytes;
    a.device = device;
    a.page_bytes = (bytes + PAGE - 1) / PAGE * PAGE;
    return a;
}

static void place(Allocation &a, char *pages, int access)
{
    a.pages = pages;
    a.memory = a.pages + a.page_bytes - (a.bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    a.live = true;
    map_filled(a, access);
    ASAN_POISON_MEMORY_REGION(a.pages, size_t(a.memory - a.pages));
    ASAN_POISON_MEMORY_REGION(a.memory + a.bytes, size_t(a.pages + a.page_bytes - a.memory) - a.bytes);
}

static Allocation make(size_t bytes, int device)
{
    reserve();
    Allocation a = lay_out(bytes, device);
    if (a.page_bytes + PAGE > size_t(reserved_end - next_free)) return a;
    place(a, next_free, opened ? PROT_READ | PROT_WRITE : PROT_NONE);
    next_free += a.page_bytes + PAGE;
    return a;
}

static Allocation make_pinned(size_t bytes)
{
    Allocation a = lay_out(bytes, current_device());
    void *pages = mmap(nullptr, a.page_bytes + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages != MAP_FAILED) place(a, static_cast<char *>(pages), PROT_READ | PROT_WRITE);
    return a;
}

/* Still full of 0xFF. */
static bool untouched(const char *from, size_t bytes)
{
    static const std::string full(ALIGNMENT, char(0xFF));
    return memcmp(from, full.data(), bytes) == 0;
}

/* Watched on both sides; behind the end its pages end too. */
static bool check_bounds_of(const Allocation &a)
{
    if (SIMT_ASAN) return true;
    const char *end = a.memory + a.bytes;
    const size_t before = std::min<size_t>(ALIGNMENT, size_t(a.memory - a.pages));
    if (untouched(a.memory - before, before) && untouched(end, size_t(a.pages + a.page_bytes - end))) return true;
    report("write outside of an allocation of %zu bytes at %p", a.bytes, static_cast<void *>(a.memory));
    fault(a.device, cudaErrorIllegalAddress);
    return false;
}

bool check_bounds()
{
    for (const Allocation *a : live)
        if (!check_bounds_of(*a)) return false;
    return true;
}

} // namespace simt

using namespace simt;

cudaError_t cudaMalloc(void **devPtr, size_t size)
{
    return call(UNSAFE, [&] {
        const int device = current_device();
        if (!devPtr || size == 0) return cudaErrorInvalidValue;
        if (size > limit - std::min(limit, used[device])) return cudaErrorMemoryAllocation;
        const Allocation a = make(size, device);
        if (!a.live) return cudaErrorMemoryAllocation;
        live.insert(&(allocations[a.pages] = a));
        used[device] += size;
        objects++;
        *devPtr = a.memory;
        return cudaSuccess;
    });
}

cudaError_t cudaFree(void *devPtr)
{
    return call(UNSAFE | RELEASES, [&] {
        if (!devPtr) return cudaSuccess;
        Allocation *a = find(devPtr);
        if (!a || !a->live || a->memory != devPtr) return cudaErrorInvalidValue;
        if (is_used_by_waiting_work(a->memory, a->bytes)) {
            report("cudaFree of memory that queued work still uses");
            return cudaErrorInvalidValue;
        }
        if (mmap(a->pages, a->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
            MAP_FAILED)
            die("simt: mmap of freed memory");
        a->live = false;
        live.erase(a);
        used[a->device] -= a->bytes;
        objects--;
        return cudaSuccess;
    });
}

cudaError_t cudaHostAlloc(void **pHost, size_t size, unsigned int flags)
{
    return call(UNSAFE, [&] {
        if (!pHost || size == 0 || flags != cudaHostAllocDefault) return cudaErrorInvalidValue;
        const Allocation a = make_pinned(size);
        if (!a.live) return cudaErrorMemoryAllocation;
        pinned[a.memory] = a;
        objects++;
        *pHost = a.memory;
        return cudaSuccess;
    });
}

cudaError_t cudaFreeHost(void *ptr)
{
    return call(UNSAFE | RELEASES, [&] {
        if (!ptr) return cudaSuccess;
        const auto found = pinned.find(static_cast<char *>(ptr));
        if (found == pinned.end()) return cudaErrorInvalidValue;
        const Allocation a = found->second;
        if (is_used_by_waiting_work(ptr, a.bytes)) {
            report("cudaFreeHost of memory that queued work still uses");
            return cudaErrorInvalidValue;
        }
        pinned.erase(found);
        ASAN_UNPOISON_MEMORY_REGION(a.pages, a.page_bytes);
        munmap(a.pages, a.page_bytes + PAGE);
        objects--;
        return cudaSuccess;
    });
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    return call(PLAIN, [&] {
        *free = limit - std::min(limit, used[current_device()]);
        *total = limit;
        return cudaSuccess;
    });
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *ptr)
{
    return call(PLAIN, [&] {
        memset(attributes, 0, sizeof *attributes);
        attributes->type = cudaMemoryTypeUnregistered;
        attributes->device = -2; /* as CUDA says it */
        const Allocation *a = find(ptr);
        if (a && a->live) {
            attributes->type = cudaMemoryTypeDevice;
            attributes->device = a->device;
            attributes->devicePointer = const_cast<void *>(ptr);
        } else if (is_pinned_memory(ptr, 1)) {
            attributes->type = cudaMemoryTypeHost;
            attributes->device = std::prev(pinned.upper_bound(static_cast<const char *>(ptr)))->second.device;
            attributes->devicePointer = attributes->hostPointer = const_cast<void *>(ptr);
        }
        return cudaSuccess;
    });
}

void simt_set_memory(size_t bytes)
{
    const std::lock_guard<std::recursive_mutex> guard(simt::mutex);
    limit = bytes;
}
