/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A unix listener with a path, one without (abstract), and connections made before. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "victim.h"

static int listener(const struct sockaddr_un *a, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    NEED(fd >= 0);
    NEED(bind(fd, (const struct sockaddr *)a, len) == 0);
    NEED(listen(fd, 5) == 0);
    return fd;
}

static int connection(const struct sockaddr_un *a, socklen_t len)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)a, len) == 0)
        return fd;
    return -1;
}

static void talk(const char *what, int one, int two)
{
    char buf[8] = "";

    CHECK(what, write(one, "ping", 4) == 4 && read(two, buf, 4) == 4 &&
                    strcmp(buf, "ping") == 0);
}

int main(void)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "fd_unix.sock"};
    struct sockaddr_un abstract = {.sun_family = AF_UNIX}, name;
    socklen_t path_len = sizeof(path), abstract_len, len = sizeof(name);
    int by_path, by_abstract, client, server, on = 0;

    abstract_len =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                    (size_t)snprintf(abstract.sun_path + 1, 60, "victim-%d-%lld",
                                     (int)getpid(), (long long)victim_now_ms()));
    unlink(path.sun_path);
    by_path = listener(&path, path_len);
    by_abstract = listener(&abstract, abstract_len);
    client = connection(&path, path_len);
    server = accept(by_path, NULL, NULL);
    NEED(client >= 0 && server >= 0);
    victim_wait();
    talk("connection from before", client, server);
    talk("and back", server, client);
    CHECK_INT("the listener's name",
              getsockname(by_path, (struct sockaddr *)&name, &len), 0);
    CHECK_STR("is the path", name.sun_path, path.sun_path);
    len = sizeof(on);
    CHECK("it still listens",
          getsockopt(by_path, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on == 1);
    client = connection(&path, path_len);
    CHECK("connect to the path", client >= 0);
    if (client >= 0) {
        server = accept(by_path, NULL, NULL);
        talk("new connection", client, server);
    }
    client = connection(&abstract, abstract_len);
    CHECK("connect to the abstract name", client >= 0);
    if (client >= 0) {
        server = accept(by_abstract, NULL, NULL);
        talk("abstract connection", client, server);
    }
    unlink(path.sun_path);
    return victim_end();
}
