/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ge/tool.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "base/spawn.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* qstat has about 400 bytes a job: enough for more than 100,000 jobs of one user. */
enum { OUTPUT_SIZE_MAX = 64 << 20 };

/* The value of `key` in the cell's bootstrap file, bootstrap(5): "key value" lines. */
static char *bootstrap_get(const char *root, const char *key)
{
    const char *cell = getenv("SGE_CELL");
    auto_free char *name = NULL, *text = NULL;
    struct err ignored = {0};
    size_t length = strlen(key);

    if (asprintf(&name, "%s/%s/common/bootstrap", root,
                 cell && *cell ? cell : "default") < 0) {
        name = NULL;
        return NULL;
    }
    if (io_read_file(AT_FDCWD, name, 1 << 16, &text, NULL, &ignored) < 0)
        return NULL;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, key, length) == 0 &&
            (line[length] == ' ' || line[length] == '\t'))
            return strdup(line + length + strspn(line + length, " \t"));
    return NULL;
}

static bool try_directory(char path[PATH_MAX], const char *program,
                          const char *directory, const char *arch)
{
    int n = arch ? snprintf(path, PATH_MAX, "%s/%s/%s", directory, arch, program)
                 : snprintf(path, PATH_MAX, "%s/%s", directory, program);

    return n > 0 && n < PATH_MAX && path[0] == '/' && access(path, X_OK) == 0;
}

/* binary_path is right as it is (Debian) or has a directory for each architecture
 * (everybody else). */
static int find(char path[PATH_MAX], const char *program, struct err *e)
{
    const char *root = getenv("SGE_ROOT"), *binaries = getenv("SGE_BINARY_PATH");
    const char *arch = getenv("SGE_ARCH");
    auto_free char *bin = NULL, *configured = NULL;

    if (!arch || !*arch)
        arch = getenv("ARC");
    if (!arch || !*arch)
        arch = "lx-amd64";
    if (binaries && try_directory(path, program, binaries, NULL))
        return 0;
    if (root && asprintf(&bin, "%s/bin", root) < 0)
        bin = NULL;
    if (bin && (try_directory(path, program, bin, arch) ||
                try_directory(path, program, bin, NULL)))
        return 0;
    configured = root ? bootstrap_get(root, "binary_path") : NULL;
    if (configured && (try_directory(path, program, configured, arch) ||
                       try_directory(path, program, configured, NULL)))
        return 0;
    if (try_directory(path, program, "/usr/bin", NULL))
        return 0;
    return err_set(e, ERR_NOTHING,
                   "there is no %s in SGE_BINARY_PATH (%s) or below SGE_ROOT (%s)",
                   program, binaries ? binaries : "not set", root ? root : "not set");
}

/* They explain themselves in several lines; the first says what is wrong. */
static const char *first_line(struct spawn_output *output)
{
    char *text = output->err[0] ? output->err : output->out;

    text[strcspn(text, "\n")] = '\0';
    return text[0] ? text : "failed without a word";
}

int ge_tool_run(char *const *argv, unsigned timeout_ms, struct spawn_output *output,
                struct err *e)
{
    char path[PATH_MAX];
    const struct spawn_how how = {.path = path,
                                  .argv = argv,
                                  .timeout_ms = timeout_ms,
                                  .max_size = OUTPUT_SIZE_MAX};

    if (find(path, argv[0], e) < 0 || spawn_run(&how, output, e) < 0)
        return -1;
    if (!WIFEXITED(output->status) || WEXITSTATUS(output->status) != 0) {
        const char *said = first_line(output);

        return err_set(e, strstr(said, "denied:") ? ERR_REFUSED : ERR_FAILED,
                       "%s %s %s: %s", path, argv[1], argv[2] ? argv[2] : "", said);
    }
    if (strlen(output->out) != output->out_size)
        return err_set(e, ERR_CORRUPT, "%s prints a NUL", path);
    return 0;
}
