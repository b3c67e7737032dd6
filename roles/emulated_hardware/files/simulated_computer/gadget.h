// SPDX-License-Identifier: MIT
// What the gadget says of itself when it is plugged in. The product's own program tells it, as a
// device tells a computer over the cable.
#pragma once

#include "computer.h"

#include <time.h>

enum { GADGET_LOOK_US = 250000 }; // how often to look for a gadget that is not there

struct gadget {
    const char *program; // run with the word `describe`
    struct timespec changed;
};

// Hands the descriptors to the computer if the program is another than before, or has gone. True if
// so: what was connected is not any more.
bool gadget_changed(struct gadget *gadget, struct computer *computer);
