/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef BINDING_FAR_H
#define BINDING_FAR_H

typedef float far_vector __attribute__((vector_size(32)));

/* Its arguments are in registers that only AVX has. */
far_vector far_sum(far_vector a, far_vector b) __attribute__((target("avx")));

#endif
