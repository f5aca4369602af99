/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pseudo-terminals: the master and its slaves, with mode, size, settings and what waits
 * in them. A slave whose master is outside the job is the new run's terminal.
 */
#include "base/err.h"
#include "base/log.h"
#include "base/scope.h"
#include "image/codec.h"
#include "native/files/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
    struct files_queue for_master, for_slave; /* of a master: what waits to be read */
};

static void clear(struct pty *p)
{
    files_queue_free(&p->for_master);
    files_queue_free(&p->for_slave);
}
#define auto_pty __attribute__((cleanup(clear)))

static void forget(void *notes)
{
    clear(notes);
    free(notes);
}

static int open_slave(int master, uint32_t flags, struct err *e)
{
    int fd = ioctl(master, TIOCGPTPEER, flags | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? err_sys(e, "open the slave of a pseudo-terminal") : fd;
}

/* ---- what waits in it ---- */

/* Settings under which bytes pass as they are. With `lines`, input is still taken by
 * lines, as it was. */
static struct termios plain(const struct termios *settings, bool lines)
{
    struct termios t = *settings;

    cfmakeraw(&t);
    if (!lines)
        return t;
    t.c_lflag |= ICANON;
    for (int i = 0; i < NCCS; i++)
        t.c_cc[i] = _POSIX_VDISABLE;
    return t;
}

/* Everything that can be read at once. */
static int take(int fd, struct files_queue *q, struct err *e)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char buffer[4096];
    ssize_t n;

    while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
        n = read(fd, buffer, sizeof(buffer));
        if (n <= 0)
            break;
        if (files_queue_add(q, buffer, n) < 0)
            return err_sys(e, "what waits in a pseudo-terminal");
    }
    return 0;
}

static int set(int master, int slave, const struct termios *settings, bool packet,
               struct err *e)
{
    int value = packet;

    if (tcsetattr(slave, TCSANOW, settings) < 0 || ioctl(master, TIOCPKT, &value) < 0)
        return err_sys(e, "settings of a pseudo-terminal");
    return 0;
}

/* Bytes that are written to the master are worked on by a kernel thread; under the
 * settings of the job it would echo them. */
static void wait_until_arrived(int slave, const struct files_queue *q)
{
    enum { STEPS = 200, STEP_MS = 1 };
    struct pollfd p = {.fd = slave, .events = POLLIN};
    int wanted = 0, waiting = 0, bytes = 0;

    for (uint32_t i = 0; i < q->n_messages; i++) {
        const char *data = q->messages[i].data;

        for (size_t k = 0; k < q->messages[i].size; k++) {
            bytes++;
            if (data[k] == '\n')
                wanted = bytes; /* by lines, only whole ones are counted */
        }
    }
    for (int i = 0; i < STEPS; i++) {
        poll(&p, 1, 0); /* waits for the thread when nothing can be read yet */
        if (ioctl(slave, FIONREAD, &waiting) < 0)
            return;
        if (waiting >= wanted && (bytes == wanted || i > 0))
            return;
        poll(NULL, 0, STEP_MS);
    }
}

/* Both descriptors are non-blocking. Whatever happens, the terminal is set as it was.
 */
static int give(int master, int slave, const struct pty *p, struct err *e)
{
    struct termios t = plain(&p->settings, p->settings.c_lflag & ICANON);
    struct err ignored;
    int status = set(master, slave, &t, false, e);

    if (status == 0)
        status = files_queue_fill(&p->for_master, slave, FILES_FILL_PIPE, e);
    if (status == 0)
        status = files_queue_fill(&p->for_slave, master, FILES_FILL_PIPE, e);
    wait_until_arrived(slave, &p->for_slave);
    if (set(master, slave, &p->settings, p->packet, status < 0 ? &ignored : e) < 0)
        return -1;
    return status;
}

/* ---- saving ---- */

static bool has_slave(const struct files_save *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->n_files; i++) {
        const struct pty *p = s->files[i].notes;

        if (s->img->files[i].kind == IMAGE_FILE_PTY_SLAVE && p->number == number)
            return true;
    }
    return false;
}

/*
 * Bytes written to the master just before the freeze may still be on their way: a
 * kernel thread works on them by the settings (echo, lines) that it finds. A poll that
 * finds nothing to read waits for that thread, and a change of settings, even to the
 * same, waits for what it has begun.
 */
static int settle(int slave, const struct pty *p, struct err *e)
{
    struct pollfd ready = {.fd = slave, .events = POLLIN};

    poll(&ready, 1, 0);
    return tcsetattr(slave, TCSANOW, &p->settings) < 0
               ? err_sys(e, "settings of a pseudo-terminal")
               : 0;
}

/* Whole lines first, by the job's settings: only when none is left is it known that
 * nothing is on its way. Then a line that is being typed. */
static int take_all(int master, int slave, struct pty *p, struct err *e)
{
    struct termios raw = plain(&p->settings, false);

    if (take(slave, &p->for_slave, e) < 0 ||
        set(master, slave, &p->settings, false, e) < 0 ||
        take(master, &p->for_master, e) < 0 || set(master, slave, &raw, false, e) < 0)
        return -1;
    return take(slave, &p->for_slave, e);
}

/* Nothing shows the bytes without taking them: they are taken and put back. */
static int take_and_give(int master, int slave, struct pty *p, struct err *e)
{
    struct err ignored;
    int status = take_all(master, slave, p, e);

    /* What was taken goes back also when that was not all. */
    if (give(master, slave, p, status < 0 ? &ignored : e) < 0)
        return -1;
    return status;
}

/* What waits in the terminal of the master files[index]. A line that is being typed
 * does not count: it cannot be seen without ending it. */
static int save_queues(struct files_save *s, uint32_t index, struct err *e)
{
    struct pty *p = s->files[index].notes;
    int master = s->files[index].copy, waiting = 0, flags, status;
    struct pollfd ready = {.fd = master, .events = POLLIN};
    auto_fd int slave = -1;

    /* One that was never opened must not be opened and closed: the master would hear
     * that it hung up. */
    if (p->locked || (!p->hung_up && !has_slave(s, p->number)))
        return 0;
    slave = open_slave(master, O_RDWR | O_NONBLOCK, e);
    if (slave < 0 || settle(slave, p, e) < 0)
        return -1;
    poll(&ready, 1, 0);
    ioctl(slave, FIONREAD, &waiting);
    if (waiting == 0 && !(ready.revents & POLLIN))
        return 0;
    flags = fcntl(master, F_GETFL);
    if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_sys(e, "flags of a pseudo-terminal");
    status = take_and_give(master, slave, p, e);
    fcntl(master, F_SETFL, flags);
    return status;
}

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
    if (file->kind == IMAGE_FILE_PTY_MASTER && save_queues(s, index, e) < 0)
        return -1;
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
    files_queue_encode(&c, &p->for_master);
    files_queue_encode(&c, &p->for_slave);
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
    if (files_queue_decode(&d, &p->for_master) == 0 &&
        files_queue_decode(&d, &p->for_slave) == 0 &&
        dec_end(&d, "pseudo-terminal", e) == 0)
        return 0;
    clear(p);
    return err_set(e, ERR_CORRUPT, "the record of a pseudo-terminal is damaged");
}

static int check(const struct files_restore *r, uint32_t index, struct err *e)
{
    auto_pty struct pty p = {0};

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

/* Reads end, writes fail. */
static int open_hung_up(uint32_t flags, struct err *e)
{
    auto_fd int master = open_master(O_RDWR, e);

    return master < 0 ? -1 : open_slave(master, flags, e);
}

int files_stand_in_terminal(const struct files_restore *r, uint32_t flags,
                            struct err *e)
{
    for (int i = 0; i < 3; i++)
        if (r->stdio[i] >= 0 && isatty(r->stdio[i]))
            return files_reopen(r->stdio[i], flags, e);
    log_warning(
        "the job had a terminal open that was not its own; this run has none, so "
        "that it will seem to have hung up");
    return open_hung_up(flags, e);
}

/* All slaves of the job that belong to the master. */
static int open_slaves(struct files_restore *r, uint32_t number, int master,
                       struct err *e)
{
    const struct image *img = r->img;

    for (uint32_t i = 0; i < img->n_files; i++) {
        auto_pty struct pty p = {0};
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

enum { TRIES = 64 };

/* A master of this number if that is free: the name of its slave is /dev/pts/NUMBER.
 * The kernel gives out the least free one. */
static int open_numbered(uint32_t number, struct err *e)
{
    int others[TRIES], n = 0, fd = -1;
    unsigned got = 0;

    while (n < TRIES) {
        fd = open_master(O_RDWR | O_NONBLOCK, e);
        if (fd < 0 || ioctl(fd, TIOCGPTN, &got) < 0 || got >= number)
            break;
        others[n++] = fd;
    }
    if (n == TRIES)
        fd = open_master(O_RDWR | O_NONBLOCK, e);
    while (n > 0)
        close(others[--n]);
    return fd;
}

static int open_with(struct files_restore *r, uint32_t index, const struct pty *p,
                     struct err *e)
{
    auto_fd int fd = open_numbered(p->number, e);
    auto_fd int slave = -1;
    int locked = 1;

    if (fd < 0 || set_up_master(fd, p, e) < 0)
        return -1;
    if (p->number != NO_NUMBER && open_slaves(r, p->number, fd, e) < 0)
        return -1;
    if (p->hung_up || p->for_master.n_messages || p->for_slave.n_messages) {
        /* After it is opened and closed the master hears that it hung up, when the job
         * has no other. */
        slave = open_slave(fd, O_RDWR | O_NONBLOCK, e);
        if (slave < 0 || give(fd, slave, p, e) < 0)
            return -1;
    }
    if (p->locked && ioctl(fd, TIOCSPTLCK, &locked) < 0)
        return err_sys(e, "lock a pseudo-terminal");
    return files_pool_put(r, index, &fd, e);
}

static int open_master_file(struct files_restore *r, uint32_t index, struct err *e)
{
    auto_pty struct pty p = {0};

    if (decode(&r->img->files[index], &p, e) < 0)
        return -1;
    return open_with(r, index, &p, e);
}

/* The master of this number, or IMAGE_NONE. */
static uint32_t master_of(const struct image *img, uint32_t number)
{
    struct err ignored;

    for (uint32_t i = 0; i < img->n_files; i++) {
        auto_pty struct pty p = {0};

        if (img->files[i].kind != IMAGE_FILE_PTY_MASTER ||
            decode(&img->files[i], &p, &ignored) < 0)
            continue;
        if (p.number == number)
            return i;
    }
    return IMAGE_NONE;
}

static int open_slave_file(struct files_restore *r, uint32_t index, struct err *e)
{
    const struct image_file *file = &r->img->files[index];
    uint32_t master;
    auto_fd int fd = -1;
    auto_pty struct pty p = {0};

    if (decode(file, &p, e) < 0)
        return -1;
    if (p.external) {
        fd = files_stand_in_terminal(r, files_open_flags(file), e);
    } else if (p.number == NO_NUMBER) {
        fd = open_hung_up(files_open_flags(file), e);
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
    .forget = forget,
    .check = check,
    .make = open_master_file,
};

const struct file_kind file_kind_pty_slave = {
    .name = "a terminal",
    .save = save,
    .pair = pair,
    .forget = forget,
    .check = check,
    .make = open_slave_file,
};
