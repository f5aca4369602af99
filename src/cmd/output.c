/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/str.h"
#include "cmd/cmd.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SHOW_AFTER_US = 1000000, SHOW_EVERY_US = 200000 };

int cmd_print_json(json_t *object, struct err *e)
{
    int result = object ? json_dumpf(object, stdout, JSON_INDENT(2)) : -1;

    json_decref(object);
    if (result < 0)
        return err_set(e, ERR_FAILED, "the result cannot be written as JSON");
    putchar('\n');
    return 0;
}

void cmd_print_safe(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void progress_begin(struct progress *p, const char *what)
{
    *p = (struct progress){.what = what, .begun_us = now_us()};
}

void progress_show(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress *p = arg;
    uint64_t now = now_us();
    char done[32], total[32];

    if (now - p->begun_us < SHOW_AFTER_US || now - p->shown_us < SHOW_EVERY_US ||
        !isatty(STDERR_FILENO))
        return;
    p->shown_us = now;
    p->is_shown = true;
    if (total_bytes > 0)
        fprintf(stderr, "\r\033[K%s: %s of %s (%d%%)", p->what,
                str_bytes(done_bytes, done), str_bytes(total_bytes, total),
                (int)(done_bytes * 100.0 / total_bytes));
    else
        fprintf(stderr, "\r\033[K%s: %s", p->what, str_bytes(done_bytes, done));
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->is_shown)
        fputs("\r\033[K", stderr);
    p->is_shown = false;
}
