/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What 64-bit ARM says of itself. All of it works on any machine. */
#include "cpu/arm64.h"

#include "base/err.h"
#include "tap.h"

static struct err e;

static const char *all_of(const struct cpu_flags *set)
{
    static char text[CPU_TEXT_SIZE];

    return cpu_flags_list(set, text, sizeof(text));
}

/* Numbers of bits from asm/hwcap.h. */
static void bits_have_the_kernels_names(void)
{
    struct cpu_flags set = {0};

    CHECK_INT(
        arm64_flags(1 << 0 | 1 << 1 | 1 << 8 | 1 << 22, 1 << 1 | 1 << 23, &set, &e), 0);
    CHECK_STR(all_of(&set), "asimd atomics fp sme sve sve2");
}

static void what_is_not_for_code_is_no_flag(void)
{
    struct cpu_flags set = {0};

    CHECK_INT(arm64_flags(1 << 2 | 1 << 11, 0, &set, &e), 0);
    CHECK_INT(set.count, 0);
}

/* With PR_SVE_VL_INHERIT, 1 << 17, beside the bytes. */
static void a_length_of_vectors_is_a_flag(void)
{
    struct cpu_flags set = {0};

    CHECK_INT(arm64_vector_lengths(-1, -1, &set, &e), 0);
    CHECK_INT(arm64_vector_lengths(0, 0, &set, &e), 0);
    CHECK_INT(set.count, 0);
    CHECK_INT(arm64_vector_lengths(1 << 17 | 32, 64, &set, &e), 0);
    CHECK_STR(all_of(&set), "sme_vl512 sve_vl256");
    set.count = 0;
    CHECK_INT(arm64_vector_lengths(48, -1, &set, &e), 0);
    CHECK_STR(all_of(&set), "sve_vl384");
}

static void another_length_is_another_kind_of_host(void)
{
    static struct cpu here = {.arch = "aarch64"}, longer = {.arch = "aarch64"};
    static struct cpu_contract contract;
    const struct cpu_policy host = {.kind = CPU_POLICY_HOST};

    CHECK_INT(arm64_flags(1 << 22, 0, &here.flags, &e), 0);
    longer = here;
    CHECK_INT(arm64_vector_lengths(16, -1, &here.flags, &e), 0);
    CHECK_INT(arm64_vector_lengths(32, -1, &longer.flags, &e), 0);
    CHECK_INT(cpu_contract_make(&host, &here, NULL, &contract, &e), 0);
    CHECK(cpu_contract_holds(&contract, &here, NULL));
    CHECK_INT(cpu_contract_check(&contract, &longer, "geb", 3, &e), -1);
    CHECK_INT(e.kind, ERR_WRONG_HOST);
    CHECK_STR(e.text,
              "host geb lacks sve_vl128; generation 3 was made where it exists");
}

static void the_usual_lengths_can_be_asked_for(void)
{
    static struct cpu_contract c = {.made_on.arch = "aarch64"};
    static struct cpu_request list[CPU_REQUESTS_MAX];

    CHECK_INT(arm64_vector_lengths(256, 16, &c.needs, &e), 0);
    CHECK_INT(cpu_contract_requests(&c, list), 2);
    CHECK_STR(list[0].name, "cpuflag_sve_vl2048");
    CHECK_STR(list[1].name, "cpuflag_sme_vl128");
}

static void the_model_is_read_from_midr(void)
{
    struct cpu c = {0};

    arm64_model(0, &c);
    CHECK_STR(c.vendor, "");
    arm64_model(0x413fd0c1, &c);
    CHECK_STR(c.vendor, "0x41");
    CHECK_INT(c.model, 0xd0c);
    CHECK_INT(c.stepping, 0x31);
}

int main(void)
{
    RUN(bits_have_the_kernels_names);
    RUN(what_is_not_for_code_is_no_flag);
    RUN(a_length_of_vectors_is_a_flag);
    RUN(another_length_is_another_kind_of_host);
    RUN(the_usual_lengths_can_be_asked_for);
    RUN(the_model_is_read_from_midr);
    return tap_done();
}
