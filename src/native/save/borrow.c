/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/borrow.h"

#include "base/err.h"
#include "base/log.h"

#include <signal.h>
#include <sys/mman.h>

/* The lowest end of the stack is the best place: nothing but a stack is there, and no
 * page of it is one that the kernel may drop or refuse (MAP_DROPPABLE, guard pages).
 * Then a program's variables. */
enum { PREFERENCES = 3 };

static int preference(const struct image_vma *v)
{
    if ((v->prot & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE))
        return -1;
    switch (v->kind) {
    case IMAGE_VMA_ANON:
        return v->flags & IMAGE_VMA_GROWSDOWN ? 0 : 2;
    case IMAGE_VMA_FILE_PRIVATE:
        return 1;
    default:
        return -1;
    }
}

/* When a thread returns from a call, the kernel may note there which CPU it is on. */
static bool holds_rseq(const struct image_process *p, uint64_t at)
{
    for (uint32_t k = 0; k < p->n_threads; k++) {
        const struct image_thread *t = &p->threads[k];

        if (t->rseq_addr && t->rseq_addr < at + BORROWED_SIZE &&
            at < t->rseq_addr + t->rseq_size)
            return true;
    }
    return false;
}

static bool try_to_borrow(const struct tracee *t, uint64_t at, struct borrowed *b)
{
    struct err ignored = {0};

    b->at = at;
    return inject_read(t, at, b->contents, sizeof(b->contents), &ignored) == 0 &&
           inject_write(t, at, b->contents, sizeof(b->contents), &ignored) == 0;
}

int borrow_memory(const struct save *s, uint32_t i, const struct tracee *t,
                  struct borrowed *b, struct err *e)
{
    const struct image_process *p = &s->img->processes[i];

    for (int wanted = 0; wanted < PREFERENCES; wanted++)
        for (uint32_t k = 0; k < p->n_vmas; k++)
            if (preference(&p->vmas[k]) == wanted && !holds_rseq(p, p->vmas[k].start) &&
                try_to_borrow(t, p->vmas[k].start, b))
                return 0;
    return err_set(e, ERR_REFUSED,
                   "process %d has no memory of its own that can be written: it cannot "
                   "be asked for its state",
                   p->pid);
}

void borrow_return(const struct tracee *t, const struct borrowed *b)
{
    struct err e = {0};

    if (inject_write(t, b->at, b->contents, sizeof(b->contents), &e) == 0)
        return;
    log_error("a process of the job cannot be set right and is killed: %s", e.text);
    kill(t->pid, SIGKILL);
}
