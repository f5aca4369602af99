/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the fuzzer and the mutation test share.
 */
#ifndef TESTS_FUZZ_MEND_H
#define TESTS_FUZZ_MEND_H

#include <stddef.h>
#include <stdint.h>

/* Makes every checksum of a damaged `image` right again, as far as its framing can be
 * followed, so that the damage gets past them. */
void mend_image(uint8_t *data, size_t size);

/* Loads `data`. The result must be ERR_CORRUPT, or ERR_WRONG_HOST for what another host
 * may read, with a text, or an image that is written and loaded again as the same;
 * aborts otherwise. 1: it was an image. */
int mend_try(const uint8_t *data, size_t size);

#endif
