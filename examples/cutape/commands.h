/* The subcommands of the program `cutape`. Each gets the arguments after its own name and returns the exit
 * status: 0 done, 1 it failed while running, 2 it was called wrongly. */
#ifndef CUTAPE_EXAMPLES_COMMANDS_H
#define CUTAPE_EXAMPLES_COMMANDS_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_train(int argc, char **argv);
int command_profile(int argc, char **argv);
int command_info(int argc, char **argv);

#endif
