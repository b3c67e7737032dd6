// SPDX-License-Identifier: MIT
// The desk of the simulated computer, from the file that its program writes.
#pragma once

#include "../simulated_computer/desk.h"

#include <stdbool.h>

// False, and `desk` is as it was, if there is no file, it is of another version, or its writer was
// never between two changes.
bool desk_read(const char *path, struct desk *desk);
