/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"
#include "job/protocol.h"
#include "tap.h"

#include <stdlib.h>

static char line[PROTOCOL_LINE_MAX];
static struct err e;

static int read_answer(size_t size, struct protocol_answer *a)
{
    err_clear(&e);
    CHECK(size > 1);
    CHECK(line[size - 1] == '\n');
    CHECK(!memchr(line, '\n', size - 1));
    return protocol_read_answer(line, size - 1, a, &e);
}

static int read_request(const char *text, struct protocol_request *r)
{
    err_clear(&e);
    return protocol_read_request(text, strlen(text), r, &e);
}

static void a_request_arrives_as_it_was(void)
{
    const struct protocol_request sent = {.op = OP_CHECKPOINT, .stop = true};
    struct protocol_request got = {0};
    size_t size = protocol_write_request(&sent, line);

    CHECK(protocol_read_request(line, size - 1, &got, &e) == 0);
    CHECK_INT(got.op, OP_CHECKPOINT);
    CHECK(got.stop);
    CHECK(read_request("{\"op\":\"status\",\"new\":[1]}", &got) == 0);
    CHECK_INT(got.op, OP_STATUS);
    CHECK(!got.stop);
}

static void a_checkpoint_arrives_as_it_was(void)
{
    const struct job_checkpoint sent = {.generation = UINT64_C(1) << 40,
                                        .time_us = 5,
                                        .stats = {.processes = 1,
                                                  .threads = 2,
                                                  .bytes = UINT64_C(1) << 50,
                                                  .stored_bytes = 3,
                                                  .pause_us = 4}};
    struct protocol_answer got;

    CHECK(read_answer(protocol_write_checkpoint(&sent, line), &got) == 0);
    CHECK(got.done);
    CHECK_INT(got.e.kind, ERR_NONE);
    CHECK(memcmp(&got.checkpoint, &sent, sizeof(sent)) == 0);
}

static void a_status_arrives_as_it_was(void)
{
    const struct job_status sent = {
        .pid = 4711, .epoch = 3, .state = JOB_STATE_SUSPENDED};
    struct protocol_answer got;

    CHECK(read_answer(protocol_write_status(&sent, line), &got) == 0);
    CHECK_INT(got.status.pid, 4711);
    CHECK_INT(got.status.epoch, 3);
    CHECK_INT(got.status.state, JOB_STATE_SUSPENDED);
}

static void progress_is_not_the_end(void)
{
    struct protocol_answer got;

    CHECK(read_answer(protocol_write_progress(1, UINT64_C(1) << 40, line), &got) == 0);
    CHECK(!got.done);
    CHECK_INT(got.bytes, 1);
    CHECK_INT(got.total_bytes, INT64_C(1) << 40);
}

static void an_error_keeps_its_kind_and_errno(void)
{
    struct protocol_answer got;
    struct err sent = {0};

    err_set(&sent, ERR_REFUSED, "process 7: holds \"/dev/x\"\nand more");
    CHECK(read_answer(protocol_write_error(&sent, line), &got) == 0);
    CHECK_INT(got.e.kind, ERR_REFUSED);
    CHECK_STR(got.e.text, sent.text);
    err_code(&sent, 28, "write");
    CHECK(read_answer(protocol_write_error(&sent, line), &got) == 0);
    CHECK_INT(got.e.kind, ERR_SYS);
    CHECK_INT(got.e.sys, 28);
}

static void an_error_says_whether_it_is_momentary(void)
{
    struct err sent = {.kind = ERR_REFUSED, .text = "process 7"};
    struct protocol_answer got;

    CHECK(read_answer(protocol_write_error(&sent, line), &got) == 0);
    CHECK(!got.e.momentary);
    sent.momentary = true;
    CHECK(read_answer(protocol_write_error(&sent, line), &got) == 0);
    CHECK(got.e.momentary);
}

static void an_error_of_any_text_fits_a_line(void)
{
    struct protocol_answer got;
    struct err sent = {.kind = ERR_FAILED};

    memset(sent.text, '\x01', sizeof(sent.text) - 1);
    CHECK(read_answer(protocol_write_error(&sent, line), &got) == 0);
    CHECK_STR(got.e.text, sent.text);
    memset(sent.text, '\xff', sizeof(sent.text) - 1);
    CHECK(read_answer(protocol_write_error(&sent, line), &got) == 0);
    CHECK_INT(got.e.kind, ERR_FAILED);
    CHECK_INT(strlen(got.e.text), sizeof(sent.text) - 1);
}

static void nonsense_is_an_error(void)
{
    static const char *const lines[] = {"",
                                        "{",
                                        "[]",
                                        "null",
                                        "7",
                                        "{}",
                                        "{\"op\":7}",
                                        "{\"op\":\"\"}",
                                        "{\"op\":\"status\",\"op\":\"status\"}",
                                        "{\"op\":\"status\"} x"};
    struct protocol_request r;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        CHECK(read_request(lines[i], &r) < 0);
        CHECK_INT(e.kind, ERR_CORRUPT);
    }
}

static void answers_with_holes_are_read_with_zeros(void)
{
    struct protocol_answer got;

    snprintf(line, sizeof(line),
             "{\"done\":true,\"ok\":true,\"generation\":-4,\"bytes\":\"many\","
             "\"state\":9}\n");
    CHECK(read_answer(strlen(line), &got) == 0);
    CHECK_INT(got.checkpoint.generation, 0);
    CHECK_INT(got.checkpoint.stats.bytes, 0);
    snprintf(line, sizeof(line), "{\"done\":true,\"ok\":false,\"kind\":\"none\"}\n");
    CHECK(read_answer(strlen(line), &got) == 0);
    CHECK_INT(got.e.kind, ERR_FAILED);
}

/* Bytes of a good line replaced, removed and doubled at random: never a crash, and what
 * is accepted has a reason to be. The sanitizers look on. */
static void damaged_lines_do_no_harm(void)
{
    const struct job_checkpoint sent = {.generation = 8, .time_us = 99};
    char good[PROTOCOL_LINE_MAX];
    size_t size = protocol_write_checkpoint(&sent, good) - 1;

    srandom(1);
    for (int i = 0; i < 20000; i++) {
        struct protocol_answer a;
        struct protocol_request r;

        memcpy(line, good, size);
        for (long n = random() % 4; n >= 0; n--)
            line[(size_t)random() % size] = (char)random();
        err_clear(&e);
        if (protocol_read_answer(line, size, &a, &e) < 0)
            CHECK_INT(e.kind, ERR_CORRUPT);
        protocol_read_request(line, (size_t)random() % size, &r, &e);
    }
}

int main(void)
{
    RUN(a_request_arrives_as_it_was);
    RUN(a_checkpoint_arrives_as_it_was);
    RUN(a_status_arrives_as_it_was);
    RUN(progress_is_not_the_end);
    RUN(an_error_keeps_its_kind_and_errno);
    RUN(an_error_says_whether_it_is_momentary);
    RUN(an_error_of_any_text_fits_a_line);
    RUN(nonsense_is_an_error);
    RUN(answers_with_holes_are_read_with_zeros);
    RUN(damaged_lines_do_no_harm);
    return tap_done();
}
