// SPDX-License-Identifier: MIT
// What an HDMI input can take of what a computer sends, as Linux' driver of the TC358743 has it:
// the timings that it measures, and what fits through two CSI lanes.
#pragma once

#include "settings.h"

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stdint.h>

// What the computer sends, in V4L2's terms.
void bridge_timings(const struct mode *mode, struct v4l2_dv_timings *timings);

// VIDIOC_DV_TIMINGS_CAP: sizes and clock that the driver takes. Anything else is ERANGE.
void bridge_capabilities(enum limits limits, struct v4l2_dv_timings_cap *capabilities);
bool bridge_takes(enum limits limits, const struct v4l2_dv_timings *timings);

// Whether the picture fits through the lanes: if not, the stream can't be switched on.
bool bridge_carries(enum limits limits, const struct mode *mode, uint32_t pixelformat);

// Whether it is among the formats that can be chosen; `is` is what the settings say.
bool bridge_offers(enum limits limits, uint32_t is, uint32_t wanted);
