// SPDX-License-Identifier: MIT
// Pixel formats into NV12, the input that x264 copies without another conversion: a plane of
// luma, then one of U and V in turn at half the width and height. BT.601, limited range.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nv12 {
    uint8_t *luma;
    uint8_t *chroma;
    size_t stride; // bytes, of both planes
};

// Is this V4L2 pixel format one that convert_to_nv12 reads? If so, how many bytes is a pixel?
uint32_t convert_bytes_per_pixel(uint32_t pixelformat);

// `stride` is in bytes; width and height are even.
void convert_to_nv12(const uint8_t *pixels, uint32_t pixelformat, size_t stride, uint32_t width,
                     uint32_t height, const struct nv12 *to);

// UYVY into RGB24, whose inverse is convert_rgb; `pixels` is even.
void convert_to_rgb24(const uint8_t *uyvy, uint8_t *rgb, size_t pixels);

// RGB24 into UYVY, a row of an even width.
void convert_row_to_uyvy(const uint8_t *rgb, uint8_t *uyvy, uint32_t width);

// Two rows of YUYV or UYVY into planes of full range with chroma at half the width and height, as
// JPEG wants them.
void convert_rows_to_jpeg(const uint8_t *upper, const uint8_t *lower, uint32_t pixelformat,
                          uint32_t width, uint8_t *const luma[2], uint8_t *u, uint8_t *v);

// BT.601 limited range of one pixel; chroma is meant to be averaged by the caller.
struct yuv {
    int y, u, v;
};
static inline struct yuv convert_rgb(int red, int green, int blue) {
    return (struct yuv){
        .y = ((66 * red + 129 * green + 25 * blue + 128) >> 8) + 16,
        .u = ((-38 * red - 74 * green + 112 * blue + 128) >> 8) + 128,
        .v = ((112 * red - 94 * green - 18 * blue + 128) >> 8) + 128,
    };
}
