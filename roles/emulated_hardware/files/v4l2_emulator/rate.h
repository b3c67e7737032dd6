// SPDX-License-Identifier: MIT
// Rate control: one quantizer for each frame. x264's own would first look at every frame at half
// its size, which costs a third of the whole encoding time at these settings.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
    double frame_bits;  // a frame's share of the bitrate
    double second_bits; // the bitrate
    int qp_min, qp_max;
    int last_qp;          // of the last frame that was no key frame
    double complexity[2]; // bits that a frame (or [1] a key frame) would take at QP 0
    double debt_bits;     // spent above the bitrate so far
};

void rate_start(struct rate *rate, int bitrate, uint32_t fps, uint32_t pixels, int qp_min,
                int qp_max);

// The quantizer of the next frame.
int rate_qp(struct rate *rate, bool key);

void rate_account(struct rate *rate, bool key, int qp, size_t bytes);
