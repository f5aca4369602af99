/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image/image.h"

#include "base/err.h"
#include "base/io.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

static int unpack(const struct image_chunk *c, const void *stored, void *raw,
                  struct err *e)
{
    size_t n = ZSTD_decompress(raw, IMAGE_CHUNK_MAX, stored, c->stored_size);

    if (ZSTD_isError(n))
        return err_set(e, ERR_CORRUPT, "%s", ZSTD_getErrorName(n));
    if (n != c->raw_size)
        return err_set(e, ERR_CORRUPT, "unpacks to %zu bytes, not %u", n, c->raw_size);
    return 0;
}

static int read_chunk(const struct image_chunk *c, int memory_fd, void *raw,
                      void *scratch, struct err *e)
{
    void *stored = c->codec == IMAGE_CODEC_NONE ? raw : scratch;
    XXH128_canonical_t digest;

    /* image_load has made sure of this; an index that was not loaded may not have. */
    if (c->stored_size > IMAGE_CHUNK_MAX || c->raw_size > IMAGE_CHUNK_MAX)
        return err_set(e, ERR_CORRUPT, "larger than any chunk");
    if (io_pread_exact(memory_fd, stored, c->stored_size, c->offset, e) < 0)
        return -1;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(stored, c->stored_size));
    if (memcmp(&digest, c->digest, sizeof(c->digest)) != 0)
        return err_set(e, ERR_CORRUPT, "checksum does not match");
    return c->codec == IMAGE_CODEC_NONE ? 0 : unpack(c, stored, raw, e);
}

int image_chunk_read(const struct image *img, uint32_t chunk, int memory_fd, void *raw,
                     void *scratch, struct err *e)
{
    const struct image_chunk *c = &img->chunks[chunk];

    if (read_chunk(c, memory_fd, raw, scratch, e) < 0)
        return err_wrap(e, "memory: chunk %u at byte %" PRIu64, chunk, c->offset);
    return 0;
}
