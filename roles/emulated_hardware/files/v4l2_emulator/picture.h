// SPDX-License-Identifier: MIT
// The screen of the computer that the emulated HDMI input sees: a calm desktop with a clock, a
// terminal, a film and a graph, and the machine-readable code in its top left corner.
//
// All that can be drawn once is: afterwards a frame costs no more than copying what moves.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct picture_format {
    uint32_t width, height; // pixels
    uint32_t fps;           // frames per second, shown and used as the speed of what moves
    int luma_offset;        // 1 for UYVY, 0 for YUYV
};

struct picture;

struct picture *picture_create(const struct picture_format *format);
void picture_free(struct picture *picture);

// Draws all but the code into a buffer of width * height * 2 bytes. `whole` includes what never
// changes; a buffer needs that once. `tick` counts the frames of what moves, `realtime_us` is what
// the clock shows.
void picture_paint(struct picture *picture, uint8_t *pixels, bool whole, uint32_t tick,
                   uint64_t realtime_us);
