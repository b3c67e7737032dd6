// SPDX-License-Identifier: MIT
// The emulator's configuration: what the environment fixes for the life of the process, and the
// settings that the control file switches.
#pragma once

#include "settings.h"

#include <stdbool.h>

struct config {
    const char *capture_path;      // V4L2_EMULATOR_CAPTURE
    const char *encoder_path;      // V4L2_EMULATOR_ENCODER
    const char *jpeg_encoder_path; // V4L2_EMULATOR_JPEG_ENCODER
    const char *control_path;      // V4L2_EMULATOR_CONTROL
    const char *desk_path;         // V4L2_EMULATOR_DESK
    const char *edid_path;         // V4L2_EMULATOR_EDID
    const char *stats_path;        // V4L2_EMULATOR_STATS, NULL without
    bool trace;                    // V4L2_EMULATOR_TRACE
};

// Only looks at the environment: harmless in a program that has nothing to do with video.
const struct config *config(void);

// The settings of this moment, the control file included.
struct settings control_settings(void);

// Starts, once, a thread that calls `look_around` every 20 ms, so that devices notice other
// settings, and writes the statistics.
void control_watch(void (*look_around)(void));
