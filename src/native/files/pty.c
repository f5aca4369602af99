/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pseudo-terminals: the master and its slaves, with mode, size and settings. A slave
 * whose master is outside the job is the new run's terminal. What was written to one
 * end and not yet read at the other is not saved.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41) /* since Linux 4.13 */
#endif

enum { NO_NUMBER = UINT32_MAX };

/* What `detail` holds, of either end. */
struct pty {
    uint32_t number; /* NO_NUMBER: of a slave that has hung up */
    bool locked, packet;
    bool hung_up;  /* master: all slaves have been closed */
    bool external; /* slave: the master is outside the job */
    struct termios settings;
    struct winsize size;
};

/* ---- saving ---- */

static void save_master(const struct saved *known, struct pty *p)
{
    struct pollfd ready = {.fd = known->copy, .events = POLLIN};
    int value = 0;

    if (ioctl(known->copy, TIOCGPTLCK, &value) == 0)
        p->locked = value;
    value = 0;
    if (ioctl(known->copy, TIOCGPKT, &value) == 0)
        p->packet = value;
    p->hung_up = poll(&ready, 1, 0) > 0 && (ready.revents & POLLHUP);
}

static int save(struct files_save *s, const struct found *f, uint32_t index,
                struct err *e)
{
    struct saved *known = &s->files[index];
    struct image_file *file = &s->img->files[index];
    struct pty *p = calloc(1, sizeof(*p));
    unsigned number = minor(f->st.st_rdev);

    if (!p)
        return err_sys(e, "a pseudo-terminal");
    known->notes = p;
    if (file->kind == IMAGE_FILE_PTY_MASTER) {
        if (ioctl(known->copy, TIOCGPTN, &number) < 0)
            return err_sys(e, "process %d descriptor %d", f->pid, f->fd);
        save_master(known, p);
    }
    p->number = number;
    if (tcgetattr(known->copy, &p->settings) < 0) {
        if (errno != EIO)
            return err_sys(e, "process %d descriptor %d", f->pid, f->fd);
        p->number = NO_NUMBER;
    }
    ioctl(known->copy, TIOCGWINSZ, &p->size);
    return files_keep_path(file, f->link, e);
}

static uint32_t find_master(const struct files_save *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct pty *p = s->files[i].notes;

        if (s->img->files[i].kind == IMAGE_FILE_PTY_MASTER && p->number == number)
            return i;
    }
    return IMAGE_NONE;
}

static int pair(struct files_save *s, uint32_t index, struct err *e)
{
    struct image_file *file = &s->img->files[index];
    struct pty *p = s->files[index].notes;
    struct enc c = {0};

    p->external = file->kind == IMAGE_FILE_PTY_SLAVE && p->number != NO_NUMBER &&
                  find_master(s, p->number) == IMAGE_NONE;
    enc_u32(&c, p->number);
    enc_u8(&c, p->locked);
    enc_u8(&c, p->packet);
    enc_u8(&c, p->hung_up);
    enc_u8(&c, p->external);
    enc_u32(&c, p->settings.c_iflag);
    enc_u32(&c, p->settings.c_oflag);
    enc_u32(&c, p->settings.c_cflag);
    enc_u32(&c, p->settings.c_lflag);
    enc_u8(&c, p->settings.c_line);
    enc_raw(&c, p->settings.c_cc, sizeof(p->settings.c_cc));
    enc_u32(&c, cfgetispeed(&p->settings));
    enc_u32(&c, cfgetospeed(&p->settings));
    enc_u32(&c, p->size.ws_row);
    enc_u32(&c, p->size.ws_col);
    return enc_blob(&c, &file->detail, e);
}

uint32_t files_pty_of(const struct files_save *s, uint32_t tty_nr)
{
    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct pty *p = s->files[i].notes;

        /* tty_nr: minor in bits 7 to 0 and 31 to 20, major in 15 to 8 (proc(5)). */
        if (s->img->files[i].kind == IMAGE_FILE_PTY_SLAVE && p->number != NO_NUMBER &&
            p->number == ((tty_nr & 0xff) | (tty_nr >> 12 & 0xfff00)) &&
            find_master(s, p->number) != IMAGE_NONE)
            return i;
    }
    return IMAGE_NONE;
}

/* ---- restoring ---- */

static int decode(const struct image_file *file, struct pty *p, struct err *e)
{
    struct dec d = {.data = file->detail.data, .size = file->detail.size};

    *p = (struct pty){.number = dec_u32(&d)};
    p->locked = dec_u8(&d);
    p->packet = dec_u8(&d);
    p->hung_up = dec_u8(&d);
    p->external = dec_u8(&d);
    p->settings.c_iflag = dec_u32(&d);
    p->settings.c_oflag = dec_u32(&d);
    p->settings.c_cflag = dec_u32(&d);
    p->settings.c_lflag = dec_u32(&d);
    p->settings.c_line = dec_u8(&d);
    dec_raw(&d, p->settings.c_cc, sizeof(p->settings.c_cc));
    cfsetispeed(&p->settings, dec_u32(&d));
    cfsetospeed(&p->settings, dec_u32(&d));
    p->size.ws_row = dec_u32(&d);
    p->size.ws_col = dec_u32(&d);
    return dec_end(&d, "pseudo-terminal", e);
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    struct pty p;

    return decode(&r->img->files[index], &p, e);
}

static int open_master(uint32_t flags, struct err *e)
{
    int fd = open("/dev/ptmx", flags | O_NOCTTY | O_CLOEXEC), unlocked = 0;

    if (fd < 0)
        return err_sys(e, "open /dev/ptmx");
    if (ioctl(fd, TIOCSPTLCK, &unlocked) < 0) {
        err_sys(e, "unlock a pseudo-terminal");
        close(fd);
        return -1;
    }
    return fd;
}

static int open_slave(int master, uint32_t flags, struct err *e)
{
    int fd = ioctl(master, TIOCGPTPEER, flags | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? err_sys(e, "open the slave of a pseudo-terminal") : fd;
}

int files_hung_up_terminal(uint32_t flags, struct err *e)
{
    auto_fd int master = open_master(O_RDWR, e);

    return master < 0 ? -1 : open_slave(master, flags, e);
}

/* All slaves of the job that belong to the master. */
static int open_slaves(struct files_restore *r, uint32_t number, int master,
                       struct err *e)
{
    const struct image *img = r->img;

    for (uint32_t i = 0; i < img->n_files; i++) {
        struct pty p;
        auto_fd int fd = -1;

        if (img->files[i].kind != IMAGE_FILE_PTY_SLAVE || r->pool[i] >= 0)
            continue;
        if (decode(&img->files[i], &p, e) < 0)
            return -1;
        if (p.number != number || p.external)
            continue;
        fd = open_slave(master, files_open_flags(&img->files[i]), e);
        if (fd < 0 || files_pool_put(r, i, &fd, e) < 0)
            return -1;
    }
    return 0;
}

static int set_up_master(int master, const struct pty *p, struct err *e)
{
    int packet = p->packet;

    if (tcsetattr(master, TCSANOW, &p->settings) < 0 ||
        ioctl(master, TIOCSWINSZ, &p->size) < 0 || ioctl(master, TIOCPKT, &packet) < 0)
        return err_sys(e, "settings of a pseudo-terminal");
    return 0;
}

static int open_master_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    auto_fd int slave = -1;
    auto_fd int fd = -1;
    int locked = 1;
    struct pty p;

    if (decode(file, &p, e) < 0)
        return -1;
    fd = open_master(files_open_flags(file), e);
    if (fd < 0 || set_up_master(fd, &p, e) < 0)
        return -1;
    if (p.hung_up) {
        /* The kernel tells the master once a slave has been opened and closed. */
        slave = open_slave(fd, O_RDWR, e);
        if (slave < 0)
            return -1;
    }
    if (p.number != NO_NUMBER && open_slaves(r, p.number, fd, e) < 0)
        return -1;
    if (p.locked && ioctl(fd, TIOCSPTLCK, &locked) < 0)
        return err_sys(e, "lock a pseudo-terminal");
    return files_pool_put(r, index, &fd, e);
}

static int open_external(struct files_restore *r, uint32_t flags, struct err *e)
{
    for (int i = 0; i < 3; i++)
        if (r->stdio[i] >= 0 && isatty(r->stdio[i]))
            return files_reopen(r->stdio[i], flags, e);
    log_warning(
        "the job had a terminal open that was not its own; this run has none, so "
        "that it will seem to have hung up");
    return files_hung_up_terminal(flags, e);
}

/* The master of this number, or IMAGE_NONE. */
static uint32_t master_of(const struct image *img, uint32_t number)
{
    struct err ignored;
    struct pty p;

    for (uint32_t i = 0; i < img->n_files; i++)
        if (img->files[i].kind == IMAGE_FILE_PTY_MASTER &&
            decode(&img->files[i], &p, &ignored) == 0 && p.number == number)
            return i;
    return IMAGE_NONE;
}

static int open_slave_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    uint32_t master;
    auto_fd int fd = -1;
    struct pty p;

    if (decode(file, &p, e) < 0)
        return -1;
    if (p.external) {
        fd = open_external(r, files_open_flags(file), e);
    } else if (p.number == NO_NUMBER) {
        fd = files_hung_up_terminal(files_open_flags(file), e);
    } else {
        master = master_of(r->img, p.number);
        if (master == IMAGE_NONE)
            return err_set(e, ERR_CORRUPT, "pseudo-terminal %u has no master",
                           p.number);
        if (r->pool[master] < 0)
            return open_master_file(r, master, e); /* opens this one, too */
        fd = open_slave(r->pool[master], files_open_flags(file), e);
    }
    return fd < 0 ? -1 : files_pool_put(r, index, &fd, e);
}

const struct file_kind file_kind_pty_master = {
    .name = "a pseudo-terminal",
    .save = save,
    .pair = pair,
    .forget = free,
    .check = check,
    .make = open_master_file,
};

const struct file_kind file_kind_pty_slave = {
    .name = "a terminal",
    .save = save,
    .pair = pair,
    .forget = free,
    .check = check,
    .make = open_slave_file,
};
