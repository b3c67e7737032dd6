// SPDX-License-Identifier: MIT
// The emulated capture device: an HDMI input with DV timings, or with MJPEG a USB dongle.
#pragma once

#include "device.h"

#include <stdbool.h>

int capture_open(int flags);

// Is there anything to be opened?
bool capture_present(void);

// What select() reports: a frame to fetch, an event to fetch, a device that has gone.
struct capture_state {
    bool frame, event, gone;
};
bool capture_is(const struct device *device);
struct capture_state capture_state(struct device *device);
