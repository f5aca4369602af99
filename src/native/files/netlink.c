/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink sockets: opened again, with the groups they had joined and nothing waiting.
 */
#include "base/err.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <linux/netlink.h>
#include <sys/socket.h>

struct netlink {
    uint32_t type, protocol, port, groups;
};

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    int sock = s->files[index].copy, type = 0, protocol = 0;
    struct sockaddr_nl name = {0};
    socklen_t size = sizeof(name), int_size = sizeof(int);
    struct enc c = {0};

    if (getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &int_size) < 0 ||
        getsockopt(sock, SOL_SOCKET, SO_PROTOCOL, &protocol, &int_size) < 0 ||
        getsockname(sock, (struct sockaddr *)&name, &size) < 0)
        return err_sys(e, "process %d descriptor %d", f->pid, f->fd);
    enc_u32(&c, type);
    enc_u32(&c, protocol);
    enc_u32(&c, name.nl_pid);
    enc_u32(&c, name.nl_groups);
    return enc_blob(&c, &s->img->files[index].detail, e);
}

static int decode(const struct image_file *file, struct netlink *out, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *out = (struct netlink){.type = dec_u32(&d), .protocol = dec_u32(&d)};
    out->port = dec_u32(&d);
    out->groups = dec_u32(&d);
    if (out->type != SOCK_RAW && out->type != SOCK_DGRAM)
        d.failed = true;
    return dec_end(&d, "netlink socket", e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    struct netlink netlink;

    return decode(&r->img->files[index], &netlink, e);
}

static int open_file(struct files_restore *r, uint32_t index, struct err *e)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK};
    struct netlink netlink;
    auto_fd int sock = -1;

    if (decode(&r->img->files[index], &netlink, e) < 0)
        return -1;
    sock = socket(AF_NETLINK, netlink.type | SOCK_CLOEXEC, netlink.protocol);
    if (sock < 0)
        return err_sys(e, "a netlink socket of protocol %u", netlink.protocol);
    name.nl_pid = netlink.port;
    name.nl_groups = netlink.groups;
    if ((name.nl_pid || name.nl_groups) &&
        bind(sock, (struct sockaddr *)&name, sizeof(name)) < 0) {
        /* Somebody else has the number now: the kernel chooses one. */
        name.nl_pid = 0;
        if (bind(sock, (struct sockaddr *)&name, sizeof(name)) < 0)
            return err_sys(e, "bind a netlink socket of protocol %u", netlink.protocol);
    }
    return files_pool_put(r, index, &sock, e);
}

const struct file_kind file_kind_netlink = {
    .name = "a netlink socket",
    .save = save,
    .check = check,
    .make = open_file,
};
