// SPDX-License-Identifier: MIT
/* x264, as this product needs it: each picture at once, key frames when they are wanted. */
#ifndef H264_H
#define H264_H

#include "convert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h264_options {
    uint32_t bitrate_kbps;
    uint32_t gop_frames; /* from key frame to key frame; 0: each is one */
};

struct h264;

/* NULL: x264 does not take pictures of this size. */
struct h264 *h264_open(const struct h264_options *options, const struct nv12 *planes);
void h264_close(struct h264 *h264);

/* The bytes stay as they are up to the next call. 0: x264 failed. *is_key: wanted, or due; and
 * whether it is one. */
size_t h264_encode(struct h264 *h264, const struct nv12 *planes, int64_t captured_us, bool *is_key,
                   const uint8_t **bytes);

#endif
