/* The options of `cutape train` and `cutape profile`, each said once, in one table: name, value, range, help, and
 * whose it is. Parsing walks the arguments along that table; a second table says which options need which others. */
#include "options.h"

#include <cutape/cutape.h>

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct choice {
    const char *word;
    int32_t value;
} choice;

static const choice data_choices[] = {
    {"fashion-mnist", DATA_FASHION_MNIST}, {"spirals", DATA_SPIRALS}, {"idx", DATA_IDX}, {"csv", DATA_CSV}, {0}};
static const choice activation_choices[] = {{"relu", CT_ACT_RELU},
                                            {"tanh", CT_ACT_TANH},
                                            {"sigmoid", CT_ACT_SIGMOID},
                                            {"gelu", CT_ACT_GELU},
                                            {"silu", CT_ACT_SILU},
                                            {"leaky_relu", CT_ACT_LEAKY_RELU},
                                            {0}};
static const choice optimizer_choices[] = {
    {"sgd", OPTIMIZER_SGD}, {"adam", OPTIMIZER_ADAM}, {"adamw", OPTIMIZER_ADAMW}, {0}};
static const choice schedule_choices[] = {
    {"constant", SCHEDULE_CONSTANT}, {"cosine", SCHEDULE_COSINE}, {"step", SCHEDULE_STEP}, {0}};
static const choice sort_choices[] = {
    {"time", CT_PROFILE_BY_TIME},   {"record", CT_PROFILE_BY_RECORD},     {"op", CT_PROFILE_BY_OP},
    {"phase", CT_PROFILE_BY_PHASE}, {"roofline", CT_PROFILE_BY_ROOFLINE}, {0}};
static const choice device_choices[] = {
    {"auto", CT_DEVICE_AUTO}, {"cpu", CT_DEVICE_CPU}, {"cuda", CT_DEVICE_CUDA}, {0}};

/* ---- the table of options ------------------------------------------------------------------------------ */

/* clang-format off */
enum {
    DATA, DATA_DIR, IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, CSV, TARGET, REGRESSION, TEST_CSV,
    WIDTHS, ACTIVATION, DROPOUT, OPTIMIZER, LR, LR_MIN, MOMENTUM, WEIGHT_DECAY, SCHEDULE, CLIP,
    BATCH, EPOCHS, SEED, STEPS, WARMUP, REPLAYS, SORT, TABLE, TRACE, HTML, DEVICE, THREADS, OUTPUT, DOT, HELP, N_OPTIONS
};
/* clang-format on */

typedef enum value_type { TEXT, CHOICE, REAL, COUNT, UNSIGNED, WIDTH_LIST, FLAG } value_type;

typedef struct option {
    const char *name;  /* first, for nearest_word */
    const char *value; /* its value in the help text; NULL for a flag */
    value_type type;
    size_t field;     /* where in train_options */
    double low, high; /* REAL, COUNT: low <= value < high */
    const choice *choices;
    const char *takes; /* "--lr takes ..." */
    const char *help;
    options_command only; /* the command that takes it; OPTIONS_OF_ALL: each does */
} option;

/* clang-format off */
#define FIELD(name) offsetof(train_options, name)
#define FILE_OPTION(name, field, help, only) {name, "FILE", TEXT, FIELD(field), 0, 0, NULL, "a file name", help, only}
#define CHOICE_OPTION(name, field, choices, help, only) \
    {name, "WHICH", CHOICE, FIELD(field), 0, 0, choices, NULL, help, only}
/* clang-format on */

static const option table[N_OPTIONS] = {
    [DATA] =
        CHOICE_OPTION("--data", data, data_choices, "fashion-mnist, spirals (made here), idx or csv", OPTIONS_OF_ALL),
    [DATA_DIR] = {"--data-dir", "DIR", TEXT, FIELD(data_dir), 0, 0, NULL, "a folder",
                  "where fashion-mnist lies (/usr/share/datasets/fashion-mnist)", OPTIONS_OF_ALL},
    [IMAGES] = FILE_OPTION("--images", images, "IDX file to train on, plain or .gz", OPTIONS_OF_ALL),
    [LABELS] = FILE_OPTION("--labels", labels, "its labels", OPTIONS_OF_ALL),
    [TEST_IMAGES] = FILE_OPTION("--test-images", test_images, "IDX file to test on", OPTIONS_OF_ALL),
    [TEST_LABELS] = FILE_OPTION("--test-labels", test_labels, "its labels", OPTIONS_OF_ALL),
    [CSV] = FILE_OPTION("--csv", csv, "CSV file to train on", OPTIONS_OF_ALL),
    [TARGET] = {"--target", "COLUMN", TEXT, FIELD(target), 0, 0, NULL, "a column's name or number",
                "what to predict: a name in the header, or a number from 0, or -1 for the last", OPTIONS_OF_ALL},
    [REGRESSION] = {"--regression", NULL, FLAG, FIELD(regression), 0, 0, NULL, NULL,
                    "the target is a quantity, not a class", OPTIONS_OF_ALL},
    [TEST_CSV] = FILE_OPTION("--test-csv", test_csv, "CSV file to test on, same columns", OPTIONS_OF_ALL),

    [WIDTHS] = {"--widths", "N,N..", WIDTH_LIST, 0, 0, 0, NULL, "up to 30 whole numbers such as 128,64, or none",
                "widths of the hidden layers, or none (128; spirals: 64,64)", OPTIONS_OF_ALL},
    [ACTIVATION] = CHOICE_OPTION("--activation", activation, activation_choices,
                                 "relu, tanh, sigmoid, gelu, silu or leaky_relu (relu)", OPTIONS_OF_ALL),
    [DROPOUT] = {"--dropout", "P", REAL, FIELD(dropout), 0, 1, NULL, "a probability from 0 to below 1, such as 0.2",
                 "probability of dropping a hidden value (0)", OPTIONS_OF_ALL},

    [OPTIMIZER] =
        CHOICE_OPTION("--optimizer", optimizer, optimizer_choices, "sgd, adam or adamw (adam)", OPTIONS_OF_ALL),
    [LR] = {"--lr", "RATE", REAL, FIELD(lr), DBL_MIN, HUGE_VAL, NULL, "a number above 0, such as 0.001",
            "learning rate (0.001; sgd: 0.01)", OPTIONS_OF_ALL},
    [LR_MIN] = {"--lr-min", "RATE", REAL, FIELD(lr_min), 0, HUGE_VAL, NULL, "a number from 0, such as 0.00001",
                "where a schedule ends (0)", OPTIONS_OF_TRAIN},
    [MOMENTUM] = {"--momentum", "M", REAL, FIELD(momentum), 0, 1, NULL, "a number from 0 to below 1, such as 0.9",
                  "for sgd (0)", OPTIONS_OF_ALL},
    [WEIGHT_DECAY] = {"--weight-decay", "W", REAL, FIELD(weight_decay), 0, HUGE_VAL, NULL,
                      "a number from 0, such as 0.01", "(0; adamw: 0.01)", OPTIONS_OF_ALL},
    [SCHEDULE] = CHOICE_OPTION("--schedule", schedule, schedule_choices,
                               "constant, cosine, or step: a tenth after each third (cosine)", OPTIONS_OF_TRAIN),
    [CLIP] = {"--clip", "NORM", REAL, FIELD(clip), DBL_MIN, HUGE_VAL, NULL, "a number above 0, such as 1.0",
              "largest norm of the gradient (none)", OPTIONS_OF_ALL},
    [BATCH] = {"--batch", "N", COUNT, FIELD(batch), 1, 1 << 30, NULL, "a whole number from 1, such as 64",
               "samples in a step (64)", OPTIONS_OF_ALL},
    [EPOCHS] = {"--epochs", "N", COUNT, FIELD(epochs), 1, 1 << 30, NULL, "a whole number from 1, such as 5",
                "passes over the data (5; spirals: 30)", OPTIONS_OF_TRAIN},
    [SEED] = {"--seed", "N", UNSIGNED, FIELD(seed), 0, 0, NULL, "a whole number from 0, such as 1",
              "same seed, same result (1)", OPTIONS_OF_ALL},

    [STEPS] = {"--steps", "N", COUNT, FIELD(steps), 1, 1 << 20, NULL, "a whole number from 1, such as 50",
               "steps in the profile (50)", OPTIONS_OF_PROFILE},
    [WARMUP] = {"--warmup", "N", COUNT, FIELD(warmup), 1, 1 << 20, NULL, "a whole number from 1, such as 3",
                "steps before it (3)", OPTIONS_OF_PROFILE},
    [REPLAYS] = {"--replays", "N", COUNT, FIELD(replays), 0, 1 << 30, NULL, "a whole number from 0, such as 100",
                 "plain replays to compare with (100)", OPTIONS_OF_PROFILE},
    [SORT] =
        CHOICE_OPTION("--sort", sort, sort_choices, "time, record, op, phase or roofline (time)", OPTIONS_OF_PROFILE),
    [TABLE] =
        FILE_OPTION("--table", table, "the table as text, .csv or .json, instead of printing it", OPTIONS_OF_PROFILE),
    [TRACE] = FILE_OPTION("--trace", trace, "the timeline, for Perfetto or chrome://tracing", OPTIONS_OF_PROFILE),
    [HTML] = FILE_OPTION("--html", html, "timeline, roofline, table and memory as one page", OPTIONS_OF_PROFILE),

    [DEVICE] = CHOICE_OPTION("--device", device, device_choices, "auto, cpu or cuda (auto)", OPTIONS_OF_ALL),
    [THREADS] = {"--threads", "N", COUNT, FIELD(threads), 0, 1025, NULL, "a whole number from 0 to 1024",
                 "threads on the CPU; 0: as many as pay (0)", OPTIONS_OF_ALL},
    [OUTPUT] = FILE_OPTION("--output", output, "write the curve as CSV, one line an epoch", OPTIONS_OF_TRAIN),
    [DOT] = FILE_OPTION("--dot", dot, "draw a step, for Graphviz", OPTIONS_OF_ALL),
    [HELP] = {"--help", NULL, FLAG, FIELD(help), 0, 0, NULL, NULL, "this text", OPTIONS_OF_ALL},
};

static const struct {
    const char *name, *purpose;
} commands[] = {
    [OPTIONS_OF_TRAIN] = {"train", "Trains a multilayer perceptron and prints how well it does on test data."},
    [OPTIONS_OF_PROFILE] = {"profile",
                            "Trains a multilayer perceptron for some steps, and tells where their time goes."},
};

static bool is_taken(const option *o, options_command command)
{
    return o->only == OPTIONS_OF_ALL || o->only == command;
}

void options_help(options_command command, FILE *out)
{
    static const struct {
        int first;
        const char *title;
    } groups[] = {
        {DATA, "Data"}, {WIDTHS, "Network"}, {OPTIMIZER, "Training"}, {STEPS, "Profile"}, {DEVICE, "Running"}};

    fprintf(out, "usage: cutape %s [options]\n%s Defaults in parentheses.\n", commands[command].name,
            commands[command].purpose);
    size_t group = 0;
    for (int i = 0; i < N_OPTIONS; i++) {
        const option *o = &table[i];
        const char *title = NULL;
        if (group < sizeof groups / sizeof *groups && groups[group].first == i) title = groups[group++].title;
        if (!is_taken(o, command)) continue;
        if (title) fprintf(out, "\n%s\n", title);
        int used = fprintf(out, "  %s %s", o->name, o->value ? o->value : "");
        fprintf(out, "%*s%s\n", used < 24 ? 24 - used : 1, "", o->help);
    }
    fputs("\n--option value and --option=value are the same.\n", out);
}

/* ---- from text to values ------------------------------------------------------------------------------- */

typedef struct parser {
    options_command command;
    train_options *options;
    bool given[N_OPTIONS];
    char *message;
    size_t size;
} parser;

static bool complain(parser *p, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(p->message, p->size, format, list);
    va_end(list);
    for (char *c = p->message; *c; c++) {
        if ((unsigned char)*c < ' ') *c = ' '; /* what was typed may hold line ends; a message is one line */
    }
    return false;
}

static bool parse_whole(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return end != text && *end == 0 && errno == 0;
}

static bool parse_unsigned(const char *text, uint64_t *out)
{
    if (*text < '0' || *text > '9') return false; /* strtoull would turn -1 around */
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *end == 0 && errno == 0;
}

static bool parse_real(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && isfinite(*out);
}

static bool parse_widths(const char *text, train_options *options)
{
    options->n_hidden = 0;
    if (strcmp(text, "none") == 0) return true;
    for (;;) {
        char *end;
        long long width = strtoll(text, &end, 10);
        if (end == text || width < 1 || width > 1 << 20 || options->n_hidden == MAX_HIDDEN) return false;
        options->hidden[options->n_hidden++] = width;
        if (*end == 0) return true;
        if (*end != ',') return false;
        text = end + 1;
    }
}

static bool parse_choice(parser *p, const option *o, const char *text, int32_t *out)
{
    char words[128] = "";
    size_t n = 0, used = 0;
    for (const choice *c = o->choices; c->word; c++, n++) {
        if (strcmp(c->word, text) == 0) {
            *out = c->value;
            return true;
        }
        const char *before = n == 0 ? "" : c[1].word ? ", " : " or ";
        used += (size_t)snprintf(words + used, sizeof words - used, "%s%s", before, c->word);
    }
    const char *near = nearest_word(text, o->choices, n, sizeof *o->choices);
    if (near) return complain(p, "%s: no '%s'; did you mean %s %s?", o->name, text, o->name, near);
    return complain(p, "%s takes %s, not '%s'", o->name, words, text);
}

static bool parse_value(parser *p, const option *o, const char *text)
{
    void *field = (char *)p->options + o->field;
    bool fits = false;
    double real;
    int64_t whole;
    switch (o->type) {
    case FLAG: return *(bool *)field = true;
    case CHOICE: return parse_choice(p, o, text, field);
    case TEXT:
        fits = *text != 0;
        if (fits) *(const char **)field = text;
        break;
    case REAL:
        fits = parse_real(text, &real) && real >= o->low && real < o->high;
        if (fits) *(double *)field = real;
        break;
    case COUNT:
        fits = parse_whole(text, &whole) && (double)whole >= o->low && (double)whole < o->high;
        if (fits) *(int64_t *)field = whole;
        break;
    case UNSIGNED: fits = parse_unsigned(text, field); break;
    case WIDTH_LIST: fits = parse_widths(text, p->options); break;
    }
    return fits || complain(p, "%s takes %s; not '%s'", o->name, o->takes, text);
}

static const option *find_option(parser *p, const char *name)
{
    const char *command = commands[p->command].name;
    option taken[N_OPTIONS];
    size_t n = 0;
    for (int i = 0; i < N_OPTIONS; i++) {
        bool named = strcmp(table[i].name, name) == 0;
        if (!is_taken(&table[i], p->command)) {
            if (named) complain(p, "%s is an option of 'cutape %s' alone", name, commands[table[i].only].name);
            if (named) return NULL;
            continue;
        }
        if (named) return &table[i];
        taken[n++] = table[i];
    }
    const char *near = nearest_word(name, taken, n, sizeof *taken);
    if (near)
        complain(p, "unknown option %s; did you mean %s?", name, near);
    else
        complain(p, "unknown option %s; type 'cutape %s --help' for those there are", name, command);
    return NULL;
}

/* One option at argv[*i], with its value there or in the next argument. */
static bool parse_option(parser *p, int argc, char **argv, int *i)
{
    const char *typed = argv[*i];
    if (strncmp(typed, "--", 2) != 0)
        return complain(p, "'%s' belongs to no option; type 'cutape %s --help' for the options", typed,
                        commands[p->command].name);

    const char *value = strchr(typed, '=');
    char name[64];
    size_t length = value ? (size_t)(value - typed) : strlen(typed);
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), typed);
    const option *o = find_option(p, name);
    if (!o) return false;
    p->given[o - table] = true;

    if (o->type == FLAG)
        return value ? complain(p, "%s takes no value; type %s alone", name, name) : parse_value(p, o, NULL);
    if (value) return parse_value(p, o, value + 1);
    if (*i + 1 == argc || strncmp(argv[*i + 1], "--", 2) == 0)
        return complain(p, "%s needs a value; type %s %s", name, name, o->value);
    return parse_value(p, o, argv[++*i]);
}

/* ---- what goes with what ------------------------------------------------------------------------------- */

/* An option that means something only if a choice has (or, `unless`, has not) a certain value. */
static const struct {
    int option, choice;
    int32_t value;
    bool unless;
} settings[] = {
    {CSV, DATA, DATA_CSV, false},
    {TARGET, DATA, DATA_CSV, false},
    {TEST_CSV, DATA, DATA_CSV, false},
    {REGRESSION, DATA, DATA_CSV, false},
    {IMAGES, DATA, DATA_IDX, false},
    {LABELS, DATA, DATA_IDX, false},
    {TEST_IMAGES, DATA, DATA_IDX, false},
    {TEST_LABELS, DATA, DATA_IDX, false},
    {DATA_DIR, DATA, DATA_FASHION_MNIST, false},
    {MOMENTUM, OPTIMIZER, OPTIMIZER_SGD, false},
    {LR_MIN, SCHEDULE, SCHEDULE_CONSTANT, true},
    {THREADS, DEVICE, CT_DEVICE_CUDA, true},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

/* Options that come together: the first asks for the second. */
static const int companions[][2] = {
    {IMAGES, LABELS},
    {LABELS, IMAGES},
    {TEST_IMAGES, TEST_LABELS},
    {TEST_LABELS, TEST_IMAGES},
    {TEST_IMAGES, IMAGES},
    {CSV, TARGET},
    {TARGET, CSV},
    {TEST_CSV, CSV},
    {REGRESSION, CSV},
};

static const char *word_of(int which, int32_t value)
{
    const choice *c = table[which].choices;
    while (c->value != value) c++;
    return c->word;
}

static bool check_settings(parser *p)
{
    for (int i = 0; i < N_SETTINGS; i++) {
        const option *o = &table[settings[i].option], *by = &table[settings[i].choice];
        int32_t chosen;
        memcpy(&chosen, (const char *)p->options + by->field, sizeof chosen);
        if (!p->given[settings[i].option] || (chosen == settings[i].value) != settings[i].unless) continue;
        const char *value = word_of(settings[i].choice, settings[i].value);
        if (settings[i].unless)
            return complain(p, "%s does not go with %s %s; type another %s or leave %s out", o->name, by->name, value,
                            by->name, o->name);
        return complain(p, "%s goes with %s %s, not %s; type %s %s or leave %s out", o->name, by->name, value,
                        word_of(settings[i].choice, chosen), by->name, value, o->name);
    }
    return true;
}

static bool check_companions(parser *p)
{
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
        const option *o = &table[companions[i][0]], *other = &table[companions[i][1]];
        if (p->given[o - table] && !p->given[other - table])
            return complain(p, "%s needs %s beside it; add %s %s", o->name, other->name, other->name, other->value);
    }
    if (p->options->data == DATA_IDX && !p->given[IMAGES])
        return complain(p, "--data idx needs files; add --images FILE --labels FILE");
    if (p->options->data == DATA_CSV && !p->given[CSV])
        return complain(p, "--data csv needs a file; add --csv FILE --target COLUMN");
    return true;
}

static bool check_numbers(parser *p)
{
    const train_options *o = p->options;
    if (o->lr_min > o->lr)
        return complain(p, "--lr-min %g is above --lr %g; type an --lr-min below it", o->lr_min, o->lr);
    if (o->dropout > 0 && o->n_hidden == 0)
        return complain(p, "--dropout needs a hidden layer; type --widths 128 or leave --dropout out");
    return true;
}

static void fill_in_defaults(parser *p)
{
    train_options *o = p->options;
    for (int i = 0; i < N_SETTINGS && !p->given[DATA]; i++) { /* --csv alone says --data csv, and so on */
        if (settings[i].choice != DATA || !p->given[settings[i].option]) continue;
        o->data = settings[i].value;
        break;
    }
    bool spirals = o->data == DATA_SPIRALS;
    if (!p->given[WIDTHS]) parse_widths(spirals ? "64,64" : "128", o);
    if (!p->given[EPOCHS]) o->epochs = spirals ? 30 : 5;
    if (!p->given[LR]) o->lr = o->optimizer == OPTIMIZER_SGD ? 0.01 : 0.001;
}

options_result options_parse(options_command command, int argc, char **argv, train_options *result, char *message,
                             size_t size)
{
    *result = (train_options){
        .data_dir = "/usr/share/datasets/fashion-mnist",
        .activation = CT_ACT_RELU,
        .optimizer = OPTIMIZER_ADAM,
        .weight_decay = -1,
        .schedule = SCHEDULE_COSINE,
        .batch = 64,
        .seed = 1,
        .steps = 50,
        .warmup = 3,
        .replays = 100,
        .sort = CT_PROFILE_BY_TIME,
    };
    parser p = {.command = command, .options = result, .message = message, .size = size};
    for (int i = 0; i < argc; i++) {
        if (!parse_option(&p, argc, argv, &i)) return OPTIONS_BAD;
        if (result->help) return OPTIONS_HELP;
    }
    fill_in_defaults(&p);
    bool fits = check_settings(&p) && check_companions(&p) && check_numbers(&p);
    return fits ? OPTIONS_OK : OPTIONS_BAD;
}
