/* Names, shapes, phases and attributes of a tape as words: see tape_words.h. */
#include "files/tape_words.h"

#include "ops/activation.h"

#include <stdlib.h>
#include <string.h>

ct_status ct_tape_words_ready(const ct_context *ctx)
{
    return !ctx ? CT_ERR_ARGUMENT : ctx->open ? CT_OK : CT_ERR_STATE;
}

/* ---- names -------------------------------------------------------------------------------- */

#define MOST_NAME_BYTES 100 /* of a name; the rest is cut, and dots say so */

static void say_given_name(ct_text *text, const char *name)
{
    const unsigned char *at = (const unsigned char *)name;
    while (*at) {
        size_t n = ct_utf8_bytes((const char *)at);
        if ((size_t)(at - (const unsigned char *)name) + (n ? n : 1) > MOST_NAME_BYTES) {
            ct_text_add(text, "...");
            return;
        }
        if (*at == '\n')
            ct_text_add(text, "\\n");
        else if (*at < 0x20 || *at == 0x7f || n == 0)
            ct_text_add(text, "\\x%02x", *at);
        else
            ct_text_put(text, (const char *)at, n);
        at += n ? n : 1;
    }
}

static const char *given_name(ct_context *ctx, ct_ref ref)
{
    const char *name = ct_ref_is_leaf(ref) ? ct_leaf_at(ctx, ref)->name : ct_tape_name_of(ctx, ref);
    return name && *name ? name : NULL;
}

static ct_ref owner_of(ct_context *ctx, ct_ref ref)
{
    return ct_ref_is_leaf(ref) ? ct_leaf_at(ctx, ref)->owner : CT_REF_NONE;
}

bool ct_is_grad(ct_context *ctx, ct_ref ref) { return owner_of(ctx, ref) != CT_REF_NONE; }

bool ct_has_name(ct_context *ctx, ct_ref ref)
{
    return given_name(ctx, ref) || (ct_is_grad(ctx, ref) && given_name(ctx, owner_of(ctx, ref)));
}

bool ct_is_state(ct_context *ctx, ct_ref ref)
{
    return ct_ref_is_leaf(ref) && ct_leaf_at(ctx, ref)->internal && !ct_is_grad(ctx, ref);
}

uint32_t ct_count_state(ct_context *ctx, const ct_record *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_in; i++) n += ct_is_state(ctx, ctx->tape->operands[r->operand + i].ref);
    return n;
}

void ct_say_name(ct_context *ctx, ct_text *text, ct_ref ref)
{
    const char *name = given_name(ctx, ref);
    if (name) {
        say_given_name(text, name);
    } else if (ct_is_grad(ctx, ref)) {
        ct_say_name(ctx, text, owner_of(ctx, ref));
        ct_text_add(text, ".grad");
    } else {
        ct_text_add(text, ct_ref_is_leaf(ref) ? "leaf %u" : "%%%u", ref & ~CT_REF_LEAF);
    }
}

void ct_say_shape(ct_context *ctx, ct_text *text, ct_ref ref)
{
    const ct_shape *s = &ct_value_at(ctx, ref)->shape;
    ct_text_add(text, "%s [", ct_dtype_name(s->dtype));
    for (int i = 0; i < s->ndim; i++) ct_text_add(text, "%s%lld", i ? "," : "", (long long)s->dim[i]);
    ct_text_add(text, "]");
}

/* An op of a user's has a user's name. */
void ct_say_op(ct_context *ctx, ct_text *text, const ct_record *r) { say_given_name(text, ct_op_of(ctx, r->op)->name); }

void ct_say_step(ct_context *ctx, ct_text *text)
{
    const ct_tape *t = ctx->tape;
    ct_text_add(text, "step %llu: ", (unsigned long long)t->step);
    if (t->n_records == 0) {
        ct_text_add(text, "nothing is recorded");
        return;
    }
    ct_text_add(text, "%zu record%s", t->n_records, t->n_records == 1 ? "" : "s");
    if (t->first_record) ct_text_add(text, ", the first %zu of them played", t->first_record);
}

/* ---- attributes --------------------------------------------------------------------------- */

/* A name of ct_op.shown, and the value at which it is left out. */
typedef struct label {
    const char *name;
    int length;
    bool has_usual;
    double usual;
} label;

static bool next_label(const char **at, label *out)
{
    *at += strspn(*at, " ");
    size_t length = strcspn(*at, " ;"), name = strcspn(*at, " ;=");
    if (length == 0) return false;
    *out = (label){.name = *at, .length = (int)name, .has_usual = name < length};
    if (out->has_usual) out->usual = strtod(*at + name + 1, NULL);
    *at += length;
    return *out->name != '-';
}

static bool is(const label *l, const char *name)
{
    return (size_t)l->length == strlen(name) && memcmp(l->name, name, strlen(name)) == 0;
}

static const char *word_of(const label *l, int64_t value)
{
    static const char *const activations[] = {"identity", "relu", "tanh", "sigmoid", "gelu", "silu", "leaky_relu"};
    static const char *const reductions[] = {"mean", "sum", "none"};
    if (is(l, "activation") && value == CT_ACT_GELU_TANH) return "gelu_tanh";
    if (is(l, "activation") && value >= 0 && value <= CT_ACT_LEAKY_RELU) return activations[value];
    if (is(l, "reduction") && value >= 0 && value <= CT_REDUCE_NONE) return reductions[value];
    if (is(l, "dtype")) return ct_dtype_name((int32_t)value);
    return NULL;
}

/* Dims as bits; all of them go without saying. */
static void say_dims(ct_text *text, int64_t mask)
{
    if (mask == ((int64_t)1 << CT_MAX_DIMS) - 1) return;
    ct_text_add(text, " dims=");
    const char *comma = "";
    for (int i = 0; i < CT_MAX_DIMS; i++) {
        if (!(mask >> i & 1)) continue;
        ct_text_add(text, "%s%d", comma, i);
        comma = ",";
    }
}

static void say_attribute(ct_text *text, const label *l, int64_t value)
{
    if (l->has_usual && (double)value == l->usual) return;
    const char *word = word_of(l, value);
    if (is(l, "dims"))
        say_dims(text, value);
    else if (word)
        ct_text_add(text, " %.*s=%s", l->length, l->name, word);
    else
        ct_text_add(text, " %.*s=%lld", l->length, l->name, (long long)value);
}

void ct_say_attributes(ct_context *ctx, ct_text *text, const ct_record *r)
{
    const ct_tape *t = ctx->tape;
    const char *at = ct_op_of(ctx, r->op)->shown;
    if (!at) return;
    for (uint32_t i = 0; i < r->n_attr && *at && *at != ';'; i++) {
        label l;
        if (next_label(&at, &l)) say_attribute(text, &l, t->attrs[r->attr + i]);
    }
    at += strcspn(at, ";");
    at += *at == ';';
    for (uint32_t i = 0; i < r->n_scalar && *at; i++) {
        label l;
        double value = t->scalars[r->scalar + i];
        if (next_label(&at, &l) && !(l.has_usual && value == l.usual))
            ct_text_add(text, " %.*s=%g", l.length, l.name, value);
    }
}
