/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one program: dispatches by its name (Grid Engine's hooks) or by its first word.
 */
#include "base/err.h"
#include "base/scope.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/hook.h"
#include "engine/engine.h"

#include <fcntl.h>
#include <string.h>

static const struct command *const commands[] = {
    &cmd_run, &cmd_checkpoint, &cmd_restart, &cmd_show, &cmd_verify, &cmd_complexes};

static const char about_checkpoint[] =
    "A ckpt_command (checkpoint(5)): saves the job and returns when that is durable.\n";
static const char about_migrate[] =
    "A migr_command (checkpoint(5)): saves the job, which stops there, and is started\n"
    "again on another host.\n";
static const char about_migrate_cpu[] =
    "A migr_command (checkpoint(5)): makes the job ask for hosts that can continue "
    "it,\n"
    "and saves it; it stops there, and is started again on another host.\n";
static const char about_clean[] =
    "A clean_command (checkpoint(5)): removes the checkpoints of a job that is over.\n";

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, struct err *e);
    const char *about; /* for --help; NULL: `run` has its own */
} hooks[] = {{"qckpt-starter", cmd_hook_starter, NULL}, /* any word is the job's */
             {"qckpt-checkpoint", cmd_hook_checkpoint, about_checkpoint},
             {"qckpt-migrate", cmd_hook_migrate, about_migrate},
             {"qckpt-migrate-cpu", cmd_hook_migrate_cpu, about_migrate_cpu},
             {"qckpt-clean", cmd_hook_clean, about_clean},
             {"qckpt-sensor", cmd_hook_sensor, NULL},
             {"qckpt-jsv", cmd_hook_jsv, NULL},
             /* The names of gridengine_dmtcp, for sites that are configured for it. */
             {"dmtcp_starter", cmd_hook_starter, NULL},
             {"dmtcp_checkpoint", cmd_hook_checkpoint, about_checkpoint},
             {"dmtcp_migrate", cmd_hook_migrate, about_migrate},
             {"dmtcp_migrate_cpu", cmd_hook_migrate_cpu, about_migrate_cpu},
             {"dmtcp_cleanup", cmd_hook_clean, about_clean}};

enum {
    N_COMMANDS = sizeof(commands) / sizeof(commands[0]),
    N_HOOKS = sizeof(hooks) / sizeof(hooks[0]),
};

/* A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened,
 * and the job would find that as its standard file. */
static int open_standard_files(struct err *e)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return err_sys(e, "open /dev/null");
    } while (fd <= 2);
    close(fd);
    return 0;
}

/* Output that could not be written is a failure: a full disk, a closed pipe. */
static int finish_output(struct err *e)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_sys(e, "write to the standard output");
    return 0;
}

static void print_overview(FILE *out)
{
    fputs("Usage: qckpt COMMAND [OPTION]...\n\n"
          "Saves running jobs and restarts them.\n\nCommands:\n",
          out);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help         Explain a command\n\n"
          "qckpt --version prints the version.\n\n"
          "Exit status: 0 done, 1 failed, 2 usage, 3 refused (nothing was touched),\n"
          "4 nothing to restart from. run and restart: the job's own, and 75 when it\n"
          "was stopped at a checkpoint.\n",
          out);
}

static void print_command(const struct command *c, FILE *out)
{
    fprintf(out, "Usage: qckpt %s %s\n\n%s.\n\n", c->name, c->arguments, c->summary);
    opt_print(c->options, out);
    if (c->more)
        fprintf(out, "\n%s", c->more);
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name, struct err *e)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (str_is_near(name, commands[i]->name))
            return err_set(e, ERR_USAGE, "no command \"%s\"; did you mean %s?", name,
                           commands[i]->name);
    return err_set(e, ERR_USAGE, "no command \"%s\"; `qckpt help` lists them", name);
}

static int help(const char *name, struct err *e)
{
    const struct command *c;

    if (!name || strcmp(name, "help") == 0) {
        print_overview(stdout);
        return 0;
    }
    c = find_command(name);
    if (!c)
        return unknown_command(name, e);
    print_command(c, stdout);
    return 0;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_command(int argc, char **argv, struct err *e)
{
    const struct command *c = find_command(argv[0]);
    int rest;

    if (!c)
        return unknown_command(argv[0], e);
    if (argc > 1 && is_help(argv[1]))
        return help(c->name, e);
    if (opt_parse(c->options, argc, argv, &rest, e) < 0)
        return err_wrap(e, "%s", c->name);
    return c->run(argc - rest, argv + rest, e);
}

static int run_qckpt(int argc, char **argv, struct err *e)
{
    if (argc < 2) {
        print_overview(stderr);
        return err_set(e, ERR_USAGE, "a command is missing");
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("qckpt " QCKPT_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "help") == 0 || is_help(argv[1]))
        return help(argc > 2 && !is_help(argv[2]) ? argv[2] : NULL, e);
    return run_command(argc - 1, argv + 1, e);
}

/* Grid Engine puts a '-' before the name when it wants a login shell. */
static char *own_name(char *argv0)
{
    char *slash = strrchr(argv0, '/');
    char *name = slash ? slash + 1 : argv0;

    return *name == '-' ? name + 1 : name;
}

static int run_hook(int i, int argc, char **argv, struct err *e)
{
    if (!hooks[i].about || argc != 2 || !is_help(argv[1]))
        return hooks[i].run(argc, argv, e);
    printf("Usage: %s [$job_id $ja_task_id $ckpt_dir]\n\n%s\n"
           "Grid Engine calls it, in the job's environment: qckpt-hooks(8).\n",
           argv[0], hooks[i].about);
    return 0;
}

/* *name is what the program calls itself in messages. */
static int dispatch(int argc, char **argv, const char **name, struct err *e)
{
    char *own = argc > 0 ? own_name(argv[0]) : NULL;

    for (int i = 0; own && i < N_HOOKS; i++)
        if (strcmp(hooks[i].name, own) == 0) {
            *name = argv[0] = own;
            return run_hook(i, argc, argv, e);
        }
    return run_qckpt(argc, argv, e);
}

int main(int argc, char **argv)
{
    const char *name = "qckpt";
    struct err e = {0};

    engine_become_job(argc, argv);
    if (open_standard_files(&e) == 0 && dispatch(argc, argv, &name, &e) == 0 &&
        finish_output(&e) == 0)
        return 0;
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", name, e.text);
    return err_exit_status(e.kind);
}
