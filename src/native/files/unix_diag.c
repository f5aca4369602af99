/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/scope.h"
#include "native/files/unix_name.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>

enum { STATE_ESTABLISHED = 1 }; /* TCP_ESTABLISHED, which unix sockets use, too */

static void read_attributes(const struct nlmsghdr *head, struct unix_diag *out)
{
    const struct unix_diag_msg *msg = NLMSG_DATA(head);
    const struct rtattr *a = (const struct rtattr *)(msg + 1);
    int left = head->nlmsg_len - NLMSG_LENGTH(sizeof(*msg));

    *out = (struct unix_diag){.established = msg->udiag_state == STATE_ESTABLISHED};
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        const void *data = RTA_DATA(a);
        uint32_t peer;
        struct unix_diag_rqlen length;

        if (a->rta_type == UNIX_DIAG_PEER && RTA_PAYLOAD(a) >= sizeof(peer)) {
            memcpy(&peer, data, sizeof(peer));
            out->peer_ino = peer;
        } else if (a->rta_type == UNIX_DIAG_SHUTDOWN && RTA_PAYLOAD(a) >= 1) {
            out->shut = *(const uint8_t *)data;
        } else if (a->rta_type == UNIX_DIAG_RQLEN && RTA_PAYLOAD(a) >= sizeof(length)) {
            memcpy(&length, data, sizeof(length));
            out->backlog = length.udiag_wqueue;
        }
    }
}

int unix_diag_query(int *sock, ino_t ino, struct unix_diag *out, struct err *e)
{
    struct {
        struct nlmsghdr head;
        struct unix_diag_req request;
    } query = {.head = {.nlmsg_len = sizeof(query),
                        .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                        .nlmsg_flags = NLM_F_REQUEST},
               .request = {.sdiag_family = AF_UNIX,
                           .udiag_states = ~0U,
                           .udiag_ino = ino,
                           .udiag_show = UDIAG_SHOW_PEER | UDIAG_SHOW_RQLEN,
                           .udiag_cookie = {~0U, ~0U}}};
    union {
        struct nlmsghdr head;
        char room[4096];
    } answer;
    ssize_t n;

    if (*sock < 0)
        *sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (*sock < 0 || send(*sock, &query, sizeof(query), 0) < 0)
        return err_sys(e, "ask the kernel about unix sockets (sock_diag)");
    n = recv(*sock, &answer, sizeof(answer), 0);
    if (n < 0)
        return err_sys(e, "ask the kernel about unix sockets (sock_diag)");
    if (!NLMSG_OK(&answer.head, (size_t)n))
        return err_set(e, ERR_FAILED, "sock_diag: short answer");
    if (answer.head.nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(&answer.head);

        return err_code(e, error->error,
                        "a unix socket of another network namespace, or no module "
                        "unix_diag");
    }
    read_attributes(&answer.head, out);
    return 0;
}
