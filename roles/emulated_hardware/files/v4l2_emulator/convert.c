// SPDX-License-Identifier: MIT
#include "convert.h"

#include <linux/videodev2.h>

uint32_t convert_bytes_per_pixel(uint32_t pixelformat) {
    switch (pixelformat) {
    case V4L2_PIX_FMT_YUYV:
    case V4L2_PIX_FMT_UYVY:
        return 2;
    case V4L2_PIX_FMT_RGB24:
        return 3;
    default:
        return 0;
    }
}

// The loops below are kept so plain that the compiler turns them into vector instructions.

static void every_second_byte(const uint8_t *restrict from, uint8_t *restrict to, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = from[2 * i];
}

static void every_second_byte_averaged(const uint8_t *restrict upper, const uint8_t *restrict lower,
                                       uint8_t *restrict to, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((upper[2 * i] + lower[2 * i] + 1) >> 1);
}

static void packed_422_rows(const uint8_t *upper, const uint8_t *lower, uint32_t width,
                            int luma_offset, uint8_t *luma, size_t stride, uint8_t *chroma) {
    every_second_byte(upper + luma_offset, luma, width);
    every_second_byte(lower + luma_offset, luma + stride, width);
    // In both formats U and V alternate on the other bytes: NV12's order.
    every_second_byte_averaged(upper + 1 - luma_offset, lower + 1 - luma_offset, chroma, width);
}

static void rgb24_rows(const uint8_t *upper, const uint8_t *lower, uint32_t width, uint8_t *luma,
                       size_t stride, uint8_t *chroma) {
    for (uint32_t x = 0; x < width; x += 2) {
        const uint8_t *a = upper + 3 * x;
        const uint8_t *b = lower + 3 * x;
        luma[x] = (uint8_t)convert_rgb(a[0], a[1], a[2]).y;
        luma[x + 1] = (uint8_t)convert_rgb(a[3], a[4], a[5]).y;
        luma[stride + x] = (uint8_t)convert_rgb(b[0], b[1], b[2]).y;
        luma[stride + x + 1] = (uint8_t)convert_rgb(b[3], b[4], b[5]).y;
        struct yuv mean =
            convert_rgb((a[0] + a[3] + b[0] + b[3] + 2) >> 2, (a[1] + a[4] + b[1] + b[4] + 2) >> 2,
                        (a[2] + a[5] + b[2] + b[5] + 2) >> 2);
        chroma[x] = (uint8_t)mean.u;
        chroma[x + 1] = (uint8_t)mean.v;
    }
}

void convert_to_nv12(const uint8_t *pixels, uint32_t pixelformat, size_t stride, uint32_t width,
                     uint32_t height, const struct nv12 *to) {
    for (uint32_t y = 0; y < height; y += 2) {
        const uint8_t *upper = pixels + y * stride;
        const uint8_t *lower = upper + stride;
        uint8_t *luma = to->luma + y * to->stride;
        uint8_t *chroma = to->chroma + y / 2 * to->stride;
        if (pixelformat == V4L2_PIX_FMT_RGB24)
            rgb24_rows(upper, lower, width, luma, to->stride, chroma);
        else
            packed_422_rows(upper, lower, width, pixelformat == V4L2_PIX_FMT_UYVY, luma, to->stride,
                            chroma);
    }
}

static uint8_t clamp(int16_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static uint8_t byte(int value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void convert_to_rgb24(const uint8_t *uyvy, uint8_t *rgb, size_t pixels) {
    for (size_t i = 0; i < pixels; i += 2, uyvy += 4, rgb += 6) {
        int u = uyvy[0] - 128, v = uyvy[2] - 128;
        for (int j = 0; j < 2; j++) {
            int y = 298 * (uyvy[1 + 2 * j] - 16) + 128;
            rgb[3 * j] = byte((y + 409 * v) >> 8);
            rgb[3 * j + 1] = byte((y - 100 * u - 208 * v) >> 8);
            rgb[3 * j + 2] = byte((y + 516 * u) >> 8);
        }
    }
}

void convert_row_to_uyvy(const uint8_t *rgb, uint8_t *uyvy, uint32_t width) {
    for (uint32_t x = 0; x < width; x += 2, rgb += 6, uyvy += 4) {
        struct yuv left = convert_rgb(rgb[0], rgb[1], rgb[2]);
        struct yuv right = convert_rgb(rgb[3], rgb[4], rgb[5]);
        uyvy[0] = (uint8_t)((left.u + right.u + 1) / 2);
        uyvy[1] = (uint8_t)left.y;
        uyvy[2] = (uint8_t)((left.v + right.v + 1) / 2);
        uyvy[3] = (uint8_t)right.y;
    }
}

// Limited range to full: `growth` is in 1/256. In 16 bits, because a vector holds twice as many.
static int16_t stretch(int16_t value, int16_t growth) {
    return (int16_t)(value + (int16_t)((int16_t)(value * growth + 128) >> 8));
}

static void stretch_luma(const uint8_t *restrict from, uint8_t *restrict to, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = clamp(stretch((int16_t)(from[2 * i] - 16), 42)); // 255/219 = 298/256
}

static void stretch_chroma(const uint8_t *restrict upper, const uint8_t *restrict lower,
                           uint8_t *restrict to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int16_t mean = (int16_t)((upper[4 * i] + lower[4 * i] + 1) >> 1);
        to[i] = clamp((int16_t)(stretch((int16_t)(mean - 128), 35) + 128)); // 255/224 = 291/256
    }
}

void convert_rows_to_jpeg(const uint8_t *upper, const uint8_t *lower, uint32_t pixelformat,
                          uint32_t width, uint8_t *const luma[2], uint8_t *u, uint8_t *v) {
    int luma_offset = pixelformat == V4L2_PIX_FMT_UYVY;
    int chroma_offset = 1 - luma_offset;

    stretch_luma(upper + luma_offset, luma[0], width);
    stretch_luma(lower + luma_offset, luma[1], width);
    stretch_chroma(upper + chroma_offset, lower + chroma_offset, u, width / 2);
    stretch_chroma(upper + chroma_offset + 2, lower + chroma_offset + 2, v, width / 2);
}
