/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "job/failure.h"

#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* What the kernel says of a host that has not enough of something now, or of a server
 * that does not answer. EIO is not among them: a disk says it for ever of a sector that
 * it cannot read. */
static const int moments[] = {
    EAGAIN,       ENOMEM,      EINTR,     EBUSY,        ENFILE,       EMFILE,
    ENOSPC,       EDQUOT,      EUSERS,    ENOBUFS,      ETIMEDOUT,    ESTALE,
    ENETDOWN,     ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ECONNREFUSED, ECONNRESET,
    ECONNABORTED, ENOTCONN,    EREMOTEIO,
};

static bool is_moment(int code)
{
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
        if (moments[i] == code)
            return true;
    return false;
}

enum failure failure_of(const struct err *e)
{
    switch (e->kind) {
    case ERR_CORRUPT:
    case ERR_NOTHING:
    case ERR_UNSAFE:
        return FAILURE_DAMAGE;
    case ERR_WRONG_HOST:
        return FAILURE_WRONG_HOST;
    case ERR_TIMEOUT:
    case ERR_GONE: /* a process that was being restored: nothing but a kill ends it */
        return FAILURE_MOMENT;
    case ERR_SYS:
        return e->momentary || is_moment(e->sys) ? FAILURE_MOMENT : FAILURE_OTHER;
    default:
        return e->momentary ? FAILURE_MOMENT : FAILURE_OTHER;
    }
}
