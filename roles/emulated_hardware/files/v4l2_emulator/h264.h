// SPDX-License-Identifier: MIT
// H.264 by x264, as quick as it goes: constrained baseline, one frame in, one frame out.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h264_options {
    uint32_t width, height; // pixels
    uint32_t pixelformat;   // of the input
    uint32_t stride;        // bytes, of the input
    uint32_t fps;           // frames per second
    int bitrate;            // bits per second
    int gop;                // frames from one key frame to the next, 0 = only the first
    int level;              // V4L2_MPEG_VIDEO_H264_LEVEL_*
    int qp_min, qp_max;
    bool repeat_headers; // SPS and PPS before each key frame, not only the first
};

struct h264;

struct h264 *h264_open(const struct h264_options *options);
void h264_close(struct h264 *h264);

// Encodes one picture that was captured at `time_us`. Returns the bytes written, 0 if that failed.
size_t h264_encode(struct h264 *h264, const uint8_t *pixels, uint64_t time_us, bool force_key,
                   uint8_t *to, size_t capacity, bool *key);
