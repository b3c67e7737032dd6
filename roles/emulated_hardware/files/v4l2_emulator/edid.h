// SPDX-License-Identifier: MIT
// What the emulated HDMI input tells its computer about the display. It is kept in a file, because
// the program that writes it is another process than the one that captures; a real device has it in
// its driver.
#pragma once

#include "settings.h"

#include <linux/videodev2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EDID_BLOCK_BYTES = 128, EDID_BLOCKS_MAX = 4 };

struct edid {
    uint32_t blocks; // 0: none
    uint8_t bytes[EDID_BLOCKS_MAX * EDID_BLOCK_BYTES];
};

// Reads the file; a file that is not there or no whole blocks is no EDID.
void edid_read(const char *path, struct edid *edid);

// VIDIOC_G_EDID and VIDIOC_S_EDID: 0, or -1 and errno.
int edid_get(const char *path, struct v4l2_edid *request);
int edid_set(const char *path, struct v4l2_edid *request);

// What a computer does with it: `mode` keeps its size if the EDID has that among its detailed
// timings, else gets that of the first, which is the one that the display likes best.
void edid_follow(const struct edid *edid, struct mode *mode);
