/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dmtcp/hosts.h"

#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FILE_MAX_BYTES = 16 << 20, NAME_MAX_BYTES = 255 };

void hosts_free(struct hosts *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->other[i]);
    free(h->other);
    *h = (struct hosts){0};
}

/* ---- the file ---- */

/* It becomes an argument of ssh, which takes one that begins with '-' for an option. */
static bool is_host_name(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > NAME_MAX_BYTES || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-._", name[i]))
            return false;
    return true;
}

static bool has(const struct hosts *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcasecmp(h->other[i], name) == 0)
            return true;
    return false;
}

static int add(struct hosts *h, const char *name, struct err *e)
{
    char **more = realloc(h->other, (h->n + 2) * sizeof(*more));

    if (!more)
        return err_sys(e, "list of hosts");
    h->other = more;
    more[h->n] = strdup(name);
    if (!more[h->n])
        return err_sys(e, "list of hosts");
    more[++h->n] = NULL;
    return 0;
}

static int take_line(struct hosts *h, char *line, unsigned number, struct err *e)
{
    char *rest = line, *name = strsep(&rest, " \t"), *end = NULL;
    unsigned long slots = 0;

    while (rest && (*rest == ' ' || *rest == '\t'))
        rest++;
    if (rest && isdigit((unsigned char)*rest))
        slots = strtoul(rest, &end, 10);
    if (!is_host_name(name) || slots == 0 || (*end && *end != ' ' && *end != '\t'))
        return err_set(e, ERR_FAILED, "line %u is not 'HOST SLOTS QUEUE PROCESSORS'",
                       number);
    return has(h, name) ? 0 : add(h, name, e);
}

int hosts_parse(const char *text, struct hosts *out, struct err *e)
{
    auto_hosts struct hosts h = {0};
    auto_free char *copy = strdup(text);
    char *rest = copy, *line;

    if (!copy)
        return err_sys(e, "list of hosts");
    for (unsigned number = 1; (line = strsep(&rest, "\n")); number++)
        if (*line && take_line(&h, line, number, e) < 0)
            return -1;
    if (h.n == 0)
        return err_set(e, ERR_FAILED, "it names no host");
    *out = h;
    h = (struct hosts){0};
    return 0;
}

/* ---- this host ---- */

static bool is_local(struct in_addr address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = address};
    auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;
}

/* An address of another host tells nothing of this one, nor does one of the loopback,
 * by which Debian's /etc/hosts calls a host to itself. */
static int look_up(const char *name, struct in_addr *address, bool *is_here,
                   struct err *e)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    int rc = getaddrinfo(name, NULL, &hints, &list);
    bool found = false;

    if (rc != 0)
        return err_set(e, ERR_FAILED, "host %s of the job has no IPv4 address: %s",
                       name, gai_strerror(rc));
    *is_here = false;
    for (const struct addrinfo *a = list; a && !found; a = a->ai_next) {
        struct in_addr this = ((struct sockaddr_in *)a->ai_addr)->sin_addr;

        *is_here = *is_here || is_local(this);
        found = ntohl(this.s_addr) >> 24 != 127;
        if (found)
            *address = this;
    }
    freeaddrinfo(list);
    return found ? 0
                 : err_set(e, ERR_FAILED,
                           "host %s of the job has an address of the loopback only, "
                           "at which the others cannot reach it",
                           name);
}

static int take_this_host_out(struct hosts *h, struct err *e)
{
    for (size_t i = 0; i < h->n; i++) {
        struct in_addr address;
        bool is_here;

        if (look_up(h->other[i], &address, &is_here, e) < 0)
            return -1;
        if (!is_here)
            continue;
        inet_ntop(AF_INET, &address, h->address, sizeof(h->address));
        free(h->other[i]);
        memmove(h->other + i, h->other + i + 1, (h->n - i) * sizeof(*h->other));
        h->n--;
        return 0;
    }
    return err_set(e, ERR_FAILED, "none of its hosts is this one");
}

int hosts_alone(struct hosts *out, struct err *e)
{
    char name[NAME_MAX_BYTES + 1] = "";
    struct in_addr address;
    bool is_here;

    *out = (struct hosts){0};
    if (gethostname(name, sizeof(name) - 1) < 0)
        return err_sys(e, "name of this host");
    if (look_up(name, &address, &is_here, e) < 0)
        return -1;
    inet_ntop(AF_INET, &address, out->address, sizeof(out->address));
    return 0;
}

int hosts_read(const char *path, struct hosts *out, struct err *e)
{
    auto_hosts struct hosts h = {0};
    auto_free char *text = NULL;

    if (io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &text, NULL, e) < 0)
        return -1;
    if (hosts_parse(text, &h, e) < 0 || take_this_host_out(&h, e) < 0)
        return err_wrap(e, "PE_HOSTFILE %s", path);
    *out = h;
    h = (struct hosts){0};
    return 0;
}
