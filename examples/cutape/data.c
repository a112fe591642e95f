/* Choosing the data: Fashion-MNIST, a pair of IDX files, CSV files, or generated spirals; then finding out
 * how wide the network's input and output must be, by looking at the data itself. */
#include "data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t spirals_train = 6000, spirals_test = 1500;

/* ---- sources ------------------------------------------------------------------------------------------- */

static ct_status open_spirals(ct_context *ctx, uint64_t seed, int64_t n, ct_dataset **out)
{
    float *xy = malloc((size_t)n * 2 * sizeof *xy);
    int32_t *label = malloc((size_t)n * sizeof *label);
    ct_status status = CT_ERR_MEMORY;
    if (xy && label) {
        spirals_generate(seed, n, xy, label);
        status = ct_dataset_create(ctx, n, CT_F32, 1, (const int64_t[]){2}, xy, CT_I32, 0, NULL, label, out);
    }
    free(xy);
    free(label);
    return status;
}

static ct_status open_fashion_mnist(ct_context *ctx, const char *dir, const char *part, ct_dataset **out)
{
    char images[4096], labels[4096];
    int a = snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte.gz", dir, part);
    int b = snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte.gz", dir, part);
    if (a < 0 || b < 0 || (size_t)a >= sizeof images || (size_t)b >= sizeof labels) return CT_ERR_ARGUMENT;
    return ct_dataset_load_idx(ctx, images, labels, out);
}

/* Both parts; a source without a test file leaves *test NULL. */
static ct_status open_source(ct_context *ctx, const train_options *o, ct_dataset **train, ct_dataset **test)
{
    ct_status status = CT_OK;
    int column = 0;
    switch (o->data) {
    case DATA_SPIRALS: /* one seed for each part, so that no test point is a training point */
        status = open_spirals(ctx, 2 * o->seed, spirals_train, train);
        return status != CT_OK ? status : open_spirals(ctx, 2 * o->seed + 1, spirals_test, test);
    case DATA_FASHION_MNIST:
        status = open_fashion_mnist(ctx, o->data_dir, "train", train);
        return status != CT_OK ? status : open_fashion_mnist(ctx, o->data_dir, "t10k", test);
    case DATA_IDX:
        status = ct_dataset_load_idx(ctx, o->images, o->labels, train);
        if (status != CT_OK || !o->test_images) return status;
        return ct_dataset_load_idx(ctx, o->test_images, o->test_labels, test);
    default:
        if (!csv_find_column(o->csv, o->target, &column)) return CT_ERR_ARGUMENT;
        status = ct_dataset_load_csv(ctx, o->csv, column, !o->regression, train);
        if (status != CT_OK || !o->test_csv) return status;
        return ct_dataset_load_csv(ctx, o->test_csv, column, !o->regression, test);
    }
}

/* ---- columns of a CSV file -------------------------------------------------------------------------------
 */

static bool same_cell(const char *cell, size_t length, const char *name)
{
    while (length > 0 && strchr(" \t\r\n\"", cell[length - 1])) length--;
    while (length > 0 && strchr(" \t\"", *cell)) cell++, length--;
    return strlen(name) == length && memcmp(cell, name, length) == 0;
}

bool csv_find_column(const char *path, const char *target, int *column)
{
    char *end;
    long number = strtol(target, &end, 10);
    if (*end == 0 && number > -1000000 && number < 1000000) {
        *column = (int)number;
        return true;
    }
    FILE *file = fopen(path, "r");
    static char heading[1 << 16];
    bool read = file && fgets(heading, sizeof heading, file);
    if (file) fclose(file);
    if (!read) return false;

    const char *cell = heading;
    for (*column = 0;; ++*column) {
        size_t length = strcspn(cell, ",");
        if (same_cell(cell, length, target)) return true;
        if (cell[length] == 0) return false;
        cell += length + 1;
    }
}

/* ---- measuring -------------------------------------------------------------------------------------------
 */

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Elements of one example's features and targets. */
static ct_status measure_example(ct_context *ctx, ct_dataset *set, int64_t *features, int64_t *targets)
{
    ct_loader *loader;
    ct_loader_config config = {.batch = 1};
    ct_status status = ct_loader_create(set, &config, &loader);
    if (status != CT_OK) return status;

    ct_tensor x, y;
    ct_info of_x = {0}, of_y = {0};
    ct_loader_next(loader, &x, &y);
    if (ct_error(ctx) == CT_OK) {
        ct_describe(ctx, x, &of_x);
        ct_describe(ctx, y, &of_y);
    }
    status = ct_step_end(ctx);
    ct_loader_destroy(loader);
    *features = of_x.numel;
    *targets = of_y.numel;
    return status;
}

enum { LABELS_AT_ONCE = 4096 };

/* Smallest and largest label. */
static ct_status measure_labels(ct_context *ctx, ct_dataset *set, double *least, double *largest)
{
    ct_loader *loader;
    ct_loader_config config = {.batch = smaller(ct_dataset_size(set), LABELS_AT_ONCE)};
    ct_status status = ct_loader_create(set, &config, &loader);
    if (status != CT_OK) return status;

    *least = *largest = 0;
    for (int64_t done = 0; done < ct_dataset_size(set) && status == CT_OK;) {
        static int64_t labels[LABELS_AT_ONCE];
        int64_t n = smaller(ct_dataset_size(set) - done, LABELS_AT_ONCE);
        ct_tensor x, y;
        ct_loader_next(loader, &x, &y);
        ct_read(ctx, ct_cast(ctx, y, CT_I64), labels, (size_t)n * sizeof *labels);
        status = ct_step_end(ctx);
        for (int64_t i = 0; i < n && status == CT_OK; i++) {
            if ((double)labels[i] < *least) *least = (double)labels[i];
            if ((double)labels[i] > *largest) *largest = (double)labels[i];
        }
        done += n;
    }
    ct_loader_destroy(loader);
    return status;
}

/* ---- opening and walking through it ----------------------------------------------------------------------
 */

/* The scale and shift that give the features of a set of images mean 0 and deviation 1. */
static ct_status measure_bytes(ct_context *ctx, train_data *data)
{
    ct_loader *loader;
    int64_t n = ct_dataset_size(data->train), done = 0;
    ct_loader_config config = {.batch = smaller(n, LABELS_AT_ONCE), .scale = 1};
    ct_status status = ct_loader_create(data->train, &config, &loader);
    if (status != CT_OK) return status;

    double mean = 0, square = 0;
    for (; done < n && status == CT_OK; done += smaller(n - done, config.batch)) {
        double share = (double)smaller(n - done, config.batch) / (double)n;
        ct_tensor x, y;
        ct_loader_next(loader, &x, &y);
        ct_tensor both[2] = {ct_mean(ctx, x, 0, NULL, false), ct_mean(ctx, ct_square(ctx, x), 0, NULL, false)};
        mean += share * ct_item(ctx, both[0]);
        square += share * ct_item(ctx, both[1]);
        status = ct_step_end(ctx);
    }
    ct_loader_destroy(loader);
    double deviation = sqrt(fmax(square - mean * mean, 0));
    if (deviation > 0) {
        data->scale = 1 / deviation;
        data->shift = -mean / deviation;
    }
    return status;
}

enum { MOST_CLASSES = 1 << 16 };

static bool measure(ct_context *ctx, train_data *data, char *message, size_t size)
{
    int64_t test_features, targets, test_targets;
    double least, largest, test_least = 0, test_largest = 0;
    if (measure_example(ctx, data->train, &data->features, &targets) != CT_OK ||
        measure_example(ctx, data->test, &test_features, &test_targets) != CT_OK)
        return false;
    if (test_features != data->features || test_targets != targets) {
        snprintf(message, size, "a training example has %lld features, a test example %lld: they must be alike",
                 (long long)data->features, (long long)test_features);
        return false;
    }
    data->outputs = targets;
    if (data->regression) return true;

    if (measure_labels(ctx, data->train, &least, &largest) != CT_OK) return false;
    if (data->has_test && measure_labels(ctx, data->test, &test_least, &test_largest) != CT_OK) return false;
    if (test_least < least) least = test_least;
    if (test_largest > largest) largest = test_largest;
    if (least < 0 || largest >= MOST_CLASSES) {
        snprintf(message, size, "classes are numbers from 0 to %d, but the labels run from %g to %g", MOST_CLASSES - 1,
                 least, largest);
        return false;
    }
    data->outputs = (int64_t)largest + 1;
    return true;
}

bool data_open(ct_context *ctx, const train_options *o, train_data *data, char *message, size_t size)
{
    *data = (train_data){.regression = o->regression};
    *message = 0;
    int column;
    if (o->data == DATA_CSV && !csv_find_column(o->csv, o->target, &column)) {
        snprintf(message, size, "%s has no column named '%s' in its first line, or cannot be read", o->csv, o->target);
        return false;
    }
    ct_status status = open_source(ctx, o, &data->train, &data->test);
    if (status == CT_OK) {
        data->has_test = data->test != NULL;
        if (!data->test) data->test = data->train;
        bool images = o->data == DATA_FASHION_MNIST || o->data == DATA_IDX;
        if ((!images || measure_bytes(ctx, data) == CT_OK) && measure(ctx, data, message, size)) return true;
    }
    if (*message) return false;
    const char *advice = o->data == DATA_FASHION_MNIST && !data->test
                             ? "; Debian's package dataset-fashion-mnist has the files, and --data spirals needs none"
                             : "";
    const char *reason = ct_error_message(ctx);
    snprintf(message, size, "%s%s", *reason ? reason : ct_status_name(status), advice);
    return false;
}

void data_close(train_data *data)
{
    if (data->test != data->train) ct_dataset_destroy(data->test);
    ct_dataset_destroy(data->train);
    *data = (train_data){0};
}

static ct_tensor as_matrix(ct_context *ctx, ct_tensor x, int64_t width)
{
    ct_info info;
    if (ct_describe(ctx, x, &info) != CT_OK || (info.ndim == 2 && info.shape[1] == width)) return x;
    return ct_reshape(ctx, x, 2, (const int64_t[]){-1, width});
}

static ct_tensor as_classes(ct_context *ctx, ct_tensor y)
{
    ct_info info;
    if (ct_describe(ctx, y, &info) != CT_OK) return y;
    if (info.ndim != 1) y = ct_reshape(ctx, y, 1, (const int64_t[]){-1});
    return info.dtype == CT_I32 ? y : ct_cast(ctx, y, CT_I32);
}

void data_next(ct_context *ctx, const train_data *data, ct_loader *loader, ct_tensor *x, ct_tensor *y)
{
    ct_loader_next(loader, x, y);
    *x = as_matrix(ctx, *x, data->features);
    *y = data->regression ? as_matrix(ctx, *y, data->outputs) : as_classes(ctx, *y);
}
