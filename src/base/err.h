/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Errors: what a fallible function tells its caller.
 *
 * The caller owns a `struct err` and passes it last. A function that fails fills it and
 * returns -1 or NULL. `kind` is for code to branch on and decides the exit status;
 * `text` is for people: lower case, no period, names the object and what to do.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_SYS,     /* a system call failed; `sys` is its errno */
    ERR_FAILED,  /* anything else that went wrong */
    ERR_USAGE,   /* the command line or the configuration is wrong */
    ERR_REFUSED, /* the job cannot be saved; it runs on untouched */
    ERR_NOTHING, /* there is nothing to restart from */
    ERR_CORRUPT, /* what was read is damaged or foreign */
    ERR_UNSAFE,  /* a stranger could have made this file or directory */
    ERR_FENCED,  /* a later run of the same job has taken over */
    ERR_TIMEOUT, /* a stated deadline passed */
    ERR_GONE,    /* the process or the job ended meanwhile */
    /* This host lacks what the job needs to go on, a feature of the CPU or a qckpt that
     * is new enough; nothing was touched, and another host may have it. */
    ERR_WRONG_HOST,
};

struct err {
    enum err_kind kind;
    int sys;
    /* The same may succeed soon, without anybody's help: no fault of what it was done
     * to, a checkpoint that was to be restarted for instance. */
    bool momentary;
    char text[1024];
};

/* Each fills `e` and returns -1, so that a failing function can `return err_...`. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int err_vset(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* Appends ": " and the message of the current errno; the kind is ERR_SYS. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a call that returned -errno instead of setting errno. */
int err_code(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Says of an error that is already set that it is momentary. */
int err_momentary(struct err *e);

/* Puts "CONTEXT: " before the text of an error that is already set. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forgets the error. */
void err_clear(struct err *e);

/* The exit status of a command that failed with this kind: 1, 2, 3 or 4. */
int err_exit_status(enum err_kind kind);

/* A stable word for the kind ("refused"), for logs and the control protocol. */
const char *err_kind_name(enum err_kind kind);
enum err_kind err_kind_from_name(const char *name);

#endif
