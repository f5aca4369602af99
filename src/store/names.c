/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_name(struct store_names *names, size_t *room, const char *name,
                    struct err *e)
{
    if (names->n == *room) {
        size_t bigger = *room ? 2 * *room : 16;
        char **v = reallocarray(names->v, bigger, sizeof(*v));

        if (!v)
            return err_sys(e, "read directory");
        names->v = v;
        *room = bigger;
    }
    names->v[names->n] = strdup(name);
    if (!names->v[names->n])
        return err_sys(e, "read directory");
    names->n++;
    return 0;
}

static bool is_entry(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strncmp(name, ".nfs", 4) != 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_names_read(int dirfd, struct store_names *names, struct err *e)
{
    auto_names struct store_names found = {0};
    auto_dir DIR *dir = NULL;
    auto_fd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    size_t room = 0;

    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return err_sys(e, "read directory");
    take_fd(&fd);
    while (errno = 0, (entry = readdir(dir)))
        if (is_entry(entry->d_name) && add_name(&found, &room, entry->d_name, e) < 0)
            return -1;
    if (errno)
        return err_sys(e, "read directory");
    if (found.n > 0)
        qsort(found.v, found.n, sizeof(*found.v), compare);
    *names = found;
    found = (struct store_names){0};
    return 0;
}

void store_names_free(struct store_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
    *names = (struct store_names){0};
}

bool store_names_have(const struct store_names *names, const char *name)
{
    return names->n > 0 &&
           bsearch(&name, names->v, names->n, sizeof(*names->v), compare);
}

void store_generation_name(uint64_t generation, char out[STORE_NAME_SIZE])
{
    snprintf(out, STORE_NAME_SIZE, "%06" PRIu64, generation);
}

uint64_t store_generation_number(const char *name)
{
    char again[STORE_NAME_SIZE];
    struct err ignored;
    uint64_t n;

    if (str_to_u64(name, &n, &ignored) < 0)
        return 0;
    store_generation_name(n, again);
    return strcmp(name, again) == 0 ? n : 0;
}

int store_temp_name(const char *name, uint64_t epoch, char out[STORE_NAME_SIZE],
                    struct err *e)
{
    char nonce[STR_NONCE_SIZE];

    if (str_nonce(nonce, e) < 0)
        return -1;
    return str_format(out, STORE_NAME_SIZE, e, ".%s.%" PRIu64 "-%s", name, epoch,
                      nonce);
}

uint64_t store_temp_epoch(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *dash = dot ? strchr(dot, '-') : NULL;
    char digits[24];
    struct err ignored;
    uint64_t epoch;

    if (name[0] != '.' || dot == name || !dash ||
        (size_t)(dash - dot) > sizeof(digits) ||
        strspn(dash + 1, "0123456789abcdef") != STR_NONCE_SIZE - 1 ||
        dash[STR_NONCE_SIZE])
        return 0;
    memcpy(digits, dot + 1, dash - dot - 1);
    digits[dash - dot - 1] = '\0';
    return str_to_u64(digits, &epoch, &ignored) < 0 ? 0 : epoch;
}

bool store_text_ok(const char *text, bool lines)
{
    auto_json json_t *utf8 = json_string(text);

    if (!utf8)
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        /* U+0080 to U+009F are control characters too: some terminals obey them. */
        bool control = *c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0);

        if (control && !(lines && (*c == '\n' || *c == '\t')))
            return false;
    }
    return true;
}
