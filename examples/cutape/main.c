/* The program `cutape`: finds the subcommand and hands over to it. */
#include "commands.h"
#include "options.h"

#include <cutape/cutape.h>

#include <string.h>

static const struct {
    const char *name; /* first, for nearest_word */
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"train", command_train, "train a network on Fashion-MNIST, IDX or CSV files, or generated data"},
    {"profile", command_profile, "profile the steps of such a training: where their time goes"},
    {"info", command_info, "show the version and the devices found"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int help(void)
{
    puts("usage: cutape COMMAND [options]\n\nCommands");
    for (int i = 0; i < N_COMMANDS; i++) printf("  %-8s %s\n", commands[i].name, commands[i].help);
    puts("\n'cutape COMMAND --help' tells more, 'cutape --version' the version.");
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("cutape: no command given; type 'cutape train', 'cutape info' or 'cutape --help'\n", stderr);
        return EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) return help();
    if (strcmp(word, "--version") == 0) return printf("cutape %s\n", ct_version()) < 0;
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, word) == 0) return commands[i].run(argc - 2, argv + 2);
    }
    const char *near = nearest_word(word, commands, N_COMMANDS, sizeof *commands);
    if (near)
        fprintf(stderr, "cutape: no command '%s'; did you mean 'cutape %s'?\n", word, near);
    else
        fprintf(stderr, "cutape: no command '%s'; type 'cutape --help' for those there are\n", word);
    return EXIT_USAGE;
}
