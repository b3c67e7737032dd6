// SPDX-License-Identifier: MIT
#include "convert.h"

#include "jpeg.h"

#include <linux/videodev2.h>
#include <stdlib.h>

bool convert_knows(uint32_t format) {
    switch (format) {
    case V4L2_PIX_FMT_UYVY:
    case V4L2_PIX_FMT_YUYV:
    case V4L2_PIX_FMT_RGB24:
    case V4L2_PIX_FMT_MJPEG:
    case V4L2_PIX_FMT_JPEG:
        return true;
    default:
        return false;
    }
}

bool nv12_resize(struct nv12 *planes, uint32_t width, uint32_t height) {
    width &= ~1u;
    height &= ~1u;
    if (planes->luma && planes->width == width && planes->height == height)
        return true;
    nv12_free(planes);
    uint32_t stride = (width + 63) / 64 * 64;
    if (width == 0 || height == 0 || width > NV12_MOST_PIXELS || height > NV12_MOST_PIXELS)
        return false;
    planes->luma = aligned_alloc(64, (size_t)stride * height * 3 / 2);
    if (!planes->luma)
        return false;
    planes->chroma = planes->luma + (size_t)stride * height;
    planes->width = width;
    planes->height = height;
    planes->stride = stride;
    return true;
}

void nv12_free(struct nv12 *planes) {
    free(planes->luma);
    *planes = (struct nv12){0};
}

/* The loops below are kept so plain that the compiler makes vector instructions of them. It does
 * not where an index can overflow, as twice a uint32_t. */

static void every_second(const uint8_t *restrict from, uint8_t *restrict to, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = from[2 * i];
}

static void every_second_of_two_rows(const uint8_t *restrict upper, const uint8_t *restrict lower,
                                     uint8_t *restrict to, size_t count) {
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((upper[2 * i] + lower[2 * i] + 1) >> 1);
}

/* U and V alternate on the other bytes: NV12's order. */
static void packed_422(const uint8_t *upper, const uint8_t *lower, uint32_t luma_at, uint8_t *luma,
                       uint8_t *chroma, const struct nv12 *to) {
    every_second(upper + luma_at, luma, to->width);
    every_second(lower + luma_at, luma + to->stride, to->width);
    every_second_of_two_rows(upper + 1 - luma_at, lower + 1 - luma_at, chroma, to->width);
}

static uint8_t luma_of(int red, int green, int blue) {
    return (uint8_t)(((66 * red + 129 * green + 25 * blue + 128) >> 8) + 16);
}

static void rgb24(const uint8_t *upper, const uint8_t *lower, uint8_t *luma, uint8_t *chroma,
                  const struct nv12 *to) {
    for (size_t x = 0; x < to->width; x += 2, upper += 6, lower += 6) {
        luma[x] = luma_of(upper[0], upper[1], upper[2]);
        luma[x + 1] = luma_of(upper[3], upper[4], upper[5]);
        luma[to->stride + x] = luma_of(lower[0], lower[1], lower[2]);
        luma[to->stride + x + 1] = luma_of(lower[3], lower[4], lower[5]);
        int red = (upper[0] + upper[3] + lower[0] + lower[3] + 2) >> 2;
        int green = (upper[1] + upper[4] + lower[1] + lower[4] + 2) >> 2;
        int blue = (upper[2] + upper[5] + lower[2] + lower[5] + 2) >> 2;
        chroma[x] = (uint8_t)(((-38 * red - 74 * green + 112 * blue + 128) >> 8) + 128);
        chroma[x + 1] = (uint8_t)(((112 * red - 94 * green - 18 * blue + 128) >> 8) + 128);
    }
}

static bool packed(const struct raw_frame *frame, struct nv12 *to) {
    const struct geometry *geometry = &frame->geometry;
    bool is_rgb = geometry->format == V4L2_PIX_FMT_RGB24;
    size_t row_bytes = (size_t)geometry->width * (is_rgb ? 3 : 2);
    /* Some writers say nothing where there is no padding. */
    size_t stride = geometry->stride ? geometry->stride : row_bytes;

    if (stride < row_bytes || frame->used < stride * (geometry->height - 1) + row_bytes)
        return false;
    for (uint32_t y = 0; y < to->height; y += 2) {
        const uint8_t *upper = frame->data + y * stride;
        const uint8_t *lower = upper + stride;
        uint8_t *luma = to->luma + (size_t)y * to->stride;
        uint8_t *chroma = to->chroma + (size_t)y / 2 * to->stride;
        if (is_rgb)
            rgb24(upper, lower, luma, chroma, to);
        else
            packed_422(upper, lower, geometry->format == V4L2_PIX_FMT_UYVY, luma, chroma, to);
    }
    return true;
}

bool convert(const struct raw_frame *frame, struct nv12 *to) {
    switch (frame->geometry.format) {
    case V4L2_PIX_FMT_MJPEG:
    case V4L2_PIX_FMT_JPEG:
        return jpeg_decode(frame->data, frame->used, to);
    default:
        return packed(frame, to);
    }
}
