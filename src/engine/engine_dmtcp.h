/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DMTCP (dmtcp/) as the supervisor drives it. doc/design/dmtcp-engine.md.
 */
#ifndef ENGINE_ENGINE_DMTCP_H
#define ENGINE_ENGINE_DMTCP_H

#include "engine/engine.h"

extern const struct engine engine_dmtcp;

#endif
