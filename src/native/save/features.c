/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/save/features.h"

#include "base/err.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

int features_check_key(const struct proc_vm *vm, uint32_t prot, int pid, struct err *e)
{
    /* What can only be executed gets a key from the kernel, at a restart as well. */
    if (vm->key == 0 || prot == PROT_EXEC)
        return 0;
    return err_set(e, ERR_REFUSED,
                   "process %d has protected its memory at %#lx with protection key %u "
                   "(pkey_mprotect(2)), which a restart cannot give back: switch that "
                   "off in the program",
                   pid, (unsigned long)vm->start, vm->key);
}

/* pkey_mprotect(2) of nothing: whether the process has the key is looked at first, and
 * changed is nothing. The key that the kernel took for itself is not the process's. */
static int has_key(const struct tracee *t, int key, bool *has, struct err *e)
{
    const uint64_t args[6] = {0, SAVE_PAGE_SIZE, PROT_NONE, (uint64_t)key};
    struct inject_result r;

    if (inject_call(t, SYS_pkey_mprotect, args, &r, e) < 0)
        return -1;
    *has = r.value == -ENOMEM;
    return 0;
}

/* Keys are given lowest first; one may be the kernel's. One more that is left when
 * those before it were given back shows by the memory it protects. */
static int ask_keys(const struct image_process *p, const struct tracee *t,
                    struct err *e)
{
    enum { KEYS_ASKED = 2 };

    if (!arch_has_protection_keys() || p->n_vmas == 0 || p->vmas[0].start == 0)
        return 0;
    for (int key = 1; key <= KEYS_ASKED; key++) {
        bool has;

        if (has_key(t, key, &has, e) < 0)
            return -1;
        if (has)
            return err_set(e, ERR_REFUSED,
                           "process %d has protection key %d (pkey_alloc(2)), which a "
                           "restart cannot give back: switch that off in the program",
                           p->pid, key);
    }
    return 0;
}

int features_ask(const struct save *s, uint32_t i, const struct tracee *t, uint64_t at,
                 struct err *e)
{
    const struct image_process *p = &s->img->processes[i];

    return ask_keys(p, t, e) < 0 ? -1 : arch_refuse_permitted(t, at, p->pid, e);
}
