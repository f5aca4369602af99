/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The supervisor's end of the control socket: an abstract unix(7) stream socket that
 * only the job's owner and root may use (SO_PEERCRED).
 *
 * A client sends one request and waits for its answer. Nothing here blocks: a client
 * that is silent, slow, gone or talks nonsense is dropped and harms nobody.
 */
#ifndef JOB_CONTROL_H
#define JOB_CONTROL_H

#include "base/scope.h"
#include "job/protocol.h"

#include <stdbool.h>
#include <stddef.h>

struct err;
struct control;
struct control_client;

enum { CONTROL_NAME_SIZE = 108 };

/* Listens on a new random name; `name` is without the leading NUL. */
struct control *control_open(char name[CONTROL_NAME_SIZE], struct err *e);
void control_close(struct control *c);
SCOPE_DEFINE(control, struct control *, control_close);
#define auto_control SCOPE_USE(control)

/* Readable when control_serve has something to do. */
int control_fd(const struct control *c);

/* Called for each request; must answer it or queue the client. */
typedef void control_handler(void *arg, struct control_client *client,
                             const struct protocol_request *request);

/* Does what can be done without waiting. */
void control_serve(struct control *c, control_handler *handler, void *arg);

/* Sends a line from protocol_write_* as the last one; the client is gone then. */
void control_answer(struct control_client *client, const char *line, size_t size);

/* The client waits for the next checkpoint. */
void control_queue(struct control_client *client, bool stop);

/* Whether clients are queued, and whether one of them asks for a stop. */
bool control_is_queued(const struct control *c, bool *stop);

/* A checkpoint begins for all that are queued; they get its progress and its result.
 * False: nobody is. */
bool control_begin(struct control *c);
void control_progress(struct control *c, uint64_t bytes, uint64_t total_bytes);
void control_finish(struct control *c, const char *line, size_t size);

/* Answers everybody who waits for a checkpoint, begun or queued. */
void control_refuse_all(struct control *c, const struct err *error);

#endif
