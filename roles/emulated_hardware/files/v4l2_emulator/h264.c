// SPDX-License-Identifier: MIT
#include "h264.h"

#include "clock.h"
#include "convert.h"
#include "rate.h"
#include "stats.h"

#include <linux/v4l2-controls.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <x264.h>

// x264 takes no wider range as it is used here.
enum { QP_LOWEST = 10, QP_HIGHEST = 48 };

struct h264 {
    struct h264_options options;
    x264_t *encoder;
    x264_picture_t picture;
    struct nv12 planes;
    struct rate rate;
    int64_t frames;
    int since_key;    // frames
    uint64_t last_us; // when the last picture was captured
};

// x264 numbers levels as the standard does, V4L2 in their order.
static int level_idc(int v4l2_level) {
    static const int levels[] = {
        [V4L2_MPEG_VIDEO_H264_LEVEL_1_0] = 10, [V4L2_MPEG_VIDEO_H264_LEVEL_1B] = 9,
        [V4L2_MPEG_VIDEO_H264_LEVEL_1_1] = 11, [V4L2_MPEG_VIDEO_H264_LEVEL_1_2] = 12,
        [V4L2_MPEG_VIDEO_H264_LEVEL_1_3] = 13, [V4L2_MPEG_VIDEO_H264_LEVEL_2_0] = 20,
        [V4L2_MPEG_VIDEO_H264_LEVEL_2_1] = 21, [V4L2_MPEG_VIDEO_H264_LEVEL_2_2] = 22,
        [V4L2_MPEG_VIDEO_H264_LEVEL_3_0] = 30, [V4L2_MPEG_VIDEO_H264_LEVEL_3_1] = 31,
        [V4L2_MPEG_VIDEO_H264_LEVEL_3_2] = 32, [V4L2_MPEG_VIDEO_H264_LEVEL_4_0] = 40,
        [V4L2_MPEG_VIDEO_H264_LEVEL_4_1] = 41, [V4L2_MPEG_VIDEO_H264_LEVEL_4_2] = 42,
        [V4L2_MPEG_VIDEO_H264_LEVEL_5_0] = 50, [V4L2_MPEG_VIDEO_H264_LEVEL_5_1] = 51,
    };
    int count = sizeof levels / sizeof *levels;
    return v4l2_level >= 0 && v4l2_level < count ? levels[v4l2_level] : 40;
}

static x264_param_t parameters(const struct h264_options *options) {
    x264_param_t param;

    x264_param_default_preset(&param, "ultrafast", "zerolatency");
    param.i_width = (int)options->width;
    param.i_height = (int)options->height;
    param.i_csp = X264_CSP_NV12;
    param.i_fps_num = options->fps;
    param.i_fps_den = 1;
    param.b_vfr_input = 0;
    param.i_level_idc = level_idc(options->level);
    param.b_repeat_headers = options->repeat_headers;
    param.b_annexb = 1;
    param.i_keyint_max = X264_KEYINT_MAX_INFINITE; // h264_encode decides
    param.i_scenecut_threshold = 0;
    param.i_threads = 1;
    param.b_sliced_threads = 0;
    param.i_log_level = X264_LOG_ERROR;
    param.rc.i_rc_method = X264_RC_CQP; // rate.c decides, frame by frame
    // x264 derives the limits of that from what its own P, I and B frames would have.
    float factor = exp2f((float)(options->qp_max - options->qp_min) / 2 / 6);
    param.rc.i_qp_constant = (options->qp_min + options->qp_max + 1) / 2;
    param.rc.f_ip_factor = factor;
    param.rc.f_pb_factor = factor;
    // The picture is BT.601: said aloud, so that no viewer guesses BT.709 because it is large.
    param.vui.i_colmatrix = 6;
    param.vui.b_fullrange = 0;
    x264_param_apply_profile(&param, "baseline"); // x264's is the constrained baseline
    return param;
}

static int clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

static bool start(struct h264 *h264) {
    const struct h264_options *options = &h264->options;
    x264_param_t param = parameters(options);
    size_t stride = (options->width + 63) / 64 * 64;

    h264->planes.luma = aligned_alloc(64, stride * options->height * 3 / 2 / 64 * 64 + 64);
    h264->encoder = x264_encoder_open(&param);
    if (!h264->planes.luma || !h264->encoder)
        return false;
    h264->planes.chroma = h264->planes.luma + stride * options->height;
    h264->planes.stride = stride;
    rate_start(&h264->rate, options->bitrate, options->fps, options->width * options->height,
               options->qp_min, options->qp_max);
    x264_picture_init(&h264->picture);
    h264->picture.img = (x264_image_t){
        .i_csp = X264_CSP_NV12,
        .i_plane = 2,
        .i_stride = {(int)stride, (int)stride},
        .plane = {h264->planes.luma, h264->planes.chroma},
    };
    return true;
}

struct h264 *h264_open(const struct h264_options *options) {
    struct h264 *h264 = calloc(1, sizeof *h264);

    if (!h264)
        return NULL;
    h264->options = *options;
    h264->options.qp_min = clamp(options->qp_min, QP_LOWEST, QP_HIGHEST);
    h264->options.qp_max = clamp(options->qp_max, h264->options.qp_min, QP_HIGHEST);
    if (!start(h264)) {
        fprintf(stderr, "v4l2_emulator: x264 refuses %ux%u at %d bit/s.\n", options->width,
                options->height, options->bitrate);
        h264_close(h264);
        return NULL;
    }
    return h264;
}

void h264_close(struct h264 *h264) {
    if (!h264)
        return;
    if (h264->encoder)
        x264_encoder_close(h264->encoder);
    free(h264->planes.luma);
    free(h264);
}

size_t h264_encode(struct h264 *h264, const uint8_t *pixels, uint64_t time_us, bool force_key,
                   uint8_t *to, size_t capacity, bool *key) {
    const struct h264_options *options = &h264->options;
    x264_picture_t encoded;
    x264_nal_t *nals;
    int count;
    uint64_t begin = clock_us(CLOCK_MONOTONIC);

    convert_to_nv12(pixels, options->pixelformat, options->stride, options->width, options->height,
                    &h264->planes);
    uint64_t converted = clock_us(CLOCK_MONOTONIC);
    h264->picture.i_pts = h264->frames++;
    *key =
        force_key || h264->since_key == 0 || (options->gop > 0 && h264->since_key >= options->gop);
    if (h264->last_us != 0)
        rate_pace(&h264->rate, (double)(int64_t)(time_us - h264->last_us) / 1e6);
    h264->last_us = time_us;
    int qp = rate_qp(&h264->rate, *key);
    h264->picture.i_type = *key ? X264_TYPE_IDR : X264_TYPE_P;
    h264->picture.i_qpplus1 = qp + 1;
    int size = x264_encoder_encode(h264->encoder, &nals, &count, &h264->picture, &encoded);
    if (size <= 0 || (size_t)size > capacity) {
        fprintf(stderr, "v4l2_emulator: an encoded frame of %d bytes, at most %zu fit.\n", size,
                capacity);
        h264->since_key = 0; // the viewer lacks it: begin anew
        return 0;
    }
    memcpy(to, nals[0].p_payload, (size_t)size);
    rate_account(&h264->rate, *key, qp, (size_t)size);
    h264->since_key = *key ? 1 : h264->since_key + 1;

    stats.encoded++;
    stats.bytes += (uint64_t)size;
    stats.convert_us += converted - begin;
    stats.encode_us += clock_us(CLOCK_MONOTONIC) - converted;
    return (size_t)size;
}
