/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native/restore/vdso.h"

#include "tap.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/auxv.h>

enum { IMAGE_SIZE = 4096, MUTATIONS = 20000 };

/* This process's own vDSO, the first page of it: headers, symbols, names. */
static const uint8_t *vdso_image(void)
{
    return (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
}

static size_t vdso_size(void)
{
    Elf64_Ehdr h;

    memcpy(&h, vdso_image(), sizeof(h));
    return h.e_shoff + (size_t)h.e_shnum * sizeof(Elf64_Shdr);
}

static void every_function_finds_its_namesake(void)
{
    struct vdso_patch p[VDSO_PATCHES_MAX];
    size_t size = vdso_size();
    int n = vdso_match(vdso_image(), size, vdso_image(), size, 0x1000, p);

    CHECK(n >= 3);
    for (int i = 0; i < n; i++)
        CHECK(p[i].target == 0x1000 + p[i].offset && p[i].offset < size);
}

static void rename_all(uint8_t *image, size_t size, const char *name)
{
    uint8_t *at;

    while ((at = memmem(image, size, name, strlen(name) + 1)))
        at[0] = '-';
}

static void a_function_that_is_gone_has_no_target(void)
{
    struct vdso_patch p[VDSO_PATCHES_MAX];
    size_t size = vdso_size();
    uint8_t *copy = malloc(size);
    int n, without = 0;

    memcpy(copy, vdso_image(), size);
    rename_all(copy, size, "getcpu");
    n = vdso_match(vdso_image(), size, copy, size, 0x1000, p);
    for (int i = 0; i < n; i++)
        without += p[i].target == 0;
    CHECK_INT(without, 1);
    CHECK(n > 1);
    free(copy);
}

static void a_lost_alias_does_no_harm(void)
{
    struct vdso_patch p[VDSO_PATCHES_MAX];
    size_t size = vdso_size();
    uint8_t *copy = malloc(size);
    int n;

    memcpy(copy, vdso_image(), size);
    rename_all(copy, size, "__vdso_getcpu");
    n = vdso_match(vdso_image(), size, copy, size, 0x1000, p);
    CHECK(n > 1);
    for (int i = 0; i < n; i++)
        CHECK(p[i].target != 0);
    free(copy);
}

static void what_is_no_vdso_is_told_so(void)
{
    static uint8_t zeros[IMAGE_SIZE];
    struct vdso_patch p[VDSO_PATCHES_MAX];

    CHECK_INT(vdso_match(zeros, sizeof(zeros), vdso_image(), vdso_size(), 0, p), -1);
    CHECK_INT(vdso_match(zeros, 0, vdso_image(), vdso_size(), 0, p), -1);
}

/* A saved image is input from outside; sanitizers watch this. */
static void a_damaged_image_is_never_read_past_its_end(void)
{
    struct vdso_patch p[VDSO_PATCHES_MAX];
    size_t size = vdso_size();
    uint8_t *copy = malloc(size);

    srand(1);
    for (int i = 0; i < MUTATIONS; i++) {
        size_t cut = i % 3 ? size : (size_t)rand() % size;

        memcpy(copy, vdso_image(), size);
        for (int k = 0; k < 8; k++)
            copy[(size_t)rand() % (k < 4 ? sizeof(Elf64_Ehdr) : size)] = rand();
        int n = vdso_match(copy, cut, vdso_image(), size, 0, p);

        CHECK(n >= -1 && n <= VDSO_PATCHES_MAX);
        for (int k = 0; k < n; k++)
            CHECK(p[k].offset < cut);
    }
    free(copy);
}

int main(void)
{
    RUN(every_function_finds_its_namesake);
    RUN(a_function_that_is_gone_has_no_target);
    RUN(a_lost_alias_does_no_harm);
    RUN(what_is_no_vdso_is_told_so);
    RUN(a_damaged_image_is_never_read_past_its_end);
    return tap_done();
}
