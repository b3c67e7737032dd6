// SPDX-License-Identifier: MIT
// JPEG, as a USB capture dongle delivers it and as a Pi's second encoder makes it.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct jpeg_source {
    const uint8_t *pixels;  // without padding
    uint32_t pixelformat;   // YUYV, UYVY or RGB24
    uint32_t width, height; // pixels, even
};

// Compresses a picture; quality is 1 to 100. Returns the bytes written, or 0 if `capacity` is too
// small.
size_t jpeg_compress(const struct jpeg_source *from, int quality, uint8_t *to, size_t capacity);
