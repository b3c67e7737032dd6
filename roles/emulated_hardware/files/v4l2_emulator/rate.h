// SPDX-License-Identifier: MIT
// Rate control: one quantizer for each frame. x264's own would first look at every frame at half
// its size, which costs a third of the whole encoding time at these settings.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
    double second_bits; // the bitrate
    double frame_bits;  // a frame's share of it, at the pace at which frames come
    int qp_min, qp_max;
    int last_qp;          // of the last frame that was no key frame
    double complexity[2]; // bits that a frame (or [1] a key frame) would take at QP 0
    double debt_bits;     // spent above the bitrate so far
};

void rate_start(struct rate *rate, int bitrate, uint32_t fps, uint32_t pixels, int qp_min,
                int qp_max);

// Time from the frame before to the next one, in seconds: clients announce 30 frames per second
// whatever they send.
void rate_pace(struct rate *rate, double seconds);

// The quantizer of the next frame.
int rate_qp(struct rate *rate, bool key);

void rate_account(struct rate *rate, bool key, int qp, size_t bytes);
