/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "ge/ge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool can_execute(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return false;
    if (!S_ISREG(st.st_mode)) {
        errno = EACCES;
        return false;
    }
    return access(path, X_OK) == 0;
}

/* As execvp(3): an empty part of PATH is the current directory; what cannot be executed
 * is passed over. */
static bool look_up(const char *program, char path[PATH_MAX])
{
    const char *part = getenv("PATH");
    int error = ENOENT;

    if (!part)
        part = "/bin:/usr/bin";
    for (;;) {
        size_t length = strcspn(part, ":");
        int n = snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, part,
                         length ? "/" : "", program);

        if (n > 0 && n < PATH_MAX) {
            if (can_execute(path))
                return true;
            if (errno == EACCES)
                error = EACCES;
        }
        if (!part[length])
            break;
        part += length + 1;
    }
    errno = error;
    return false;
}

/* execve(2) says ENOENT when it is the interpreter that is missing. A file that cannot
 * be read is left to the kernel. */
static int check_interpreter(const char *path, struct err *e)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char line[256]; /* BINPRM_BUF_SIZE, Linux 5.1 */
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    char *word;

    if (n < 2 || line[0] != '#' || line[1] != '!')
        return 0;
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    word = line + 2 + strspn(line + 2, " \t");
    word[strcspn(word, " \t")] = '\0';
    if (*word && !can_execute(word))
        return err_sys(e, "%s: its interpreter %s", path, word);
    return 0;
}

int ge_command_check(const struct ge_command *c, struct err *e)
{
    char found[PATH_MAX];
    const char *path = c->path;

    if (!strchr(path, '/')) {
        if (!look_up(path, found))
            return err_sys(e, "%s", path);
        path = found;
    } else if (!can_execute(path)) {
        return err_sys(e, "%s", path);
    }
    return check_interpreter(path, e);
}
