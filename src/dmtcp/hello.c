/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/hello.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* Where in the message, and what it may say there. */
enum { AT_MAGIC = 0, AT_SIZE = 88, AT_TYPE = 96, AT_STATE = 100 };
enum { TYPE_NEW_WORKER = 1 };
enum { STATE_UNKNOWN = 0, STATE_RUNNING = 1, STATE_LAST = 6 };

static const char magic[16] = "DMTCP_CKPT_V0\n";

static uint32_t number(const unsigned char *bytes, size_t at)
{
    uint32_t value;

    memcpy(&value, bytes + at, sizeof(value));
    return value;
}

static bool is_rejected(const unsigned char *bytes)
{
    uint32_t state = number(bytes, AT_STATE);

    return memcmp(bytes + AT_MAGIC, magic, sizeof(magic)) == 0 &&
           number(bytes, AT_SIZE) == HELLO_SIZE &&
           number(bytes, AT_TYPE) == TYPE_NEW_WORKER && state > STATE_RUNNING &&
           state <= STATE_LAST;
}

enum hello_state hello_look(int fd)
{
    unsigned char bytes[HELLO_SIZE];
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return HELLO_AWAITED;
    if (n <= 0 || memcmp(bytes, magic,
                         (size_t)n < sizeof(magic) ? (size_t)n : sizeof(magic)) != 0)
        return HELLO_FOREIGN;
    return n == HELLO_SIZE ? HELLO_WHOLE : HELLO_AWAITED;
}

bool hello_take(int fd, unsigned char bytes[HELLO_SIZE])
{
    const uint32_t running = STATE_RUNNING;

    if (recv(fd, bytes, HELLO_SIZE, MSG_PEEK | MSG_DONTWAIT) != HELLO_SIZE ||
        !is_rejected(bytes) || recv(fd, bytes, HELLO_SIZE, MSG_DONTWAIT) != HELLO_SIZE)
        return false;
    memcpy(bytes + AT_STATE, &running, sizeof(running));
    return true;
}
