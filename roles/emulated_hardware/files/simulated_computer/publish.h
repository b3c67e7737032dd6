// SPDX-License-Identifier: MIT
// Shares the desk with the video emulator.
#pragma once

#include "desk.h"

#include <stdbool.h>

// Maps the file, made if need be. NULL and errno if that fails.
struct desk *publish_open(const char *path);

// A reader that comes in the middle sees an odd sequence, and looks again.
void publish(struct desk *shared, const struct desk *desk);
