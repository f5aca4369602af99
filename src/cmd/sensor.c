/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The load sensor: tells Grid Engine what this host's CPU offers.
 *
 * Grid Engine's execution daemon writes a line whenever it wants a report, "quit" when
 * the sensor shall end (sge_execd(8), sge_conf(5)). What else is in a line is not
 * looked at: a sensor that does not answer is taken for a broken one.
 */
#include "base/err.h"
#include "base/opt.h"
#include "cmd/hook.h"
#include "cpu/cpu.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool once, fixed, help;
static const char *host;

static const struct opt options[] = {
    {0, "once", NULL, OPT_FLAG, &once, "print one report and end"},
    {0, "fixed", NULL, OPT_FLAG, &fixed,
     "print the values as a host's or queue's complex_values has them"},
    {0, "host", "NAME", OPT_STRING, &host, "report for this host's name"},
    {'h', "help", NULL, OPT_FLAG, &help, "explain the options"},
    {0}};

/* A name with a colon or newline in it would make other values of it. */
static int check_host(struct err *e)
{
    size_t length = strlen(host);

    if (length == 0 || length > HOST_NAME_MAX ||
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789._-") != length)
        return err_set(e, ERR_USAGE, "--host: \"%.80s\" is no name of a host", host);
    return 0;
}

static int find_host(struct err *e)
{
    static char own[HOST_NAME_MAX + 1];

    if (!host) {
        if (gethostname(own, sizeof(own)) < 0)
            return err_sys(e, "this host's name");
        own[HOST_NAME_MAX] = '\0';
        host = own;
    }
    return check_host(e);
}

/* Read anew each time: a virtual machine may have moved meanwhile. */
static int report(struct err *e)
{
    struct cpu_complex complex;
    struct cpu cpu;

    if (cpu_read(&cpu, e) < 0)
        return -1;
    puts("begin");
    for (size_t i = 0; cpu_complex(cpu.arch, i, &complex); i++)
        printf("%s:%s:%u\n", host, complex.name, cpu_complex_value(&complex, &cpu));
    puts("end");
    if (fflush(stdout) != 0)
        return err_sys(e, "write to the standard output");
    return 0;
}

/* Without what the host lacks: a host that has no value for a complex is taken by no
 * job that asks for it. */
static int print_fixed(struct err *e)
{
    const char *comma = "";
    struct cpu_complex complex;
    struct cpu cpu;

    if (cpu_read(&cpu, e) < 0)
        return -1;
    for (size_t i = 0; cpu_complex(cpu.arch, i, &complex); i++) {
        unsigned value = cpu_complex_value(&complex, &cpu);

        if (value == 0)
            continue;
        if (complex.flag)
            printf("%s%s=TRUE", comma, complex.name);
        else
            printf("%s%s=%u", comma, complex.name, value);
        comma = ",";
    }
    putchar('\n');
    return 0;
}

/* The beginning of the next line; false at the end of the input, also in the middle of
 * a line. */
static bool read_line(char *line, size_t size)
{
    size_t used = 0;
    int c;

    while ((c = getchar()) != EOF && c != '\n')
        if (used + 1 < size)
            line[used++] = c;
    line[used] = '\0';
    return c == '\n';
}

static int serve(struct err *e)
{
    char line[16];

    while (read_line(line, sizeof(line)) && strcmp(line, "quit") != 0)
        if (report(e) < 0)
            return -1;
    return 0;
}

static void print_help(void)
{
    puts("Usage: qckpt-sensor [OPTION]...\n\n"
         "A load sensor of Grid Engine: reports this host's CPU for each line on "
         "stdin,\n"
         "until \"quit\" or the end.\n");
    opt_print(options, stdout);
}

int cmd_hook_sensor(int argc, char **argv, struct err *e)
{
    struct cpu cpu;
    int rest;

    if (opt_parse(options, argc, argv, &rest, e) < 0)
        return -1;
    if (help) {
        print_help();
        return 0;
    }
    if (rest < argc)
        return err_set(e, ERR_USAGE, "\"%s\" is one word too many", argv[rest]);
    if (find_host(e) < 0 || cpu_read(&cpu, e) < 0)
        return -1;
    if (fixed)
        return print_fixed(e);
    return once ? report(e) : serve(e);
}
