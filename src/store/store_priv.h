/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the store share.
 */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include "store/store.h"

#include "base/err.h"
#include "base/sum.h"

#include <jansson.h>
#include <limits.h>

enum { STORE_FORMAT = 1, STORE_NAME_SIZE = 256 };

struct store {
    int dir;    /* the job's directory */
    int gen;    /* gen/ in it; -1 until it exists: use store_gen */
    int parent; /* what holds `dir`; -1 when that cannot be removed ("-d .") */
    int top;    /* ckpt_dir; -1 for a directory outside Grid Engine */
    char name[STORE_NAME_SIZE]; /* of `dir` in `parent` */
    char user[STORE_NAME_SIZE]; /* of `parent` in `top` */
    char path[PATH_MAX];
    char work[STORE_NAME_SIZE]; /* this run's own directory; empty: none */
    struct store_epoch taken;   /* the run that began with this store; epoch 0: none */
    struct store_epoch before;  /* who held the highest claim then; epoch 0: nobody */
    unsigned keep;
    bool log_torn; /* the last line has no end: begin the next with one */
};

SCOPE_DEFINE(json, json_t *, json_decref);
#define auto_json SCOPE_USE(json)

/* ---- store.c ---- */

/* The descriptor of gen/, made when `create`. ERR_NOTHING when it does not exist. */
int store_gen(struct store *s, bool create, struct err *e);

/* Opens directory `name` in `at`; refuses it unless it is ours alone. `path` is for
 * messages. */
int store_open_safe(int at, const char *name, const char *path, bool create,
                    struct err *e);

/* ---- names.c ---- */

struct store_names {
    char **v;
    size_t n;
};

/* The entries of a directory, sorted; without ".", ".." and the ".nfs..." names under
 * which an NFS client keeps files that are removed while open. */
int store_names_read(int dirfd, struct store_names *names, struct err *e);
void store_names_free(struct store_names *names);
bool store_names_have(const struct store_names *names, const char *name);
#define auto_names __attribute__((cleanup(store_names_free)))

/* "000007" and back; 0 when `name` is not exactly that. */
void store_generation_name(uint64_t generation, char out[STORE_NAME_SIZE]);
uint64_t store_generation_number(const char *name);

/* ".NAME.EPOCH-NONCE": under construction or being removed by that epoch. */
int store_temp_name(const char *name, uint64_t epoch, char out[STORE_NAME_SIZE],
                    struct err *e);
/* The epoch of such a name; 0 when it is none. */
uint64_t store_temp_epoch(const char *name);

/* Whether `text` is UTF-8 without control characters; newline and tab pass with
 * `lines`. */
bool store_text_ok(const char *text, bool lines);

/* ---- json.c ---- */

/* Reads an object of our format. ERR_NOTHING when the file does not exist; ERR_CORRUPT
 * names the file and the line or member; ERR_WRONG_HOST: a newer qckpt wrote it. */
int store_json_read(int dirfd, const char *name, json_t **root, struct err *e);

/* The object as text with a newline at its end; the caller frees it. */
char *store_json_text(const json_t *root, size_t *size, struct err *e);

/* Members, checked; the text names the member only. */
int store_json_u64(const json_t *o, const char *key, uint64_t min, uint64_t max,
                   uint64_t *value, struct err *e);
int store_json_string(const json_t *o, const char *key, bool lines, char *out,
                      size_t size, struct err *e);

/* Makes the file durable under `name`, in place of an older one. */
int store_json_write(struct store *s, uint64_t epoch, const char *name,
                     const json_t *root, unsigned how, struct err *e);
enum {
    STORE_ONCE = 1,     /* fail with EEXIST when it is there already */
    STORE_UNFENCED = 2, /* also for an epoch that is not the current one */
};

/* ---- manifest.c ---- */

struct store_file {
    char name[STORE_NAME_SIZE];
    struct sum_info info;
};

struct store_manifest {
    struct store_meta meta;
    struct store_file *files;
    size_t n;
};

/* Whether an engine's file may have this name. */
bool store_file_name_ok(const char *name);

int store_manifest_write(int dirfd, const struct store_manifest *m, struct err *e);

/* Reads and checks everything a manifest says. `m` must be zeroed. */
int store_manifest_read(int dirfd, uint64_t generation, struct store_manifest *m,
                        struct err *e);
void store_manifest_free(struct store_manifest *m);
#define auto_manifest __attribute__((cleanup(store_manifest_free)))

/* ---- generation.c ---- */

/* The numbers of what is published, lowest first; the caller frees *numbers. */
int store_numbers(struct store *s, uint64_t **numbers, size_t *n, struct err *e);

/* ---- prune.c ---- */

/* Takes `name` out of the way in one step, then removes it and what is in it. That it
 * cannot be removed is no error once it is out of the way. */
int store_discard(int dirfd, const char *name, uint64_t epoch, struct err *e);

/* Removes what epochs before `before` had under construction, but not the directory
 * that this run works in. */
int store_sweep(struct store *s, uint64_t epoch, uint64_t before, struct err *e);

#endif
