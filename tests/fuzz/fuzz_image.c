/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libFuzzer target: fuzz_image CORPUS tests/unit/golden/image/1. See tests/fuzz/README.
 */
#include "mend.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *mended = malloc(size + 1);

    if (!mended)
        return 0;
    memcpy(mended, data, size);
    mend_image(mended, size);
    mend_try(mended, size);
    free(mended);
    return 0;
}
