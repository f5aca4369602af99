/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The first message of a process that has just begun, to DMTCP's coordinator.
 *
 * It is sent by the parent, in fork(2), and says in what state that is. A state other
 * than running the coordinator (3.2, 4.2) rejects without a word, and the parent waits
 * for its answer for ever: so does every other process for the parent, when the
 * checkpoint that put it into this state stops them. The state is not the new
 * process's: one that is asked to stop while another thread of it forks says so, and so
 * does one that was let go and has not noted it yet. For both the coordinator has an
 * answer: the new process takes part in what is under way.
 *
 * So such a message is taken from the connection and the coordinator is given one that
 * says "running" in its place.
 */
#ifndef DMTCP_HELLO_H
#define DMTCP_HELLO_H

#include <stdbool.h>

/* The same from 3.0 to 4.2; what has another size is left alone. */
enum { HELLO_SIZE = 208 };

enum hello_state {
    HELLO_AWAITED, /* it has not come, or not all of it */
    HELLO_WHOLE,
    HELLO_FOREIGN, /* the other end has hung up, or says what no program of DMTCP says
                    */
};

/* How far the first message of a connection is. Takes nothing, and does not wait. */
enum hello_state hello_look(int fd);

/* True: the whole message that is there would have been rejected; it is taken, and
 * `bytes` is what the coordinator is to read in its place. False: nothing was taken.
 * Neither allocates anything. */
bool hello_take(int fd, unsigned char bytes[HELLO_SIZE]);

#endif
