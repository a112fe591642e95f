/* ct_profile_trace: the last profile as a timeline, in Chrome's trace events, an event a line.
 *
 * What Perfetto makes of them: slices of a track have to nest; an arrow (a flow) begins and ends in the slice that is
 * open on its track at that time, so its ends stand in the file behind their slices; a counter holds until its next
 * event. Times are microseconds with three decimals, which are exact nanoseconds again when they are read.
 */
#define _XOPEN_SOURCE 700 /* unlink */

#include "profile/profile.h"

#include "files/path.h"
#include "tape/tape.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

typedef struct trace {
    const ct_profile *profile;
    ct_lines lines;
    uint32_t *last_span; /* of a row: the last that was written; CT_NO_SPAN: none yet */
    size_t in_use;       /* as the counter shows                                      */
    bool begun;          /* an event was written                                      */
} trace;

#define CT_NO_SPAN UINT32_MAX

/* In the order in which they are shown; the first is the main thread, as its number is the process's. */
static const struct {
    const char *name, *colour; /* one of Chrome's own */
    int tid;
} tracks[CT_TRACKS] = {
    [CT_TRACK_HOST] = {"host", "generic_work", 1},
    [CT_PHASE_FORWARD] = {"forward", "rail_load", 2},
    [CT_PHASE_BACKWARD] = {"backward", "rail_response", 3},
    [CT_PHASE_UPDATE] = {"update", "rail_idle", 4},
    [CT_PHASE_DATA] = {"data", "grey", 5},
    [CT_TRACK_COPIES] = {"copies", "olive", 6},
};
#define PID 1

/* ---- events -------------------------------------------------------------------------------------- */

/* With three decimals, whatever the locale. */
static void put_thousandths(ct_text *line, int64_t n)
{
    const uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;
    ct_text_add(line, "%s%" PRIu64 ".%03" PRIu64, n < 0 ? "-" : "", size / 1000, size % 1000);
}

static ct_text *begin_event(trace *t, const char *phase, const char *name)
{
    ct_text *line = &t->lines.line;
    ct_text_add(line, "%s{\"ph\":\"%s\",\"pid\":%d,\"name\":", t->begun ? "," : "", phase, PID);
    ct_text_json(line, name);
    t->begun = true;
    return line;
}

static void end_event(trace *t)
{
    ct_text_put(&t->lines.line, "}", 1);
    ct_lines_end(&t->lines);
}

static void put_name(trace *t, const char *what, int tid, const char *name)
{
    ct_text *line = begin_event(t, "M", what);
    ct_text_add(line, ",\"tid\":%d,\"args\":{\"name\":", tid);
    ct_text_json(line, name);
    ct_text_put(line, "}", 1);
    end_event(t);
}

static void name_tracks(trace *t)
{
    put_name(t, "process_name", tracks[CT_TRACK_HOST].tid, "cutape");
    for (int i = 0; i < CT_TRACKS; i++) {
        put_name(t, "thread_name", tracks[i].tid, tracks[i].name);
        ct_text *line = begin_event(t, "M", "thread_sort_index");
        ct_text_add(line, ",\"tid\":%d,\"args\":{\"sort_index\":%d}", tracks[i].tid, tracks[i].tid);
        end_event(t);
    }
}

/* ---- slices ---------------------------------------------------------------------------------------- */

static void put_text(ct_text *line, const char *name, const char *text)
{
    ct_text_add(line, ",\"%s\":", name);
    ct_text_json(line, text);
}

static void put_row(const trace *t, ct_text *line, const ct_profile_row *row)
{
    ct_text_add(line, ",\"record\":%" PRIu32 ",\"program\":%" PRIu32, row->record,
                t->profile->programs[row->program].number);
    put_text(line, "op", row->op);
    put_text(line, "tensor", row->tensor);
    put_text(line, "shape", row->shape);
    ct_text_add(line, ",\"FLOPs\":%.0f,\"bytes\":%.0f", row->flops, row->bytes);
    const double roofline = ct_profile_roofline(t->profile, row);
    if (!(roofline > 0)) return; /* not measured */
    ct_text_add(line, ",\"roofline %%\":");
    put_thousandths(line, llround(roofline * 100 * 1000));
}

static void put_slice(trace *t, const ct_profile_span *span)
{
    const ct_profile_row *row = span->row == CT_NO_ROW ? NULL : &t->profile->rows[span->row];
    ct_text *line = begin_event(t, "X", row ? row->label : span->what);
    ct_text_add(line, ",\"cat\":\"%s\",\"cname\":\"%s\",\"tid\":%d,\"ts\":", tracks[span->track].name,
                tracks[span->track].colour, tracks[span->track].tid);
    put_thousandths(line, span->begin);
    ct_text_add(line, ",\"dur\":");
    put_thousandths(line, span->end - span->begin);
    ct_text_add(line, ",\"args\":{\"step\":%" PRIu32, span->step);
    if (row) put_row(t, line, row);
    if (span->bytes) ct_text_add(line, ",\"bytes\":%" PRId64, span->bytes);
    ct_text_put(line, "}", 1);
    end_event(t);
}

/* ---- arrows ---------------------------------------------------------------------------------------- */

static void put_end_of_arrow(trace *t, bool arrives, uint32_t id, uint8_t track, int64_t ns)
{
    ct_text *line = begin_event(t, arrives ? "f" : "s", "gradient");
    ct_text_add(line, ",\"cat\":\"gradient\",\"id\":%" PRIu32 ",\"tid\":%d,\"ts\":", id, tracks[track].tid);
    put_thousandths(line, ns);
    if (arrives) ct_text_add(line, ",\"bp\":\"e\"");
    end_event(t);
}

/* From the record by whose rule it is, of the same step. That slice ends where the next one may begin: a nanosecond
 * before, the arrow is in it for sure. */
static void put_arrow(trace *t, uint32_t number)
{
    const ct_profile *p = t->profile;
    const ct_profile_span *to = &p->spans[number];
    const uint32_t row = p->rows[to->row].forward;
    if (row == CT_NO_ROW || t->last_span[row] == CT_NO_SPAN) return;
    const ct_profile_span *from = &p->spans[t->last_span[row]];
    if (from->step != to->step) return;
    put_end_of_arrow(t, false, number, from->track, from->end > from->begin ? from->end - 1 : from->begin);
    put_end_of_arrow(t, true, number, to->track, to->begin);
}

/* ---- memory ------------------------------------------------------------------------------------------ */

/* The most that is alive from a row's record on, until the next row's: what a launch stores may be the value of a
 * record that is folded into it. */
static size_t alive_at(const ct_profile *p, uint32_t row)
{
    const ct_profile_program *program = &p->programs[p->rows[row].program];
    const uint32_t first = p->rows[row].record - program->first_record, next = row + 1;
    const bool is_last = next == program->first_row + program->n_rows;
    const uint32_t end = is_last ? program->n_records : p->rows[next].record - program->first_record;
    size_t most = program->alive[first];
    for (uint32_t k = first + 1; k < end; k++)
        if (program->alive[k] > most) most = program->alive[k];
    return most;
}

static void put_memory(trace *t, int64_t ns, size_t bytes)
{
    if (bytes == t->in_use) return;
    t->in_use = bytes;
    ct_text *line = begin_event(t, "C", "memory in use");
    ct_text_add(line, ",\"tid\":%d,\"ts\":", tracks[CT_TRACK_HOST].tid);
    put_thousandths(line, ns);
    ct_text_add(line, ",\"args\":{\"bytes\":%zu}", bytes);
    end_event(t);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static void put_spans(trace *t)
{
    const ct_profile *p = t->profile;
    const ct_profile_span *launch = NULL; /* the last */
    for (uint32_t i = 0; i < p->n_spans; i++) {
        const ct_profile_span *span = &p->spans[i];
        const bool launches = span->row != CT_NO_ROW;
        if (launches && launch && launch->step != span->step) put_memory(t, launch->end, 0);
        put_slice(t, span);
        if (!launches) continue;
        put_arrow(t, i);
        put_memory(t, span->begin, alive_at(p, span->row));
        t->last_span[span->row] = i;
        launch = span;
    }
    if (launch) put_memory(t, launch->end, 0);
}

static ct_status write_trace(ct_context *ctx, trace *t, const char *path)
{
    const ct_status status = ct_lines_open(&t->lines, ctx, path);
    if (status) return status;
    ct_text *line = &t->lines.line;
    ct_text_add(line, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"device\":");
    ct_text_json(line, ct_device_name(ctx));
    ct_text_add(line, ",\"steps\":%" PRIu32 ",\"spans left out\":%" PRId64 "},\"traceEvents\":[", t->profile->steps,
                t->profile->spans_left_out);
    ct_lines_end(&t->lines);
    name_tracks(t);
    put_spans(t);
    ct_text_add(line, "]}");
    ct_lines_end(&t->lines);
    return ct_lines_close(&t->lines, "ct_profile_trace");
}

/* A line for each node of a graph and record whose work it does. */
static void put_nodes(const ct_profile *p, ct_lines *lines)
{
    ct_text_add(&lines->line, "graph_node_id,program,record,phase,op,tensor,shape,label");
    ct_lines_end(lines);
    for (size_t i = 0; i < p->n_nodes; i++) {
        const ct_profile_row *row = &p->rows[p->nodes[i].row];
        const char *const texts[] = {ct_phase_name(row->phase), row->op, row->tensor, row->shape, row->label};
        ct_text_add(&lines->line, "%" PRIu64 ",%" PRIu32 ",%" PRIu32, p->nodes[i].id, p->programs[row->program].number,
                    row->record);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            ct_text_put(&lines->line, ",", 1);
            ct_text_csv(&lines->line, texts[k]);
        }
        ct_lines_end(lines);
    }
}

static ct_status write_nodes(ct_context *ctx, const ct_profile *p, const char *path)
{
    ct_lines lines;
    const ct_status status = ct_lines_open(&lines, ctx, path);
    if (status) return status;
    put_nodes(p, &lines);
    return ct_lines_close(&lines, "ct_profile_trace");
}

/* One that an earlier trace left would tell of other records. */
static ct_status remove_nodes(ct_context *ctx, const char *path)
{
    if (access(path, F_OK) != 0 || unlink(path) == 0) return CT_OK;
    return ct_report(ctx, CT_ERR_IO, "%s: cannot remove: %s", ct_path_text(path), strerror(errno));
}

static ct_status renew_nodes(ct_context *ctx, const ct_profile *p, const char *path)
{
    ct_text name = {.ctx = ctx};
    ct_text_add(&name, "%s.nodes.csv", path);
    const ct_status status = name.failed  ? ct_report(ctx, CT_ERR_MEMORY, "ct_profile_trace: out of host memory")
                             : p->n_nodes ? write_nodes(ctx, p, name.bytes)
                                          : remove_nodes(ctx, name.bytes);
    ct_text_free(&name);
    return status;
}

ct_status ct_profile_trace(ct_context *ctx, const char *path)
{
    ct_status status;
    trace t = {.profile = ct_profile_ready(ctx, "ct_profile_trace", &status)};
    if (!t.profile) return status;
    if (!path) return ct_report(ctx, CT_ERR_ARGUMENT, "ct_profile_trace: the path is NULL");
    const size_t bytes = t.profile->n_rows * sizeof *t.last_span;
    t.last_span = ct_alloc(ctx, bytes);
    if (!t.last_span) return ct_report(ctx, CT_ERR_MEMORY, "ct_profile_trace: out of host memory");
    memset(t.last_span, 0xff, bytes); /* CT_NO_SPAN */
    status = write_trace(ctx, &t, path);
    ct_free(ctx, t.last_span);
    return status ? status : renew_nodes(ctx, t.profile, path);
}
