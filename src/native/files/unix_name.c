/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/files/unix_name.h"

#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { HEAD = offsetof(struct sockaddr_un, sun_path) };

static bool is_path(const struct unix_name *n)
{
    return n->size > 0 && n->address.sun_path[0];
}

/* ---- saving ---- */

/* The mode of the path, and the directory where a relative one starts. */
static int look_at_path(struct unix_name *n, pid_t host_pid, struct err *e)
{
    char directory[PATH_MAX], path[PATH_MAX + sizeof(n->address) + 64];
    struct stat st;
    ssize_t size;

    if (n->address.sun_path[0] == '/') {
        snprintf(path, sizeof(path), "/proc/%d/root%s", host_pid, n->address.sun_path);
    } else {
        snprintf(path, sizeof(path), "/proc/%d/cwd", host_pid);
        size = readlink(path, directory, sizeof(directory) - 1);
        if (size < 0)
            return err_sys(e, "%s", path);
        directory[size] = 0;
        n->directory = strdup(directory);
        if (!n->directory)
            return err_sys(e, "%s", path);
        snprintf(path, sizeof(path), "/proc/%d/cwd/%s", host_pid, n->address.sun_path);
    }
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        n->mode = S_IFSOCK | (st.st_mode & 07777);
    return 0;
}

int unix_name_read(struct unix_name *n, int sock, bool peer, pid_t host_pid,
                   struct err *e)
{
    /* The kernel may return one byte more than the structure has. */
    char room[sizeof(struct sockaddr_un) + 1] = {0};
    struct sockaddr *address = (struct sockaddr *)room;
    socklen_t size = sizeof(room) - 1;

    *n = (struct unix_name){.address.sun_family = AF_UNIX};
    if ((peer ? getpeername(sock, address, &size) : getsockname(sock, address, &size)) <
            0 ||
        size <= HEAD)
        return 0;
    if (size > sizeof(struct sockaddr_un))
        size = sizeof(struct sockaddr_un);
    memcpy(&n->address, room, size);
    n->size = size - HEAD;
    return is_path(n) && !peer ? look_at_path(n, host_pid, e) : 0;
}

bool unix_name_has_peer(int sock)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    return getpeername(sock, (struct sockaddr *)&address, &size) == 0;
}

void unix_name_free(struct unix_name *n)
{
    free(n->directory);
    n->directory = NULL;
}

void unix_name_encode(struct enc *c, const struct unix_name *n)
{
    enc_bytes(c, n->address.sun_path, n->size);
    enc_string(c, n->directory);
    enc_u32(c, n->mode);
}

int unix_name_decode(struct dec *d, struct unix_name *n)
{
    size_t size;
    const void *path = dec_bytes(d, &size);

    *n = (struct unix_name){.address.sun_family = AF_UNIX};
    if (d->failed || size > sizeof(n->address.sun_path))
        return -1;
    if (size)
        memcpy(n->address.sun_path, path, size);
    n->size = size;
    n->directory = dec_string(d);
    n->mode = dec_u32(d);
    return d->failed ? -1 : 0;
}

bool unix_name_is(const struct unix_name *a, const struct unix_name *b)
{
    return a->size && a->size == b->size &&
           memcmp(a->address.sun_path, b->address.sun_path, a->size) == 0;
}

/* ---- restoring ---- */

const char *unix_name_text(const struct unix_name *n)
{
    static char text[sizeof(n->address.sun_path) + 2];

    if (n->size == 0)
        return "an unnamed socket";
    snprintf(text, sizeof(text), "%s%.*s", is_path(n) ? "" : "@",
             (int)n->size - !is_path(n), n->address.sun_path + !is_path(n));
    return text;
}

/* Nobody answers at the path, and it is ours. */
static bool is_dead(const struct unix_name *n, int type)
{
    auto_fd int probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    return probe >= 0 && lstat(n->address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
           st.st_uid == geteuid() && unix_name_connect(n, probe) < 0 &&
           errno == ECONNREFUSED;
}

static int bind_path(const struct unix_name *n, int sock, int type, struct err *e)
{
    const struct sockaddr *address = (const struct sockaddr *)&n->address;
    char path[sizeof(n->address.sun_path) + 1];
    int status = bind(sock, address, HEAD + n->size);

    if (status < 0 && errno == ENOENT && n->address.sun_path[0] == '/') {
        snprintf(path, sizeof(path), "%.*s", (int)n->size, n->address.sun_path);
        files_make_parents(path);
        status = bind(sock, address, HEAD + n->size);
    }
    if (status < 0 && errno == EADDRINUSE && is_dead(n, type)) {
        if (unlink(n->address.sun_path) < 0)
            return err_sys(e, "remove the old socket %s", unix_name_text(n));
        status = bind(sock, address, HEAD + n->size);
    }
    if (status < 0)
        return err_sys(e, "bind a unix socket to %s", unix_name_text(n));
    if (chmod(n->address.sun_path, n->mode & 07777) < 0)
        return err_sys(e, "mode of %s", unix_name_text(n));
    return 0;
}

int unix_name_bind(const struct unix_name *n, int sock, int type, struct err *e)
{
    const struct sockaddr *address = (const struct sockaddr *)&n->address;
    auto_fd int here = -1;
    int status;

    if (n->size == 0 || (is_path(n) && n->mode == 0)) {
        if (bind(sock, address, HEAD) < 0) /* autobind, unix(7) */
            return err_sys(e, "bind a unix socket");
        return 0;
    }
    if (!is_path(n)) {
        if (bind(sock, address, HEAD + n->size) < 0)
            return err_sys(e, "bind a unix socket to %s", unix_name_text(n));
        return 0;
    }
    if (!n->directory)
        return bind_path(n, sock, type, e);
    here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (here < 0 || chdir(n->directory) < 0)
        return err_sys(e, "directory %s of the unix socket %s", n->directory,
                       unix_name_text(n));
    status = bind_path(n, sock, type, e);
    if (fchdir(here) < 0)
        return err_sys(e, "return to the working directory");
    return status;
}

bool unix_name_is_bound(int sock)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    return getsockname(sock, (struct sockaddr *)&address, &size) == 0 && size > HEAD;
}

int unix_name_connect(const struct unix_name *n, int sock)
{
    return connect(sock, (const struct sockaddr *)&n->address, HEAD + n->size);
}

int unix_name_connect_back(int sock, int to)
{
    struct sockaddr_un address;
    socklen_t size = sizeof(address);

    if (getsockname(to, (struct sockaddr *)&address, &size) < 0)
        return -1;
    return connect(sock, (struct sockaddr *)&address, size);
}
