/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Room for this CPU's registers in programs that were started on a lesser one.
 *
 * When a function is called for the first time, ld.so of the GNU C library looks it up
 * and saves the registers of the call meanwhile (lazy binding), with XSAVE or XSAVEC,
 * into a place on the stack. How large that place is was computed when the program was
 * started. XSAVE writes as much as this CPU has: continued on a CPU with more, the
 * program overwrites its own stack (sysdeps/x86_64/dl-trampoline.h, glibc 2.26 and
 * later).
 */
#ifndef PLACE_BINDING_H
#define PLACE_BINDING_H

#include <sys/types.h>

struct err;

/*
 * Makes the place of process `pid` large enough for this CPU, if its ld.so has one; a
 * place that is larger stays. The process must stand still, outside of ld.so's lookup,
 * and its memory be accessible to the caller as to a tracer.
 */
int binding_make_room(pid_t pid, struct err *e);

#endif
