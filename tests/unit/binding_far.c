/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A function in another object, whose first call is looked up by ld.so. */
#include "binding_far.h"

far_vector far_sum(far_vector a, far_vector b)
{
    return a + b;
}
