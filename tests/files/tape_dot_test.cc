// ct_tape_to_dot: the drawing is read back, and its nodes, clusters and edges are those of
// the tape, as ct_tape_print lists them; names come through as they are.
#include "files/dot_reader.h"
#include "support/context.h"
#include "support/errors.h"
#include "support/temp_dir.h"
#include "support/training.h"

#include <algorithm>
#include <set>

namespace
{

// A tensor on its way from one record to another. -1: it was there before, or it stays.
struct Flow {
    int from, to;
    std::string tensor; // "w\nf32 [2,3]", without a name "f32 [2,3]"
    bool operator<(const Flow &o) const { return std::tie(from, to, tensor) < std::tie(o.from, o.to, o.tensor); }
    bool operator==(const Flow &o) const { return !(*this < o) && !(o < *this); }
};
std::ostream &operator<<(std::ostream &out, const Flow &f)
{
    return out << f.from << " -> " << f.to << " " << ::testing::PrintToString(f.tensor);
}

// ---- the tape as the listing tells it ------------------------------------------------------

struct Listed {
    std::string phase, grad, op, source;
    std::vector<std::string> reads, writes; // "w\nf32 [2,3]"
};

// "w f32 [3]*, %0 f32 [3]", with what may come before and behind.
std::vector<std::string> tensors_in(const std::string &text)
{
    std::vector<std::string> found;
    size_t at = text.compare(0, 3, "-> ") == 0 ? 3 : 0;
    for (size_t open; (open = text.find(" [", at)) != std::string::npos; at += 2) {
        const size_t close = text.find(']', open), dtype = text.rfind(' ', open - 1);
        found.push_back(text.substr(at, dtype - at) + "\n" + text.substr(dtype + 1, close - dtype));
        at = close + 1;
        if (text[at] == '*') ++at;
        if (text.compare(at, 2, ", ") != 0) break;
    }
    return found;
}

std::vector<Listed> read_listing(const std::string &text)
{
    std::istringstream lines(text);
    std::vector<Listed> records;
    std::string line;
    std::getline(lines, line);
    std::getline(lines, line); // the two of the head
    const auto word = [&](size_t at) { return line.substr(at, line.find(' ', at) - at); };
    while (std::getline(lines, line)) {
        EXPECT_EQ(word(0), std::to_string(records.size()));
        const std::string operands = line.substr(48);
        const size_t arrow = operands.find("-> ");
        records.push_back(
            {word(6), word(16), word(22), word(39), tensors_in(operands.substr(0, arrow)),
             arrow == std::string::npos ? std::vector<std::string>() : tensors_in(operands.substr(arrow))});
    }
    return records;
}

std::string without_number(const std::string &tensor)
{
    return tensor[0] == '%' ? tensor.substr(tensor.find('\n') + 1) : tensor;
}

// A value that is read goes nowhere else; a leaf that is written stays.
std::vector<Flow> flows_of(const std::vector<Listed> &records)
{
    static const std::set<std::string> writers_of_leaves = {"zero", "assign", "accumulate", "append",
                                                            "sgd",  "adam",   "clip_scale"};
    std::vector<Flow> flows;
    std::map<std::string, int> writer;
    std::set<std::string> read;
    for (int i = 0; i < static_cast<int>(records.size()); ++i) {
        for (const std::string &t : records[i].reads) {
            flows.push_back({writer.count(t) ? writer[t] : -1, i, without_number(t)});
            read.insert(t);
        }
        for (const std::string &t : records[i].writes) writer[t] = i;
    }
    for (const auto &[t, record] : writer)
        if (writers_of_leaves.count(records[record].op) || !read.count(t))
            flows.push_back({record, -1, without_number(t)});
    std::sort(flows.begin(), flows.end());
    return flows;
}

// ---- the tape as the drawing shows it --------------------------------------------------------

int number(const std::string &id) { return std::stoi(id.substr(1)); }

// What a box says: the tensor, and after which record.
std::pair<std::string, int> box(const DotNode &node)
{
    const std::string label = node.label();
    const size_t after = label.find("\nafter #");
    return {label.substr(0, after), after == std::string::npos ? -1 : std::stoi(label.substr(after + 8))};
}

// The label of an edge, whose lines are indented.
std::string without_blanks(const std::string &label)
{
    std::istringstream lines(label);
    std::string all;
    for (std::string line; std::getline(lines, line);) {
        EXPECT_EQ(line.substr(0, 2), "  ");
        all += (all.empty() ? "" : "\n") + line.substr(2);
    }
    return all;
}

std::vector<Flow> flows_of(const Dot &dot)
{
    std::map<std::string, std::pair<int, std::string>> points; // who makes it, and what it is
    std::map<std::string, int> readers;
    for (const DotEdge &e : dot.edges) {
        if (e.head[0] == 'v') {
            EXPECT_FALSE(points.count(e.head)) << e.head << " has two makers";
            points[e.head] = {number(e.tail), without_blanks(e.label())};
        }
        if (e.tail[0] == 'v') ++readers[e.tail];
    }
    std::vector<Flow> flows;
    for (const auto &[id, point] : points) {
        EXPECT_EQ(dot.node(id).colour(), readers[id] ? "black" : "white");
        EXPECT_NE(readers[id], 1) << id << " need not be there";
        if (readers[id] == 0) flows.push_back({point.first, -1, point.second});
    }
    for (const DotEdge &e : dot.edges) {
        const char head = e.head[0], tail = e.tail[0];
        if (head == 'v') continue;
        if (head == 'l') {
            const auto [tensor, after] = box(dot.node(e.head));
            EXPECT_EQ(after, number(e.tail));
            flows.push_back({number(e.tail), -1, tensor});
        } else if (tail == 'l') {
            const auto [tensor, after] = box(dot.node(e.tail));
            flows.push_back({after, number(e.head), tensor});
        } else if (tail == 'v') {
            flows.push_back({points.at(e.tail).first, number(e.head), points.at(e.tail).second});
        } else {
            flows.push_back({number(e.tail), number(e.head), without_blanks(e.label())});
        }
    }
    std::sort(flows.begin(), flows.end());
    return flows;
}

// ---- the tests -------------------------------------------------------------------------------

class TapeDot : public ::testing::Test
{
  protected:
    ct_tensor named(ct_tensor x, const char *name)
    {
        ctx.check(ct_set_name(ctx, ctx.check(x, name), name), "ct_set_name");
        return x;
    }
    ct_tensor leaf(const char *name, const std::vector<int64_t> &shape, ct_dtype dtype = CT_F32)
    {
        return named(ct_leaf(ctx, dtype, static_cast<int>(shape.size()), shape.data(), nullptr), name);
    }
    ct_tensor parameter(const char *name, const std::vector<int64_t> &shape)
    {
        const ct_tensor x = leaf(name, shape);
        ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
        return x;
    }
    ct_tensor sum(ct_tensor x) { return ctx.check(ct_sum(ctx, x, 0, nullptr, false), "sum"); }
    void backward(ct_tensor root) { ctx.check(ct_backward(ctx, root), "ct_backward"); }

    Dot draw()
    {
        ctx.check(ct_tape_to_dot(ctx, dir.path("step.dot").c_str()), "ct_tape_to_dot");
        graphviz_accepts_it();
        return Dot(dir.read("step.dot"));
    }
    // Where Graphviz is installed, it has nothing to say against the file.
    void graphviz_accepts_it()
    {
        static const bool installed = std::system("dot -V >/dev/null 2>&1") == 0;
        static bool told = false;
        if (!installed) {
            if (!told) std::printf("dot is not installed: the drawings are not given to it\n");
            told = true;
            return;
        }
        const std::string said = dir.path("said.txt");
        const std::string command = "dot -Tsvg " + dir.path("step.dot") + " >" + dir.path("step.svg") + " 2>" + said;
        EXPECT_EQ(std::system(command.c_str()), 0);
        EXPECT_EQ(dir.read("said.txt"), "");
        EXPECT_NE(dir.read("step.svg").find("</svg>"), std::string::npos);
    }

    // The drawing against the listing: records, phases, rules, and every tensor's way.
    Dot draw_and_compare()
    {
        const Dot dot = draw();
        ctx.check(ct_tape_print(ctx, dir.path("tape.txt").c_str()), "ct_tape_print");
        const std::vector<Listed> listed = read_listing(dir.read("tape.txt"));
        EXPECT_FALSE(listed.empty());
        int drawn = 0;
        for (const auto &[id, node] : dot.nodes) drawn += id[0] == 'r';
        EXPECT_EQ(drawn, static_cast<int>(listed.size()));
        for (size_t i = 0; i < listed.size(); ++i) {
            const DotNode &node = dot.record(static_cast<int>(i));
            const Listed &record = listed[i];
            EXPECT_EQ(node.cluster.substr(0, record.phase.size()), record.phase);
            const std::string title = record.op + " #" + std::to_string(i);
            EXPECT_EQ(node.label().substr(0, title.size()), title);
            EXPECT_EQ(node.dashed(), record.grad != "grad");
            if (record.source.empty()) continue;
            const int source = std::stoi(record.source);
            EXPECT_NE(node.label().find("\nof " + listed[source].op + " #" + record.source), std::string::npos)
                << node.label();
            EXPECT_EQ(node.colour(), dot.record(source).colour()) << "a record and its rule are one colour";
            EXPECT_NE(node.colour(), "");
        }
        EXPECT_EQ(flows_of(dot), flows_of(listed));
        return dot;
    }

    TempDir dir;
    Context ctx;
};

TEST_F(TapeDot, ShowsForwardAndBackwardOfALayer)
{
    const ct_tensor x = leaf("x", {4, 3}), w = parameter("w", {2, 3}), b = parameter("b", {2});
    const ct_tensor y = named(ct_linear(ctx, x, w, b, CT_ACT_RELU), "y");
    backward(named(sum(y), "loss"));
    const Dot dot = draw_and_compare();
    EXPECT_EQ(dot.clusters, (std::vector<std::string>{"forward", "backward"}));
    EXPECT_EQ(dot.record(0).label(), "linear #0\nactivation=relu");
    EXPECT_EQ(dot.record(1).label(), "sum #1");
    EXPECT_NE(dot.record(0).colour(), dot.record(1).colour());
    // Leaves: a parameter, its gradient before and after, an input.
    EXPECT_EQ(dot.labelled("w\nf32 [2,3]").id[0], 'l');
    EXPECT_FALSE(dot.labelled("w\nf32 [2,3]").dashed());
    EXPECT_TRUE(dot.labelled("x\nf32 [4,3]").dashed());
    EXPECT_NE(dot.labelled("w\nf32 [2,3]").colour(), dot.labelled("x\nf32 [4,3]").colour());
    const DotNode &grad = dot.labelled("w.grad\nf32 [2,3]\nafter #");
    EXPECT_EQ(grad.attributes.at("shape"), "note");
    EXPECT_NE(grad.colour(), dot.labelled("w\nf32 [2,3]").colour());
    // Gradients add up in two records, and they are red.
    int red = 0;
    for (const auto &[id, node] : dot.nodes) red += node.red();
    EXPECT_EQ(red, 2);
    EXPECT_TRUE(dot.record(number("r" + grad.label().substr(grad.label().find('#') + 1))).red());
}

TEST_F(TapeDot, DrawsSolidWhatRequiresAGradient)
{
    const ct_tensor x = leaf("x", {3}), w = parameter("w", {3});
    ct_mul(ctx, x, w);
    ct_exp(ctx, x);
    ct_no_grad_begin(ctx);
    ct_exp(ctx, w);
    ct_no_grad_end(ctx);
    const Dot dot = draw_and_compare();
    EXPECT_FALSE(dot.record(0).dashed());
    EXPECT_TRUE(dot.record(1).dashed());
    EXPECT_TRUE(dot.record(2).dashed());
    for (const DotEdge &e : dot.edges) {
        const bool from_x = e.tail[0] == 'l' && dot.node(e.tail).label()[0] == 'x';
        const bool to_value = e.head[0] == 'v';
        EXPECT_EQ(e.dashed(), from_x || (to_value && e.tail != "r0")) << e.tail << " -> " << e.head;
    }
}

TEST_F(TapeDot, ShowsFanOutAndWhereItsAdjointsAreSummed)
{
    const ct_tensor w = parameter("w", {3});
    const ct_tensor h = named(ct_exp(ctx, w), "h");
    backward(sum(ct_mul(ctx, ct_sin(ctx, h), ct_cos(ctx, h))));
    const Dot dot = draw_and_compare();
    int sums = 0;
    for (const auto &[id, node] : dot.nodes) {
        const bool says = node.label().find("\nsums adjoints") != std::string::npos;
        sums += says;
        EXPECT_EQ(node.red(), says || node.label().compare(0, 10, "accumulate") == 0) << node.label();
    }
    EXPECT_EQ(sums, 1);
    // h: a point in the forward pass, which the two read, and the backward pass does.
    const auto to_point = std::find_if(dot.edges.begin(), dot.edges.end(),
                                       [](const DotEdge &e) { return e.label() == "  h\n  f32 [3]"; });
    ASSERT_NE(to_point, dot.edges.end());
    EXPECT_EQ(dot.node(to_point->head).cluster, "forward");
    int readers = 0, grey = 0;
    for (const DotEdge &e : dot.edges) {
        if (e.tail != to_point->head) continue;
        ++readers;
        grey += e.grey();
        EXPECT_EQ(e.grey(), dot.node(e.head).cluster == "backward");
    }
    EXPECT_EQ(readers - grey, 2);
    EXPECT_GT(grey, 0);
}

TEST_F(TapeDot, ReadsATensorTwiceInOneRecord)
{
    const ct_tensor w = parameter("w", {3});
    const ct_tensor y = ct_neg(ctx, w);
    ct_mul(ctx, y, y);
    ct_add(ctx, w, w);
    draw_and_compare();
}

TEST_F(TapeDot, ShowsSecondOrder)
{
    const ct_tensor w = parameter("w", {3});
    const ct_tensor y = sum(ct_mul(ctx, w, ct_exp(ctx, w)));
    ct_tensor g;
    ctx.check(ct_gradients(ctx, 1, &y, nullptr, 1, &w, &g, CT_CREATE_GRAPH), "ct_gradients");
    backward(sum(ct_square(ctx, g)));
    const Dot dot = draw_and_compare();
    int solid = 0;
    for (const auto &[id, node] : dot.nodes) solid += node.cluster == "backward" && id[0] == 'r' && !node.dashed();
    EXPECT_GT(solid, 2) << "the first backward pass is itself differentiated";
}

TEST_F(TapeDot, ShowsEveryStateOfALeafThatIsWritten)
{
    const ct_tensor w = parameter("w", {3}), v = leaf("v", {3}), ring = leaf("ring", {4});
    ctx.check(ct_assign(ctx, v, ct_neg(ctx, w)), "assign");
    ctx.check(ct_accumulate(ctx, v, w), "accumulate");
    const ct_tensor s = sum(ct_mul(ctx, v, w));
    ctx.check(ct_accumulate(ctx, v, v), "accumulate");
    ctx.check(ct_append(ctx, ring, s), "append");
    ctx.check(ct_zero_grad(ctx, w), "ct_zero_grad");
    const Dot dot = draw_and_compare();
    EXPECT_EQ(dot.labelled("v\nf32 [3]").label(), "v\nf32 [3]\nafter #5") << "as it was found it is never read";
    EXPECT_NE(dot.labelled("append").label().find("\n+1 of state"), std::string::npos);
    EXPECT_EQ(dot.clusters, (std::vector<std::string>{"forward", "update"}));
}

TEST_F(TapeDot, KnowsALeafThatTheHostWroteInBetween)
{
    const ct_tensor x = leaf("x", {3});
    ct_neg(ctx, x);
    ctx.write(x, {1, 2, 3});
    ct_exp(ctx, x);
    const Dot dot = draw();
    int boxes = 0;
    for (const auto &[id, node] : dot.nodes) boxes += id[0] == 'l';
    EXPECT_EQ(boxes, 2);
    EXPECT_EQ(dot.title.substr(0, dot.title.find('\n')), "step 1: 2 records, the first 1 of them played");
}

TEST_F(TapeDot, ShowsAStepInSeveralSegments)
{
    const ct_tensor w = parameter("w", {3}), x = leaf("x", {3});
    const ct_tensor loss = sum(ct_square(ctx, ct_mul(ctx, w, x)));
    ctx.read(loss);
    backward(loss);
    ctx.read(ct_grad(ctx, w));
    ctx.check(ct_assign(ctx, x, ct_grad(ctx, w)), "assign");
    draw_and_compare();
}

TEST_F(TapeDot, ShowsATrainingStep)
{
    Training training;
    ASSERT_TRUE(training.create(ctx));
    ct_tensor x, y;
    ctx.check(ct_loader_next(training.loader, &x, &y), "ct_loader_next");
    const ct_tensor loss = ct_cross_entropy(ctx, ct_mlp_forward(training.mlp, x), y, 0.1, -100, CT_REDUCE_SUM);
    ctx.check(ct_optimizer_zero_grad(training.optimizer), "zero_grad");
    backward(named(loss, "loss"));
    ct_tensor norm;
    ctx.check(ct_clip_grad_norm(ct_mlp_params(training.mlp), 0.5, &norm), "ct_clip_grad_norm");
    ctx.check(ct_optimizer_step(training.optimizer), "ct_optimizer_step");
    const Dot dot = draw_and_compare();
    EXPECT_EQ(dot.clusters, (std::vector<std::string>{"data", "forward", "update_before", "backward", "update"}));
    EXPECT_EQ(dot.labelled("gather").label(), "gather #0\nshuffle=1\n+1 of state");
    EXPECT_EQ(dot.labelled("zero").cluster, "update_before");
    EXPECT_EQ(dot.labelled("adam").cluster, "update");
    EXPECT_NE(dot.labelled("adam").label().find("lr=0.001 beta1=0.9 beta2=0.999 eps=1e-08\n+9 of state"),
              std::string::npos);
    EXPECT_NE(dot.labelled("clip_scale").label().find("max_norm=0.5"), std::string::npos);
    EXPECT_NE(dot.labelled("cross_entropy").label().find("reduction=sum label_smoothing=0.1"), std::string::npos);
}

TEST_F(TapeDot, KeepsNamesAsTheyAre)
{
    const std::string odd = "\"q\" \\N \\l a&amp;b <b>{x|y}</b> %s \xc3\xbc \xe2\x88\x91";
    const ct_tensor w = parameter(odd.c_str(), {3});
    const ct_tensor y = named(ct_exp(ctx, w), odd.c_str());
    ct_neg(ctx, y);
    ct_neg(ctx, named(ct_exp(ctx, w), "two\nlines\\\xff"));
    const Dot dot = draw();
    EXPECT_EQ(dot.labelled(odd + "\n").label(), odd + "\nf32 [3]");
    std::set<std::string> labels;
    for (const DotEdge &e : dot.edges) labels.insert(e.label());
    EXPECT_TRUE(labels.count("  " + odd + "\n  f32 [3]"));
    EXPECT_TRUE(labels.count("  two\\nlines\\\\xff\n  f32 [3]")) << ::testing::PrintToString(labels);
}

TEST_F(TapeDot, OfNothingIsAnEmptyGraph)
{
    const Dot dot = draw();
    EXPECT_TRUE(dot.nodes.empty());
    EXPECT_EQ(dot.title.substr(0, dot.title.find('\n')), "step 1: nothing is recorded");
    // So is that of a step that failed; the error stands on.
    const ct_tensor w = parameter("w", {3});
    ct_exp(ctx, w);
    ct_matmul(ctx, w, w);
    EXPECT_TRUE(draw().nodes.empty());
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul"}));
}

TEST_F(TapeDot, SaysWhatItLeavesOut)
{
    ct_tensor x = parameter("w", {3});
    for (int i = 0; i < 1200; ++i) x = ct_neg(ctx, x);
    ctx.check(ct_tape_to_dot(ctx, dir.path("step.dot").c_str()), "ct_tape_to_dot");
    const Dot dot(dir.read("step.dot"));
    EXPECT_EQ(dot.title.substr(0, dot.title.find('\n')), "step 1: 1200 records; the last 200 are left out");
    EXPECT_EQ(dot.nodes.size(), 1000u + 2) << "a box, and a point at the end";
    ctx.end_step();

    ct_params *params;
    ct_optimizer *sgd;
    ctx.check(ct_params_create(ctx, &params), "ct_params_create");
    for (int i = 0; i < 200; ++i) {
        const std::string name = "w" + std::to_string(i);
        ctx.check(ct_params_add(params, name.c_str(), parameter(name.c_str(), {2})), "ct_params_add");
    }
    ctx.check(ct_sgd_create(ctx, params, nullptr, &sgd), "ct_sgd_create");
    ctx.check(ct_optimizer_step(sgd), "ct_optimizer_step");
    EXPECT_NE(draw().record(0).label().find("\n145 more operands left out"), std::string::npos)
        << "401: the count, and two for each of 200";
    ct_optimizer_destroy(sgd);
    ct_params_destroy(params);
}

TEST_F(TapeDot, ChangesNothing)
{
    const ct_tensor w = parameter("w", {3});
    const ct_tensor y = sum(ct_square(ctx, w));
    ct_stats before, after;
    ctx.check(ct_get_stats(ctx, &before), "ct_get_stats");
    draw();
    ctx.check(ct_get_stats(ctx, &after), "ct_get_stats");
    EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << "it neither records nor flushes";
    backward(y);
    ctx.end_step();
}

TEST_F(TapeDot, NamesThePathThatCannotBeWritten)
{
    const std::string path = dir.path("no/step.dot");
    EXPECT_TRUE(reported(ctx, ct_tape_to_dot(ctx, path.c_str()), CT_ERR_IO,
                         {path.c_str(), "cannot write", "No such file or directory"}));
    EXPECT_TRUE(reported(ctx, ct_tape_to_dot(ctx, nullptr), CT_ERR_ARGUMENT, {"ct_tape_to_dot", "NULL"}));
}

} // namespace
