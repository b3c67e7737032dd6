// SPDX-License-Identifier: MIT
#include "bridge.h"

#include "convert.h"

#include <string.h>

enum {
    // The blanking of CEA-861's 1080p. Clients compute the frame rate from the pixel clock.
    H_FRONT = 88,
    H_SYNC = 44,
    H_BACK = 148,
    V_FRONT = 4,
    V_SYNC = 5,
    V_BACK = 36,
    // tc358743_timings_cap
    PIXEL_CLOCK_MIN_HZ = 13000000,
    PIXEL_CLOCK_MAX_HZ = 165000000,
    // Of a Pi's device tree overlay.
    LANES = 2,
    LANE_BITS_PER_SECOND = 972000000,
};

static uint32_t frames_per_second(const struct mode *mode) {
    return mode->interlaced ? mode->fps / 2 : mode->fps;
}

void bridge_timings(const struct mode *mode, struct v4l2_dv_timings *timings) {
    memset(timings, 0, sizeof *timings);
    timings->type = V4L2_DV_BT_656_1120;
    timings->bt.width = mode->width;
    timings->bt.height = mode->height;
    timings->bt.interlaced = mode->interlaced ? V4L2_DV_INTERLACED : V4L2_DV_PROGRESSIVE;
    timings->bt.hfrontporch = H_FRONT;
    timings->bt.hsync = H_SYNC;
    timings->bt.hbackporch = H_BACK;
    timings->bt.vfrontporch = V_FRONT;
    timings->bt.vsync = V_SYNC;
    timings->bt.vbackporch = V_BACK;
    timings->bt.pixelclock = (uint64_t)V4L2_DV_BT_FRAME_WIDTH(&timings->bt) *
                             V4L2_DV_BT_FRAME_HEIGHT(&timings->bt) * frames_per_second(mode);
}

void bridge_capabilities(enum limits limits, struct v4l2_dv_timings_cap *capabilities) {
    bool real = limits == LIMITS_TC358743;

    memset(capabilities, 0, sizeof *capabilities);
    capabilities->type = V4L2_DV_BT_656_1120;
    // Less has no room for the code in the picture.
    capabilities->bt.min_width = MODE_SHOWN_WIDTH_MIN;
    capabilities->bt.max_width = real ? 1920 : 10000;
    capabilities->bt.min_height = MODE_SHOWN_HEIGHT_MIN;
    capabilities->bt.max_height = real ? 1200 : 10000;
    capabilities->bt.min_pixelclock = real ? PIXEL_CLOCK_MIN_HZ : 1;
    capabilities->bt.max_pixelclock = real ? PIXEL_CLOCK_MAX_HZ : UINT64_MAX;
    capabilities->bt.capabilities = V4L2_DV_BT_CAP_PROGRESSIVE | V4L2_DV_BT_CAP_REDUCED_BLANKING |
                                    V4L2_DV_BT_CAP_CUSTOM | (real ? 0 : V4L2_DV_BT_CAP_INTERLACED);
}

bool bridge_takes(enum limits limits, const struct v4l2_dv_timings *timings) {
    const struct v4l2_bt_timings *bt = &timings->bt;
    struct v4l2_dv_timings_cap can;

    bridge_capabilities(limits, &can);
    return bt->width >= can.bt.min_width && bt->width <= can.bt.max_width &&
           bt->height >= can.bt.min_height && bt->height <= can.bt.max_height &&
           bt->pixelclock >= can.bt.min_pixelclock && bt->pixelclock <= can.bt.max_pixelclock &&
           (bt->interlaced == V4L2_DV_PROGRESSIVE ||
            can.bt.capabilities & V4L2_DV_BT_CAP_INTERLACED);
}

bool bridge_carries(enum limits limits, const struct mode *mode, uint32_t pixelformat) {
    uint64_t bits = 8 * (uint64_t)convert_bytes_per_pixel(pixelformat);

    return limits == LIMITS_NONE ||
           (uint64_t)mode->width * mode->height * frames_per_second(mode) * bits <=
               (uint64_t)LANES * LANE_BITS_PER_SECOND;
}

static bool is_bridges(uint32_t pixelformat) {
    return pixelformat == V4L2_PIX_FMT_UYVY || pixelformat == V4L2_PIX_FMT_RGB24;
}

bool bridge_offers(enum limits limits, uint32_t is, uint32_t wanted) {
    return wanted == is || (limits == LIMITS_TC358743 && is_bridges(is) && is_bridges(wanted));
}
