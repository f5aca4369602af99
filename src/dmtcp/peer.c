/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/peer.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What the kernel says of a socket, or code: an errno. */
struct found {
    int code;
    struct inet_diag_msg socket;
};

/* Whether the address is one of this host's: only those can be bound. */
static bool is_local(struct in_addr address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = address};
    auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;
}

static int add_host(struct peer_hosts *hosts, const char *name, struct err *e)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int code = getaddrinfo(name, NULL, &hints, &list);

    if (code)
        return err_set(e, ERR_FAILED, "host %s of the job has no IPv4 address: %s",
                       name, gai_strerror(code));
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        struct in_addr address = ((struct sockaddr_in *)a->ai_addr)->sin_addr;
        struct in_addr *more;

        if (is_local(address))
            continue;
        more = realloc(hosts->addresses, (hosts->count + 1) * sizeof(*more));
        if (!more) {
            freeaddrinfo(list);
            return err_sys(e, "addresses of the job's hosts");
        }
        hosts->addresses = more;
        hosts->addresses[hosts->count++] = address;
    }
    freeaddrinfo(list);
    return 0;
}

int peer_resolve(const char *const *names, struct peer_hosts *hosts, struct err *e)
{
    *hosts = (struct peer_hosts){0};
    for (; names && *names; names++) {
        if (add_host(hosts, *names, e) < 0) {
            free(hosts->addresses);
            *hosts = (struct peer_hosts){0};
            return -1;
        }
    }
    return 0;
}

/* Asks for the one socket whose own end is `own` and whose other end is `other`. The
 * kernel answers before send returns, so nothing here waits. */
static struct found look_up(int diag, const struct sockaddr_in *own,
                            const struct sockaddr_in *other)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } ask = {
        .header = {.nlmsg_len = sizeof(ask),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = AF_INET,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = ~0U,
                 .id = {.idiag_sport = own->sin_port,
                        .idiag_dport = other->sin_port,
                        .idiag_src = {own->sin_addr.s_addr},
                        .idiag_dst = {other->sin_addr.s_addr},
                        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    union {
        struct nlmsghdr header;
        char room[4096];
    } got;
    struct found found = {0};
    ssize_t size;

    /* An answer that nobody took would be taken for this one's. */
    while (recv(diag, &got, sizeof(got), MSG_DONTWAIT) >= 0)
        ;
    if (send(diag, &ask, sizeof(ask), MSG_DONTWAIT) != sizeof(ask))
        return (struct found){.code = errno};
    size = recv(diag, &got, sizeof(got), MSG_DONTWAIT);
    if (size < 0)
        return (struct found){.code = errno};
    if (!NLMSG_OK(&got.header, size))
        return (struct found){.code = EPROTO};
    if (got.header.nlmsg_type == NLMSG_ERROR &&
        got.header.nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
        return (struct found){.code =
                                  -((struct nlmsgerr *)NLMSG_DATA(&got.header))->error};
    if (got.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        got.header.nlmsg_len < NLMSG_LENGTH(sizeof(found.socket)))
        return (struct found){.code = EPROTO};
    memcpy(&found.socket, NLMSG_DATA(&got.header), sizeof(found.socket));
    return found;
}

/* In a user namespace every user that it does not know looks like the overflow user. If
 * that is what we are called ourselves, strangers cannot be told from us. */
static bool strangers_look_like_us(void)
{
    auto_free char *overflow = NULL, *map = NULL;
    unsigned inside, outside, count;
    struct err ignored;

    if (io_read_file(AT_FDCWD, "/proc/sys/kernel/overflowuid", 64, &overflow, NULL,
                     &ignored) < 0 ||
        io_read_file(AT_FDCWD, "/proc/self/uid_map", 1 << 16, &map, NULL, &ignored) < 0)
        return false;
    if (strtoul(overflow, NULL, 10) != geteuid())
        return false;
    return sscanf(map, "%u %u %u", &inside, &outside, &count) != 3 ||
           count != (unsigned)-1;
}

int peer_open(int listener, struct err *e)
{
    auto_fd int diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct sockaddr_in own = {.sin_family = AF_INET}, nobody = {.sin_family = AF_INET};
    socklen_t size = sizeof(own);
    struct found found;

    if (strangers_look_like_us())
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: in this user "
                       "namespace uid %u is also what strangers are called",
                       (unsigned)geteuid());
    if (diag < 0)
        return err_sys(e, "open a socket to sock_diag");
    if (getsockname(listener, (struct sockaddr *)&own, &size) < 0)
        return err_sys(e, "name of the coordinator's socket");
    if (own.sin_addr.s_addr == htonl(INADDR_ANY))
        own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    found = look_up(diag, &own, &nobody);
    if (found.code || found.socket.idiag_state != TCP_LISTEN ||
        found.socket.idiag_uid != geteuid())
        return err_set(e, ERR_REFUSED,
                       "DMTCP's coordinator cannot be guarded here: the kernel does "
                       "not tell whose a socket is (%s); CONFIG_INET_DIAG is needed, "
                       "or the module tcp_diag",
                       strerror(found.code ? found.code : EPROTO));
    return take_fd(&diag);
}

static bool is_ours(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

static bool is_one_of(struct in_addr address, const struct peer_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->addresses[i].s_addr == address.s_addr)
            return true;
    return false;
}

static bool is_established(int connection)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);

    return getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_state == TCP_ESTABLISHED;
}

struct peer peer_identify(int diag, int connection, const struct sockaddr_in *address,
                          const struct peer_hosts *hosts)
{
    struct peer peer = {.kind = PEER_UNKNOWN, .address = *address};
    struct sockaddr_in own;
    socklen_t size = sizeof(own);
    struct found found;

    if (getsockname(connection, (struct sockaddr *)&own, &size) < 0)
        return peer;
    /* A listed host is never this one, so its end of the connection is not here. */
    if (is_one_of(address->sin_addr, hosts)) {
        peer.kind = PEER_OURS;
        return peer;
    }
    found = look_up(diag, address, &own);
    if (found.code == ENOENT && !is_local(address->sin_addr)) {
        peer.kind = PEER_ELSEWHERE;
        return peer;
    }
    /*
     * A socket that nobody holds any more has no inode, and "its" uid is 0: what is
     * said of it is no answer, or a stranger who hangs up at once would pass for root.
     * Our own end is looked at last: while it is established no other connection can
     * have the same two ends, so the socket found is this one's other end.
     */
    if (found.code || found.socket.idiag_state != TCP_ESTABLISHED ||
        found.socket.idiag_inode == 0 || !is_established(connection))
        return peer;
    peer.uid = found.socket.idiag_uid;
    peer.inode = found.socket.idiag_inode;
    peer.kind = is_ours(peer.uid) ? PEER_OURS : PEER_STRANGER;
    return peer;
}

static bool holds(int proc, const char *pid, const char *link)
{
    auto_dir DIR *dir = NULL;
    char path[300], target[64];
    struct dirent *entry;
    int fd;

    snprintf(path, sizeof(path), "%s/fd", pid);
    fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return false;
    }
    while ((entry = readdir(dir))) {
        ssize_t n = readlinkat(fd, entry->d_name, target, sizeof(target) - 1);

        if (n <= 0)
            continue;
        target[n] = '\0';
        if (strcmp(target, link) == 0)
            return true;
    }
    return false;
}

static long long worked_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

pid_t peer_process(uint32_t inode)
{
    long long deadline = worked_ms() + 100;
    auto_dir DIR *proc = NULL;
    struct dirent *entry;
    char link[64];

    if (inode == 0 || geteuid() != 0)
        return 0;
    proc = opendir("/proc");
    if (!proc)
        return 0;
    snprintf(link, sizeof(link), "socket:[%u]", inode);
    while ((entry = readdir(proc)) && worked_ms() < deadline)
        if (isdigit((unsigned char)entry->d_name[0]) &&
            holds(dirfd(proc), entry->d_name, link))
            return strtol(entry->d_name, NULL, 10);
    return 0;
}
