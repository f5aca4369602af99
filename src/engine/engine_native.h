/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The built-in engine (native/) as the supervisor drives it.
 */
#ifndef ENGINE_ENGINE_NATIVE_H
#define ENGINE_ENGINE_NATIVE_H

#include "engine/engine.h"

extern const struct engine engine_native;

#endif
