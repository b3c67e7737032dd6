// SPDX-License-Identifier: MIT
#include "h264.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <x264.h>

enum {
    MICROSECONDS = 1000000,
    /* x264 is told this rate and not the times of the frames, or it would keep each one back until
       it knows how long it lasts. What it may spend is set by how they really come. */
    NOMINAL_FPS = 30,
    NOMINAL_US = MICROSECONDS / NOMINAL_FPS,
    LONGEST_US = MICROSECONDS, /* a longer pause says nothing of the rate */
    BT601 = 6,
    /* As uStreamer asks of a hardware encoder: better looks no different, and takes the line. */
    LOWEST_QP = 16,
    /* What a picture may take of the line at once: longer bursts are seen as delay. */
    BURST_DIVISOR = 2, /* of a second */
    MOST_THREADS = 4,
    PIXELS_PER_THREAD = 1280 * 720,
};

struct h264 {
    struct h264_options options;
    x264_t *encoder;
    int64_t frames;
    int64_t last_us;     /* when the last picture was captured */
    int64_t interval_us; /* from frame to frame, smoothed */
    int64_t applied_us;  /* the one that the bitrate was set for */
    uint32_t since_key;  /* frames */
};

/* A second thread costs more than it brings where the picture is small. */
static int threads(const struct nv12 *planes) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long most = cores < MOST_THREADS ? cores : MOST_THREADS;
    long useful = ((long)planes->width * planes->height - 1) / PIXELS_PER_THREAD + 1;
    return (int)(useful < most ? useful : most);
}

/* In bits per frame that is what the wanted bitrate leaves for one. */
static void set_rate(x264_param_t *param, uint32_t bitrate_kbps, int64_t interval_us) {
    int kbps = (int)(bitrate_kbps * interval_us / NOMINAL_US);
    param->rc.i_bitrate = kbps > 0 ? kbps : 1;
    param->rc.i_vbv_max_bitrate = param->rc.i_bitrate;
    param->rc.i_vbv_buffer_size = (int)bitrate_kbps / BURST_DIVISOR;
}

static x264_param_t parameters(const struct h264_options *options, const struct nv12 *planes) {
    x264_param_t param;

    x264_param_default_preset(&param, "ultrafast", "zerolatency");
    param.i_width = (int)planes->width;
    param.i_height = (int)planes->height;
    param.i_csp = X264_CSP_NV12;
    param.i_threads = threads(planes);
    param.i_fps_num = NOMINAL_FPS;
    param.i_fps_den = 1;
    param.b_repeat_headers = 1;
    param.b_annexb = 1;
    param.i_keyint_max = X264_KEYINT_MAX_INFINITE; /* h264_encode decides */
    param.i_scenecut_threshold = 0;
    param.i_log_level = X264_LOG_ERROR;
    param.rc.i_rc_method = X264_RC_ABR;
    set_rate(&param, options->bitrate_kbps, NOMINAL_US);
    param.rc.i_qp_min = LOWEST_QP;
    /* Said aloud, so that no viewer guesses BT.709 because the picture is large. */
    param.vui.i_colmatrix = BT601;
    param.vui.b_fullrange = 0;
    x264_param_apply_profile(&param, "baseline"); /* x264's is the constrained baseline */
    return param;
}

struct h264 *h264_open(const struct h264_options *options, const struct nv12 *planes) {
    struct h264 *h264 = calloc(1, sizeof *h264);
    x264_param_t param = parameters(options, planes);

    if (!h264)
        return NULL;
    h264->options = *options;
    h264->interval_us = h264->applied_us = NOMINAL_US;
    h264->encoder = x264_encoder_open(&param);
    if (!h264->encoder) {
        free(h264);
        return NULL;
    }
    return h264;
}

void h264_close(struct h264 *h264) {
    if (!h264)
        return;
    x264_encoder_close(h264->encoder);
    free(h264);
}

static void follow_rate(struct h264 *h264, int64_t captured_us) {
    int64_t interval = captured_us - h264->last_us;
    x264_param_t param;

    h264->last_us = captured_us;
    if (interval <= 0 || interval > LONGEST_US)
        return;
    h264->interval_us += (interval - h264->interval_us) / 8;
    int64_t change = h264->interval_us - h264->applied_us;
    if ((change < 0 ? -change : change) < h264->applied_us / 5)
        return;
    h264->applied_us = h264->interval_us;
    x264_encoder_parameters(h264->encoder, &param);
    set_rate(&param, h264->options.bitrate_kbps, h264->applied_us);
    x264_encoder_reconfig(h264->encoder, &param);
}

size_t h264_encode(struct h264 *h264, const struct nv12 *planes, int64_t captured_us, bool *is_key,
                   const uint8_t **bytes) {
    x264_picture_t picture, encoded;
    x264_nal_t *nals;
    int count;

    *is_key = *is_key || h264->since_key == 0 || h264->since_key >= h264->options.gop_frames;
    follow_rate(h264, captured_us);
    x264_picture_init(&picture);
    picture.i_pts = h264->frames++;
    picture.i_type = *is_key ? X264_TYPE_IDR : X264_TYPE_P;
    picture.img = (x264_image_t){
        .i_csp = X264_CSP_NV12,
        .i_plane = 2,
        .i_stride = {(int)planes->stride, (int)planes->stride},
        .plane = {planes->luma, planes->chroma},
    };
    int size = x264_encoder_encode(h264->encoder, &nals, &count, &picture, &encoded);
    if (size <= 0)
        return 0;
    h264->since_key = *is_key ? 1 : h264->since_key + 1;
    *bytes = nals[0].p_payload;
    return (size_t)size;
}
