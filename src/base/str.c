/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/str.h"

#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

int str_to_u64(const char *text, uint64_t *value, struct err *e)
{
    char *end;
    unsigned long long n;

    if (text[0] < '0' || text[0] > '9')
        return err_set(e, ERR_USAGE, "'%s' is not a number", text);
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || *end)
        return err_set(e, ERR_USAGE, "'%s' is not a number", text);
    *value = n;
    return 0;
}

int str_to_seconds(const char *text, unsigned *seconds, struct err *e)
{
    const uint64_t year = 365 * 86400;
    uint64_t n = 0, unit = 1;
    size_t digits = strspn(text, "0123456789");

    if (strcmp(text + digits, "m") == 0)
        unit = 60;
    else if (strcmp(text + digits, "h") == 0)
        unit = 3600;
    else if (text[digits] && strcmp(text + digits, "s") != 0)
        digits = 0;
    for (size_t i = 0; i < digits && n <= year; i++)
        n = n * 10 + (text[i] - '0');
    if (digits == 0 || n == 0 || n > year || n * unit > year)
        return err_set(e, ERR_USAGE,
                       "'%s' is not a time: write 90, 90s, 10m or 2h (at least 1s, at "
                       "most a year)",
                       text);
    *seconds = n * unit;
    return 0;
}

const char *str_bytes(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double n = bytes;
    int unit = 0;

    while (n >= 1024 && unit < 5) {
        n /= 1024;
        unit++;
    }
    snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
    return out;
}

const char *str_duration_us(uint64_t us, char out[32])
{
    if (us < 1000000)
        snprintf(out, 32, "%.1f ms", us / 1e3);
    else
        snprintf(out, 32, "%.2f s", us / 1e6);
    return out;
}

int str_nonce(char out[STR_NONCE_SIZE], struct err *e)
{
    unsigned char raw[16];

    if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
        return err_sys(e, "getrandom");
    for (size_t i = 0; i < sizeof(raw); i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
    return 0;
}

void str_time_now(char out[STR_TIME_SIZE])
{
    struct timespec now;
    struct tm tm;
    size_t used;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    used = strftime(out, STR_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + used, STR_TIME_SIZE - used, ".%03dZ",
             (int)(now.tv_nsec / 1000000 % 1000));
}

bool str_is_name(const char *text)
{
    return text[0] && !strchr(text, '/') && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

/* Row by row of the edit distance: cost[j] is that from the text so far to the first j
 * letters of the name. */
bool str_is_near(const char *text, const char *name)
{
    enum { LENGTH_MAX = 32 };
    size_t cost[LENGTH_MAX + 1], length = strlen(name);

    if (length > LENGTH_MAX)
        return false;
    for (size_t j = 0; j <= length; j++)
        cost[j] = j;
    for (size_t i = 1; text[i - 1]; i++) {
        size_t diagonal = cost[0];

        cost[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t best = diagonal + (text[i - 1] != name[j - 1]);

            diagonal = cost[j];
            if (cost[j] + 1 < best)
                best = cost[j] + 1;
            if (cost[j - 1] + 1 < best)
                best = cost[j - 1] + 1;
            cost[j] = best;
        }
    }
    return cost[length] <= (length < 5 ? 1 : 2);
}

int str_format(char *out, size_t size, struct err *e, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(out, size, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= size)
        return err_set(e, ERR_FAILED, "too long: %.200s...", out);
    return 0;
}
