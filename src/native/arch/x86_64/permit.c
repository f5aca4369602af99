/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/arch/x86_64/permit.h"

#include "base/err.h"
#include "native/inject.h"

#include <cpuid.h>
#include <sys/syscall.h>

enum {
    GET_XCOMP_PERM = 0x1022, /* <asm/prctl.h> since Linux 5.16 */
    COMPONENT_TILES = 18,
    LEAF7_ECX_OSPKE = 1 << 4,
};

bool arch_has_protection_keys(void)
{
    uint32_t a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & LEAF7_ECX_OSPKE);
}

int permit_check(uint64_t permitted, int pid, struct err *e)
{
    /* All others are there without being asked for. */
    if (!(permitted >> COMPONENT_TILES & 1))
        return 0;
    return err_set(e, ERR_REFUSED,
                   "process %d may use the tile registers of AMX (arch_prctl(2) "
                   "ARCH_REQ_XCOMP_PERM), which a restart cannot give back: keep its "
                   "libraries from them, as ONEDNN_MAX_CPU_ISA=AVX512_CORE_FP16 does",
                   pid);
}

int arch_refuse_permitted(const struct tracee *t, uint64_t at, int pid, struct err *e)
{
    struct inject_result r;
    uint64_t permitted;

    if (inject_call(t, SYS_arch_prctl, (const uint64_t[6]){GET_XCOMP_PERM, at}, &r, e) <
        0)
        return -1;
    /* A kernel that does not know this gives no permissions. */
    if (r.value < 0)
        return 0;
    if (inject_read(t, at, &permitted, sizeof(permitted), e) < 0)
        return -1;
    return permit_check(permitted, pid, e);
}
