// ct_tape_print: a listing to the letter, what it says of names, segments and state, and
// where it goes: to a file that is whole or not there, or to the log.
#include "support/context.h"
#include "support/errors.h"
#include "support/temp_dir.h"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

class TapePrint : public ::testing::Test
{
  protected:
    ct_tensor parameter(const char *name, const std::vector<int64_t> &shape)
    {
        const ct_tensor x = named(ct_leaf(ctx, CT_F32, static_cast<int>(shape.size()), shape.data(), nullptr), name);
        ctx.check(ct_set_requires_grad(ctx, x, true), "ct_set_requires_grad");
        return x;
    }
    ct_tensor named(ct_tensor x, const char *name)
    {
        ctx.check(ct_set_name(ctx, ctx.check(x, name), name), "ct_set_name");
        return x;
    }
    std::string listing()
    {
        ctx.check(ct_tape_print(ctx, dir.path("tape.txt").c_str()), "ct_tape_print");
        return dir.read("tape.txt");
    }
    // The lines with these words; a test looks at few.
    std::string lines_with(const std::string &words)
    {
        std::istringstream lines(listing());
        std::string found;
        for (std::string line; std::getline(lines, line);)
            if (line.find(words) != std::string::npos) found += line + "\n";
        return found;
    }

    TempDir dir;
    Context ctx;
};

TEST_F(TapePrint, HasALineForEachRecord)
{
    const int64_t x_shape[] = {4, 3};
    const ct_tensor x = named(ct_leaf(ctx, CT_F32, 2, x_shape, nullptr), "x");
    const ct_tensor w = parameter("w", {2, 3}), b = parameter("b", {2});
    const ct_tensor h = named(ct_linear(ctx, x, w, b, CT_ACT_TANH), "h");
    const ct_tensor loss = ct_mean(ctx, ct_mul(ctx, h, ct_add(ctx, h, h)), 0, nullptr, false);
    ct_zero_grad(ctx, w);
    ctx.check(ct_backward(ctx, loss), "ct_backward");
    EXPECT_EQ(listing(), R"(step 1: 18 records
#     phase     grad  op               rule of  reads -> writes  (* requires a gradient)
0     forward   grad  linear                    x f32 [4,3], w f32 [2,3]*, b f32 [2]* -> h f32 [4,2]* activation=tanh
1     forward   grad  add                       h f32 [4,2]*, h f32 [4,2]* -> %1 f32 [4,2]*
2     forward   grad  mul                       h f32 [4,2]*, %1 f32 [4,2]* -> %2 f32 [4,2]*
3     forward   grad  sum                       %2 f32 [4,2]* -> %3 f32 []* factor=0.125
4     update    -     zero                      -> w.grad f32 [2,3]
5     backward  -     fill                      -> %4 f32 [] value=1
6     backward  -     mul_scalar       3        %4 f32 [] -> %5 f32 [] s=0.125
7     backward  -     reshape          3        %5 f32 [] -> %6 f32 [1,1]
8     backward  -     expand           3        %6 f32 [1,1] -> %7 f32 [4,2]
9     backward  -     mul              2        %1 f32 [4,2]*, %7 f32 [4,2] -> %8 f32 [4,2]
10    backward  -     mul              2        h f32 [4,2]*, %7 f32 [4,2] -> %9 f32 [4,2]
11    backward  -     add              1        %8 f32 [4,2], %9 f32 [4,2] -> %10 f32 [4,2]  sums adjoints
12    backward  -     add              1        %10 f32 [4,2], %9 f32 [4,2] -> %11 f32 [4,2]  sums adjoints
13    backward  -     act_grad         0        %11 f32 [4,2], h f32 [4,2]* -> %12 f32 [4,2] activation=tanh
14    backward  -     matmul           0        %12 f32 [4,2], x f32 [4,3] -> %13 f32 [2,3] ta=1
15    backward  -     sum              0        %12 f32 [4,2] -> %14 f32 [2] dims=0
16    backward  -     accumulate                w.grad f32 [2,3], %13 f32 [2,3] -> w.grad f32 [2,3]
17    backward  -     accumulate                b.grad f32 [2], %14 f32 [2] -> b.grad f32 [2]
)");
}

TEST_F(TapePrint, TellsWhatHooksRecorded)
{
    const ct_tensor w = parameter("w", {2}), h = named(ct_square(ctx, w), "h");
    for (const ct_tensor x : {w, h}) {
        const auto twice = [](ct_context *c, ct_tensor g, void *) { return ct_mul_scalar(c, g, 2); };
        ctx.check(ct_on_gradient(ctx, x, twice, nullptr), "ct_on_gradient");
    }
    ctx.check(ct_backward(ctx, ct_sum(ctx, h, 0, nullptr, false)), "ct_backward");
    EXPECT_EQ(lines_with("hook"),
              R"(5     backward  -     mul_scalar       hook     %4 f32 [2] -> %5 f32 [2] s=2  hook of h
8     backward  -     mul_scalar       hook     %7 f32 [2] -> %8 f32 [2] s=2  hook of w
)");
    EXPECT_NE(lines_with("mul ").find(" mul              0        %5 f32 [2], %6 f32 [2]"), std::string::npos)
        << listing();
}

TEST_F(TapePrint, OfNothingSaysSo)
{
    EXPECT_EQ(listing(), "step 1: nothing is recorded\n");
    named(ct_exp(ctx, parameter("w", {2})), "y");
    ctx.end_step();
    EXPECT_EQ(listing(), "step 2: nothing is recorded\n");
}

TEST_F(TapePrint, OfAStepThatFailedIsOfNothing)
{
    const ct_tensor w = parameter("w", {2});
    ct_exp(ctx, w);
    EXPECT_EQ(ct_matmul(ctx, w, w).bits, 0u);
    EXPECT_EQ(ct_error(ctx), CT_ERR_SHAPE);
    EXPECT_EQ(listing(), "step 2: nothing is recorded\n");
    EXPECT_TRUE(failed(ctx, CT_ERR_SHAPE, {"matmul"})) << "the standing error is another's";
}

TEST_F(TapePrint, NumbersWhatHasNoName)
{
    const ct_tensor w = parameter("", {2});
    ct_exp(ctx, ct_neg(ctx, w));
    EXPECT_NE(lines_with("neg").find("leaf 0 f32 [2]* -> %0 f32 [2]*\n"), std::string::npos) << listing();
    EXPECT_NE(lines_with("exp").find("%0 f32 [2]* -> %1 f32 [2]*\n"), std::string::npos) << listing();
}

TEST_F(TapePrint, KeepsNamesOnOneLine)
{
    const ct_tensor w = parameter("a\nb\tc \"q\" \\N \xc3\xbc \xff \xed\xa0\x80", {2});
    ct_exp(ctx, w);
    EXPECT_NE(lines_with("exp").find("a\\nb\\x09c \"q\" \\N \xc3\xbc \\xff \\xed\\xa0\\x80 f32 [2]*"),
              std::string::npos)
        << listing();
    // A name without end is cut, and never within a character.
    named(w, (std::string(99, 'x') + "\xc3\xbc" + "y").c_str());
    EXPECT_NE(lines_with("exp").find(" " + std::string(99, 'x') + "... f32"), std::string::npos) << listing();
    named(w, std::string(100, 'x').c_str());
    EXPECT_NE(lines_with("exp").find(" " + std::string(100, 'x') + " f32"), std::string::npos) << listing();
}

TEST_F(TapePrint, TellsWhatWasPlayed)
{
    const ct_tensor y = ct_exp(ctx, parameter("w", {2}));
    ct_neg(ctx, y);
    ctx.read(y);
    ct_square(ctx, y);
    EXPECT_EQ(listing().substr(0, 45), "step 1: 3 records, the first 2 of them played");
}

TEST_F(TapePrint, HasNoLimit)
{
    ct_tensor x = parameter("w", {2});
    for (int i = 0; i < 3000; ++i) x = ct_neg(ctx, x);
    EXPECT_EQ(lines_with("-> %2999"),
              "2999  forward   grad  neg                       %2998 f32 [2]* -> %2999 f32 [2]*\n");
}

// ---- where it goes -----------------------------------------------------------------------

int files_in(const TempDir &dir)
{
    int files = 0;
    for (const auto &entry : std::filesystem::directory_iterator(dir.path(""))) files += entry.is_regular_file();
    return files;
}

TEST(TapePrintLog, GetsWholeLinesOfAnyLength)
{
    std::vector<std::string> lines;
    ct_config config = {};
    config.log = [](void *user, const char *line) { static_cast<std::vector<std::string> *>(user)->push_back(line); };
    config.log_user = &lines;
    Context ctx(devices().front(), config);
    ct_params *params;
    ctx.check(ct_params_create(ctx, &params), "ct_params_create");
    for (int i = 0; i < 100; ++i) {
        const ct_tensor w = ctx.leaf(CT_F32, {2}, {1, 2});
        ctx.check(ct_set_requires_grad(ctx, w, true), "ct_set_requires_grad");
        ctx.check(ct_params_add(params, ("parameter." + std::to_string(i)).c_str(), w), "ct_params_add");
    }
    ct_optimizer *sgd;
    ctx.check(ct_sgd_create(ctx, params, nullptr, &sgd), "ct_sgd_create");
    ctx.check(ct_optimizer_step(sgd), "ct_optimizer_step");
    ctx.check(ct_tape_print(ctx, nullptr), "ct_tape_print");
    ct_optimizer_destroy(sgd);
    ct_params_destroy(params);
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0], "step 1: 1 record");
    EXPECT_GT(lines[2].size(), 4000u);
    EXPECT_NE(lines[2].find("-> parameter.0 f32 [2]*"), std::string::npos);
    EXPECT_NE(lines[2].find("parameter.99 f32 [2]*  +1 of state lr=0.001"), std::string::npos) << lines[2];
}

TEST_F(TapePrint, NamesThePathThatCannotBeWritten)
{
    const auto fails = [&](const std::string &path, const char *why) {
        return reported(ctx, ct_tape_print(ctx, path.c_str()), CT_ERR_IO, {path.c_str(), "cannot write", why});
    };
    EXPECT_TRUE(fails(dir.path("no/such/folder.txt"), "No such file or directory"));
    EXPECT_TRUE(fails(dir.path(""), "Is a directory"));
    EXPECT_TRUE(fails(dir.path(std::string(300, 'x')), "File name too long"));
    EXPECT_TRUE(reported(ctx, ct_tape_print(ctx, ""), CT_ERR_IO, {"cannot write", "No such file or directory"}));
    if (access("/dev/full", W_OK) == 0) {
        EXPECT_TRUE(fails("/dev/full", "No space left on device"));
    }
    if (geteuid() != 0) { // whom nothing stops
        const std::string path = dir.write("kept.txt", "mine");
        ASSERT_EQ(chmod(path.c_str(), 0400), 0);
        EXPECT_TRUE(fails(path, "Permission denied"));
        EXPECT_EQ(dir.read("kept.txt"), "mine");
    }
}

TEST_F(TapePrint, LeavesNothingBesideTheFile)
{
    dir.write("tape.txt", "an old and longer listing, which is to go: " + std::string(5000, 'x'));
    ASSERT_EQ(chmod(dir.path("tape.txt").c_str(), 0640), 0);
    EXPECT_EQ(listing(), "step 1: nothing is recorded\n");
    EXPECT_EQ(files_in(dir), 1);
    struct stat info;
    ASSERT_EQ(stat(dir.path("tape.txt").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u) << "the old file's";
}

TEST_F(TapePrint, WritesThroughALink)
{
    dir.write("real.txt", "old");
    ASSERT_EQ(symlink("real.txt", dir.path("tape.txt").c_str()), 0);
    EXPECT_EQ(listing(), "step 1: nothing is recorded\n");
    EXPECT_TRUE(std::filesystem::is_symlink(dir.path("tape.txt")));
    EXPECT_EQ(dir.read("real.txt"), "step 1: nothing is recorded\n");
}

// Lets no file of this process grow beyond some bytes while it lives.
class FullDisk
{
  public:
    explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN))
    {
        getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit less = {bytes, old_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &less);
    }
    ~FullDisk()
    {
        setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, handler_);
    }

  private:
    rlimit old_;
    void (*handler_)(int);
};

TEST_F(TapePrint, LeavesTheOldFileWhenTheDiskIsFull)
{
    const std::string path = dir.write("tape.txt", "old");
    ct_tensor x = parameter("w", {2});
    for (int i = 0; i < 1000; ++i) x = ct_neg(ctx, x);
    ct_status status;
    {
        const FullDisk disk(4096);
        status = ct_tape_print(ctx, path.c_str());
    }
    EXPECT_TRUE(reported(ctx, status, CT_ERR_IO, {path.c_str(), "cannot write", "File too large"}));
    EXPECT_EQ(dir.read("tape.txt"), "old");
    EXPECT_EQ(files_in(dir), 1);
}

TEST_F(TapePrint, WritesToWhatIsNoFile)
{
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    ctx.check(ct_tape_print(ctx, ("/dev/fd/" + std::to_string(ends[1])).c_str()), "ct_tape_print");
    char text[200] = {};
    EXPECT_GT(read(ends[0], text, sizeof text - 1), 0);
    EXPECT_STREQ(text, "step 1: nothing is recorded\n");
    close(ends[0]);
    close(ends[1]);
}

} // namespace
