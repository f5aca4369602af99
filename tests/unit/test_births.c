/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/births.h"

#include "base/err.h"
#include "image/image.h"
#include "tap.h"

#include <stdlib.h>

enum { SUPERVISOR = 100 };

static struct image *new_image(void)
{
    struct image *img = image_new(&(struct err){0});

    img->supervisor_pid = SUPERVISOR;
    img->root_pid = 200;
    return img;
}

static struct image_process *process(struct image *img, int pid, int ppid, int sid,
                                     int pgid)
{
    struct image_process *p = IMAGE_APPEND(img, processes);

    p->pid = pid;
    p->ppid = ppid;
    p->sid = sid;
    p->pgid = pgid;
    return p;
}

static const struct birth *birth_of(const struct births *b, int pid)
{
    static const struct birth none;

    for (uint32_t i = 0; i < b->n; i++)
        if (b->node[i].pid == pid)
            return &b->node[i];
    return &none;
}

static int parent_of(const struct births *b, int pid)
{
    uint32_t parent = birth_of(b, pid)->parent;

    return parent == BIRTHS_TOP ? 0 : b->node[parent].pid;
}

static void children_are_forked_by_their_parents(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 201, 200, 200, 201);
    process(img, 202, 201, 200, 201);
    CHECK_INT(births_plan(&b, img, &e), 0);
    CHECK_INT(b.n, 3);
    CHECK_INT(b.n_alive, 3);
    CHECK_INT(parent_of(&b, 200), 0);
    CHECK_INT(parent_of(&b, 201), 200);
    CHECK_INT(parent_of(&b, 202), 201);
    CHECK(!birth_of(&b, 202)->early && !birth_of(&b, 202)->helper_pid);
    births_free(&b);
}

static void an_adopted_process_comes_from_its_session_through_a_helper(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};
    int helper;

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 300, SUPERVISOR, 200, 200);
    CHECK_INT(births_plan(&b, img, &e), 0);
    CHECK_INT(parent_of(&b, 300), 200);
    helper = birth_of(&b, 300)->helper_pid;
    CHECK(helper > 1 && helper != 200 && helper != 300 && helper != SUPERVISOR);
    births_free(&b);
}

static void dead_leaders_are_stood_in_for(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 301, SUPERVISOR, 300, 300); /* the session's leader 300 is gone */
    process(img, 302, 301, 300, 300);
    process(img, 203, 200, 200, 202); /* and so is the group's, 202 */
    CHECK_INT(births_plan(&b, img, &e), 0);
    CHECK_INT(b.n, 6);
    CHECK_INT(b.n_alive, 4);
    CHECK_INT(birth_of(&b, 300)->process, IMAGE_NONE);
    CHECK_INT(birth_of(&b, 300)->sid, 300);
    CHECK_INT(parent_of(&b, 300), 0);
    CHECK_INT(parent_of(&b, 301), 300);
    CHECK_INT(birth_of(&b, 301)->helper_pid, 0);
    CHECK_INT(parent_of(&b, 302), 301);
    CHECK_INT(birth_of(&b, 202)->process, IMAGE_NONE);
    CHECK_INT(birth_of(&b, 202)->sid, 200);
    CHECK_INT(parent_of(&b, 202), 200);
    births_free(&b);
}

static void a_child_may_be_older_than_the_session_of_its_parent(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 210, 200, 210, 210); /* setsid after both forks below it */
    process(img, 220, 210, 220, 220);
    process(img, 230, 220, 200, 200);
    CHECK_INT(births_plan(&b, img, &e), 0);
    CHECK_STR(e.text, "");
    CHECK(birth_of(&b, 230)->early);
    CHECK(birth_of(&b, 220)->early);
    CHECK(!birth_of(&b, 210)->early);
    births_free(&b);
}

static void so_may_several_generations_of_parents_be(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 210, 200, 210, 210);
    process(img, 220, 210, 220, 220);
    process(img, 230, 220, 230, 230);
    process(img, 240, 230, 200, 200);
    CHECK_INT(births_plan(&b, img, &e), 0);
    CHECK_STR(e.text, "");
    CHECK(birth_of(&b, 240)->early);
    CHECK(birth_of(&b, 230)->early);
    CHECK(birth_of(&b, 220)->early);
    CHECK(!birth_of(&b, 210)->early);
    births_free(&b);
}

static void what_has_no_history_is_named(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 210, 200, 210, 210);
    process(img, 211, 210, 200, 200);
    process(img, 212, 211, 210, 210); /* its parent never was in session 210 */
    CHECK_INT(births_plan(&b, img, &e), -1);
    CHECK_HAS(e.text, "process 212");
    CHECK(b.node == NULL);
}

static void a_session_outside_the_job_is_named(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 0, 200);
    CHECK_INT(births_plan(&b, img, &e), -1);
    CHECK_HAS(e.text, "process 200");
}

static void zombies_are_born_and_do_not_live(void)
{
    auto_image struct image *img = new_image();
    struct births b;
    struct err e = {0};

    process(img, 200, SUPERVISOR, 200, 200);
    process(img, 201, 200, 200, 201)->zombie = true;
    process(img, 202, 200, 200, 201); /* in the group of the zombie */
    CHECK_INT(births_plan(&b, img, &e), 0);
    CHECK_INT(b.n, 3);
    CHECK_INT(b.n_alive, 2);
    CHECK(birth_ends(birth_of(&b, 201)));
    births_free(&b);
}

int main(void)
{
    RUN(children_are_forked_by_their_parents);
    RUN(an_adopted_process_comes_from_its_session_through_a_helper);
    RUN(dead_leaders_are_stood_in_for);
    RUN(a_child_may_be_older_than_the_session_of_its_parent);
    RUN(so_may_several_generations_of_parents_be);
    RUN(what_has_no_history_is_named);
    RUN(a_session_outside_the_job_is_named);
    RUN(zombies_are_born_and_do_not_live);
    return tap_done();
}
