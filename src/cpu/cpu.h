/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this host's CPU offers to programs, and what a generation needs of the host that
 * continues it.
 *
 * A program chooses its code by the CPU it finds at its start (ifuncs of the C library,
 * OpenBLAS, MKL, -ax code) and the choice lies in its memory. So a generation carries a
 * contract: the features that its host must have. doc/format/cpu.md specifies the text
 * forms and the flags.
 *
 * Everything here is plain data: no allocation, no ownership. The structs are several
 * KiB each. Nothing depends on the machine but cpu_read; the rest works on the CPUs of
 * other hosts and architectures too.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* ---- sets of features ---- */

enum {
    CPU_FLAG_SIZE = 24, /* of a name, with its NUL */
    CPU_FLAGS_MAX = 256,
};

/* A set of features by their names in /proc/cpuinfo, ascending by strcmp. Names that
 * this version does not know are kept: a later one wrote them, and they count. Change
 * it with the functions below only; {0} is the empty set. */
struct cpu_flags {
    unsigned count;
    char name[CPU_FLAGS_MAX][CPU_FLAG_SIZE];
};

bool cpu_flags_has(const struct cpu_flags *set, const char *name);

/* One that is there already is a success. ERR_CORRUPT: no name of a flag (letters,
 * digits, '_', '.', '-'; at most CPU_FLAG_SIZE - 1), or the set is full. */
int cpu_flags_add(struct cpu_flags *set, const char *name, struct err *e);
void cpu_flags_remove(struct cpu_flags *set, const char *name);

/* Adds all of `more`; fails as cpu_flags_add does. */
int cpu_flags_union(struct cpu_flags *set, const struct cpu_flags *more, struct err *e);
/* What is in both; `out` may be one of them. */
void cpu_flags_common(const struct cpu_flags *a, const struct cpu_flags *b,
                      struct cpu_flags *out);
/* What of `needed` is not in `offered`; `out` may be one of them. */
void cpu_flags_missing(const struct cpu_flags *needed, const struct cpu_flags *offered,
                       struct cpu_flags *out);

/* "avx2 fma", in the set's order; what does not fit becomes "and 17 more". Returns
 * `out`. */
const char *cpu_flags_list(const struct cpu_flags *set, char *out, size_t size);

/* ---- a CPU ---- */

enum {
    CPU_LEVELS = 4,      /* x86-64-v1 to -v4 */
    CPU_COMPONENTS = 63, /* of the XSAVE area */
    CPU_TEXT_SIZE = 8192,
};

struct cpu_component {
    uint32_t offset, size; /* in the standard format; size 0: not there */
};

struct cpu {
    char arch[16];   /* "x86_64", "aarch64" */
    char vendor[32]; /* "GenuineIntel", "0x41"; may be empty, as the name */
    char name[64];
    uint32_t family, model, stepping;
    struct cpu_flags flags;
    uint64_t xcr0; /* the XSAVE components that the kernel has enabled; 0: none */
    struct cpu_component component[CPU_COMPONENTS]; /* from 2 on; 0 and 1 are fixed */
};

/*
 * What programs on this host can use: what CPUID says and the kernel has enabled, or
 * AT_HWCAP. In a virtual machine that is what the machine was given.
 *
 * QCKPT_FAKE_CPU makes it another CPU, for tests: doc/format/cpu.md, section 5. Without
 * QCKPT_TESTING=1 it is refused (ERR_USAGE), and so is what cannot be read as a CPU.
 */
int cpu_read(struct cpu *c, struct err *e);

/* The text form: lines, at most CPU_TEXT_SIZE with the NUL. */
int cpu_format(const struct cpu *c, char *out, size_t size, struct err *e);
/* ERR_CORRUPT names the line, ERR_WRONG_HOST the format that a newer qckpt wrote. `c`
 * is left alone then. */
int cpu_parse(const char *text, struct cpu *c, struct err *e);

/* The highest level of the psABI all of whose flags are there, 0 when not even the
 * first: x86-64-v1 to -v4. Always 0 on other architectures. */
unsigned cpu_level(const char *arch, const struct cpu_flags *flags);
/* All flags of a level and those below it; level 1 to CPU_LEVELS. */
void cpu_level_flags(unsigned level, struct cpu_flags *out);

/* Every flag that can be found on a CPU of this architecture; `i` from 0 until NULL. */
const char *cpu_known_flag(const char *arch, size_t i);

/* ---- the contract ---- */

enum cpu_policy_kind {
    CPU_POLICY_HOST,     /* "host": every flag of the hosts on which the job ran */
    CPU_POLICY_LEVEL,    /* "level": those of them that are in some psABI level */
    CPU_POLICY_BASELINE, /* "baseline=x86-64-vN": that level, the job is made to keep to
                            it */
};

struct cpu_policy {
    enum cpu_policy_kind kind;
    unsigned level; /* of CPU_POLICY_BASELINE, else 0 */
};

enum { CPU_POLICY_SIZE = 32 };

/* ERR_USAGE when it is none. */
int cpu_policy_parse(const char *text, struct cpu_policy *p, struct err *e);
const char *cpu_policy_format(const struct cpu_policy *p, char out[CPU_POLICY_SIZE]);

struct cpu_contract {
    struct cpu_policy policy;
    struct cpu_flags needs;
    struct cpu made_on; /* the CPU of the run that made the generation */
};

/*
 * The contract of a run on `here`. `before` is that of the generation which the run
 * continues, NULL when the job was launched: what it needs is needed further on, since
 * its choices are still in memory, and what `here` offers is added, since every program
 * that the job starts from now on chooses by that.
 * ERR_USAGE: the policy does not exist on this architecture.
 * A baseline above what `here` offers asks for what `here` offers.
 */
int cpu_contract_make(const struct cpu_policy *p, const struct cpu *here,
                      const struct cpu_contract *before, struct cpu_contract *out,
                      struct err *e);

/* For store_meta.cpu: at most CPU_TEXT_SIZE with the NUL. */
int cpu_contract_format(const struct cpu_contract *c, char *out, size_t size,
                        struct err *e);
/* ERR_NOTHING: the text is empty, the generation has no contract. ERR_CORRUPT names the
 * line, ERR_WRONG_HOST the format that a newer qckpt wrote. `c` is left alone then. */
int cpu_contract_parse(const char *text, struct cpu_contract *c, struct err *e);

/* Whether `here` may continue it. `missing` may be NULL; it stays empty when only the
 * architecture is another. */
bool cpu_contract_holds(const struct cpu_contract *c, const struct cpu *here,
                        struct cpu_flags *missing);

/* The same as an error, ERR_WRONG_HOST: "host geb lacks avx512f avx512bw; generation 3
 * was made where they exist". Before anything of a restart is touched. */
int cpu_contract_check(const struct cpu_contract *c, const struct cpu *here,
                       const char *host, uint64_t generation, struct err *e);

/* ---- a job that keeps to a level ---- */

enum { CPU_BASELINE_VARIABLES = 8, CPU_VARIABLE_SIZE = 4096 };

struct cpu_variable {
    const char *name;
    char value[CPU_VARIABLE_SIZE];
};

/*
 * The environment in which libraries choose code of the level that the contract has on
 * `here`: for CPU_POLICY_BASELINE only, else *count is 0. What the user had set is
 * merged, or kept where it asks for less: `get` is getenv(3) or a test's. Libraries
 * read it when a program starts, so it must be there before the job's first exec.
 * ERR_USAGE: a value of the user's is too long to be merged.
 */
int cpu_baseline(const struct cpu_policy *p, const struct cpu *here,
                 char *(*get)(const char *name),
                 struct cpu_variable out[CPU_BASELINE_VARIABLES], size_t *count,
                 struct err *e);

/* ---- what Grid Engine is asked for ---- */

enum { CPU_COMPLEX_SIZE = 40 };

/* A complex (complex(5)): cpuflag_avx2, BOOL; cpu_level, INT. */
struct cpu_complex {
    char name[CPU_COMPLEX_SIZE];
    char shortcut[CPU_COMPLEX_SIZE];
    const char *flag; /* NULL: cpu_level */
};

/* The `i`th complex for hosts of this architecture, from 0; false at the end. The names
 * and shortcuts of the original integration are among them. */
bool cpu_complex(const char *arch, size_t i, struct cpu_complex *out);

/* What a host has of it: 0 or 1; for cpu_level 0 to CPU_LEVELS. */
unsigned cpu_complex_value(const struct cpu_complex *complex, const struct cpu *c);

/* A resource that a job asks for with -l, so that only hosts which meet the contract
 * take it. */
struct cpu_request {
    char name[CPU_COMPLEX_SIZE];
    char value[16]; /* "1"; of cpu_level the least that will do */
    bool in_level;  /* a request for cpu_level says the same: leave this out when the
                        cluster has cpu_level */
};

enum { CPU_REQUESTS_MAX = CPU_FLAGS_MAX + 1 };

/* All that stands for the contract, cpu_level first; a flag without a complex of its
 * own is left out (those of x86-64-v1, which no host lacks, and names of later
 * versions). Returns how many. */
size_t cpu_contract_requests(const struct cpu_contract *c,
                             struct cpu_request out[CPU_REQUESTS_MAX]);

#endif
