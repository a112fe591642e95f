// Nothing registered goes without its proof: every op of ops.def is recorded by some sample, has a
// gradient rule or is listed here as one without, and every kernel is there on every device.
#include "ops/op_table.h"
#include "ops/samples.h"
#include "support/launch_costs.h"

#include <fstream>

namespace
{

// Not differentiable: their results are integers, comparisons, draws or constants, or they write leaves.
const std::set<std::string> without_rule = {
    "argmax", "gt",     "ge",     "lt",         "le",  "eq",   "fill",      "rand",       "randn", "advance",
    "zero",   "assign", "append", "accumulate", "sgd", "adam", "grad_norm", "clip_scale", "gather"};

// Recorded by no sample: the file that tests them, and what it calls there.
struct Elsewhere {
    const char *file, *call;
};
const std::map<std::string, Elsewhere> tested_elsewhere = {
    {"dropout", {"ops/dropout_test.cc", "ct_dropout"}},
    {"rand", {"tape/random_test.cc", "ct_rand"}},
    {"randn", {"tape/random_test.cc", "ct_randn"}},
    {"advance", {"tape/random_test.cc", "ct_replay"}},
    {"zero", {"tape/backward_test.cc", "ct_zero_grad"}},
    {"assign", {"tape/step_test.cc", "ct_assign"}},
    {"append", {"program/replay_test.cc", "ct_append"}},
    {"sgd", {"train/optim_test.cc", "ct_sgd_create"}},
    {"adam", {"train/optim_test.cc", "ct_adam_create"}},
    {"grad_norm", {"train/optim_test.cc", "ct_clip_grad_norm"}},
    {"clip_scale", {"train/optim_test.cc", "ct_clip_grad_norm"}},
    {"gather", {"train/loader_test.cc", "ct_loader_next"}},
};

// Whose attributes tell nothing that the shapes in a drawing or a listing do not.
const std::set<std::string> without_names = {"reshape", "expand"};

// What the samples record with their gradients and the gradients of those.
struct Recorded {
    std::set<std::string> names, with_attributes;
    std::set<std::string> launched, moving; // that have launches; whose launches move bytes
    std::map<int, int> inputs;              // of an opcode: the most that one of its records has
};

Recorded recorded_by_samples()
{
    Recorded found;
    ct_config quiet = {};
    quiet.log = [](void *, const char *) {}; // which would warn that every step is another one
    Context ctx(devices().front(), quiet);
    for (const Sample &s : samples()) {
        const std::vector<ct_tensor> inputs = make_inputs(ctx, s, s.dtypes.front());
        const ct_tensor y = apply(ctx, s, inputs);
        std::vector<ct_tensor> wanted;
        for (const size_t i : s.differentiable()) wanted.push_back(inputs[i]);
        if (!wanted.empty() && ctx.describe(y).requires_grad) {
            std::vector<ct_tensor> grads(wanted.size());
            ctx.check(ct_gradients(ctx, 1, &y, nullptr, static_cast<int>(wanted.size()), wanted.data(), grads.data(),
                                   CT_CREATE_GRAPH),
                      "ct_gradients");
            for (const ct_tensor g : grads)
                if (ctx.describe(g).requires_grad)
                    ctx.check(ct_backward_from(ctx, 1, &g, nullptr, CT_RETAIN_GRAPH), "");
        }
        for (size_t i = 0; op_recorded(ctx, i) >= 0; ++i) {
            const char *name = op_at(op_recorded(ctx, i)).name;
            found.names.insert(name);
            int &most = found.inputs[op_recorded(ctx, i)];
            most = std::max(most, inputs_recorded(ctx, i));
            if (has_attributes(ctx, i)) found.with_attributes.insert(name);
        }
        ctx.check(ct_flush(ctx), "ct_flush"); // which keeps what the step's end would leave out
        for (const std::string &name : found.names) {
            const launch_costs cost = costs_of(ctx, name.c_str());
            if (cost.launches) found.launched.insert(name);
            if (cost.bytes > 0) found.moving.insert(name);
        }
        ctx.end_step();
        for (const ct_tensor x : inputs)
            if (x.bits) ct_release(ctx, x);
    }
    return found;
}

TEST(Coverage, EveryOpIsRecordedBySamples_OrTestedElsewhere)
{
    const Recorded all = recorded_by_samples();
    const std::set<std::string> &recorded = all.names;
    for (int op = 0; op < op_count(); ++op) {
        const std::string name = op_at(op).name;
        EXPECT_TRUE(recorded.count(name) || tested_elsewhere.count(name)) << name << " has no sample";
        EXPECT_FALSE(recorded.count(name) && tested_elsewhere.count(name)) << name << " has samples by now";
    }
}

TEST(Coverage, EveryOpNamesItsAttributes_OrIsListedAsWithout)
{
    const std::set<std::string> with_attributes = recorded_by_samples().with_attributes;
    for (int op = 0; op < op_count(); ++op) {
        const op_row row = op_at(op);
        const bool silent = with_attributes.count(row.name) && !row.names_attributes;
        EXPECT_EQ(silent, without_names.count(row.name) == 1) << row.name;
    }
}

// Ops whose inputs come in rows, without a name each; and how many those have that no sample records.
const std::set<std::string> in_rows = {"sgd", "adam"};
const std::map<std::string, int> inputs_elsewhere = {
    {"dropout", 2}, {"rand", 1},   {"randn", 1},       {"advance", 1},      {"zero", 100},
    {"assign", 2},  {"append", 3}, {"grad_norm", 100}, {"clip_scale", 100}, {"gather", 3}};

TEST(Coverage, EveryInputOfEveryOpHasAName)
{
    std::map<int, int> inputs = recorded_by_samples().inputs;
    for (int op = 0; op < op_count(); ++op) {
        const auto elsewhere = inputs_elsewhere.find(op_at(op).name);
        if (elsewhere != inputs_elsewhere.end()) inputs[op] = elsewhere->second;
        ASSERT_TRUE(inputs.count(op) || in_rows.count(op_at(op).name)) << op_at(op).name;
        for (int i = 0; i < inputs[op]; ++i) EXPECT_STRNE(input_name(op, i), "") << op_at(op).name << " input " << i;
    }
}

TEST(Coverage, NamesOfInputsAreInOrder)
{
    std::map<std::string, int> number;
    for (int op = 0; op < op_count(); ++op) number[op_at(op).name] = op;
    EXPECT_STREQ(input_name(number["linear"], 0), "x");
    EXPECT_STREQ(input_name(number["linear"], 1), "w");
    EXPECT_STREQ(input_name(number["linear"], 2), "b");
    EXPECT_STREQ(input_name(number["linear"], 3), "");
    EXPECT_STREQ(input_name(number["where"], 0), "cond");
    EXPECT_STREQ(input_name(number["concat"], 17), "tensor"); // one stands for all
    EXPECT_STREQ(input_name(number["clip_scale"], 0), "norm");
    EXPECT_STREQ(input_name(number["clip_scale"], 9), "grad");
    EXPECT_STREQ(input_name(number["adam"], 0), "");
}

TEST(Coverage, EveryOpHasALaunch_AndItMovesBytes)
{
    const Recorded all = recorded_by_samples();
    EXPECT_EQ(all.launched, all.names);
    EXPECT_EQ(all.moving, all.launched);
}

TEST(Coverage, EveryOpHasAGradientRule_OrIsListedAsWithout)
{
    for (int op = 0; op < op_count(); ++op)
        EXPECT_NE(op_at(op).has_rule, without_rule.count(op_at(op).name) == 1) << op_at(op).name;
}

TEST(Coverage, EveryListedFileAndOpIsThere)
{
    std::set<std::string> names;
    for (int op = 0; op < op_count(); ++op) names.insert(op_at(op).name);
    for (const std::string &name : without_rule) EXPECT_TRUE(names.count(name)) << name;
    for (const auto &op : tested_elsewhere) {
        EXPECT_TRUE(names.count(op.first)) << op.first;
        std::ifstream file(std::string(CT_GOLDEN_DIR "/../") + op.second.file);
        const std::string text(std::istreambuf_iterator<char>(file), {});
        EXPECT_NE(text.find(op.second.call), std::string::npos) << op.second.call << " is not in " << op.second.file;
    }
}

// In f32 and f64, but for the counter; the CPU needs no order for the rows of an embedding; and what an op that was
// added runs is its own.
TEST(Coverage, EveryKernelIsOnEveryDevice)
{
    for (const DeviceChoice &device : devices()) {
        Context ctx(device);
        for (int kernel = 0; kernel < kernel_count(); ++kernel) {
            const std::string name = kernel_name(kernel);
            const auto has = [&](ct_dtype dtype) { return kernel_supported(ctx, kernel, dtype); };
            if (name == "custom")
                EXPECT_FALSE(has(CT_F32) || has(CT_F64)) << device.name;
            else if (name == "advance")
                EXPECT_TRUE(has(CT_I64)) << device.name;
            else if (name == "embedding_order")
                EXPECT_TRUE(device.device == CT_DEVICE_CPU || (has(CT_I32) && has(CT_I64))) << device.name;
            else
                EXPECT_TRUE(has(CT_F32) && has(CT_F64)) << name << " on " << device.name;
        }
    }
}

} // namespace
