/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "base/io.h"
#include "base/scope.h"
#include "cpu/arch.h"
#include "cpu/arm64.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

/* linux/prctl.h; Linux 5.19 has the second, and older headers do not. */
enum { SVE_GET_VL = 51, SME_GET_VL = 64 };

/* MIDR_EL1, "0x00000000413fd0c1"; Linux 4.7. Which model it is decides nothing, so that
 * a host without the file has none. */
static uint64_t read_midr(void)
{
    auto_free char *text = NULL;
    struct err ignored;

    if (io_read_file(AT_FDCWD,
                     "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", 64,
                     &text, NULL, &ignored) < 0)
        return 0;
    return strtoull(text, NULL, 16);
}

int arch_cpu_read(struct cpu *c, struct err *e)
{
    memset(c, 0, sizeof(*c));
    memcpy(c->arch, "aarch64", sizeof("aarch64"));
    arm64_model(read_midr(), c);
    if (arm64_flags(getauxval(AT_HWCAP), getauxval(AT_HWCAP2), &c->flags, e) < 0)
        return -1;
    return arm64_vector_lengths(prctl(SVE_GET_VL), prctl(SME_GET_VL), &c->flags, e);
}
