/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/str.h"

#include "base/err.h"
#include "tap.h"

static void times_are_read_with_their_units(void)
{
    struct err e;
    unsigned s = 0;

    CHECK(str_to_seconds("90", &s, &e) == 0 && s == 90);
    CHECK(str_to_seconds("90s", &s, &e) == 0 && s == 90);
    CHECK(str_to_seconds("10m", &s, &e) == 0 && s == 600);
    CHECK(str_to_seconds("2h", &s, &e) == 0 && s == 7200);
}

static void nonsense_is_no_time(void)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "0s",
                                      "-1",
                                      "s",
                                      "1x",
                                      "1 s",
                                      "1ss",
                                      "1.5h",
                                      "9999h",
                                      "99999999999999999999"};
    struct err e = {0};
    unsigned s = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(str_to_seconds(bad[i], &s, &e), -1);
        CHECK_HAS(e.text, "is not a time");
    }
    CHECK_INT(s, 77);
}

static void numbers_are_whole_or_refused(void)
{
    struct err e = {0};
    uint64_t n = 5;

    CHECK(str_to_u64("18446744073709551615", &n, &e) == 0 && n == UINT64_MAX);
    CHECK(str_to_u64("18446744073709551616", &n, &e) < 0);
    CHECK(str_to_u64("-1", &n, &e) < 0);
    CHECK(str_to_u64("1a", &n, &e) < 0);
    CHECK(str_to_u64("", &n, &e) < 0);
    CHECK_HAS(e.text, "is not a number");
}

static void mistyped_names_are_near(void)
{
    CHECK(str_is_near("interval", "interval"));
    CHECK(str_is_near("intervall", "interval"));
    CHECK(str_is_near("inteval", "interval"));
    CHECK(str_is_near("inetrval", "interval"));
    CHECK(str_is_near("chekpoint", "checkpoint"));
    CHECK(str_is_near("keeps", "keep"));
    CHECK(str_is_near("kep", "keep"));
}

static void other_names_are_not(void)
{
    CHECK(!str_is_near("list", "show"));
    CHECK(!str_is_near("cpus2", "cpu"));
    CHECK(!str_is_near("", "keep"));
    CHECK(!str_is_near("interval_seconds", "interval"));
    CHECK(!str_is_near("interval", "a_name_that_is_longer_than_any_of_ours_is"));
}

static void sizes_read_well(void)
{
    char out[32];

    CHECK_STR(str_bytes(512, out), "512 B");
    CHECK_STR(str_bytes(1536, out), "1.5 KiB");
    CHECK_STR(str_bytes(3ull << 30, out), "3.0 GiB");
    CHECK_STR(str_duration_us(1500, out), "1.5 ms");
    CHECK_STR(str_duration_us(2500000, out), "2.50 s");
}

static void a_name_has_no_path_in_it(void)
{
    CHECK(str_is_name("000007"));
    CHECK(!str_is_name("") && !str_is_name(".") && !str_is_name(".."));
    CHECK(!str_is_name("a/b"));
}

static void formatting_fails_where_it_would_cut(void)
{
    struct err e = {0};
    char out[4];

    CHECK_INT(str_format(out, sizeof(out), &e, "%s", "abc"), 0);
    CHECK_INT(str_format(out, sizeof(out), &e, "%s", "abcd"), -1);
}

int main(void)
{
    RUN(times_are_read_with_their_units);
    RUN(nonsense_is_no_time);
    RUN(numbers_are_whole_or_refused);
    RUN(mistyped_names_are_near);
    RUN(other_names_are_not);
    RUN(sizes_read_well);
    RUN(a_name_has_no_path_in_it);
    RUN(formatting_fails_where_it_would_cut);
    return tap_done();
}
