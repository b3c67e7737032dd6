// SPDX-License-Identifier: MIT
#include "rate.h"

#include <math.h>

enum {
    QP_STEP = 3,       // at most, from one frame to the next
    REPAY_SECONDS = 2, // in which debts are paid
};
static const double key_seconds = 0.2;         // of bitrate, that a key frame may take
static const double debt_max_seconds = 2;      // old sins are forgotten
static const double savings_max_seconds = 0.5; // and old virtue
static const double share_min = 0.25;          // of its share, that each frame gets in any case
static const double pace_min_seconds = 1.0 / 120, pace_max_seconds = 1.0 / 5;
static const double pace_weight = 0.1; // of one frame's pace
// A screen takes about a bit for each pixel in a key frame at QP 18, and an eighth in others:
// only where to begin.
static const double first_bits_per_pixel = 1, first_qp = 18, first_delta_share = 0.125;

// Six steps of the quantizer halve the bits.
static double at_qp_0(double bits, double qp) {
    return bits * exp2(qp / 6);
}

static int clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

void rate_start(struct rate *rate, int bitrate, uint32_t fps, uint32_t pixels, int qp_min,
                int qp_max) {
    double key = at_qp_0(pixels * first_bits_per_pixel, first_qp);

    *rate = (struct rate){
        .frame_bits = (double)bitrate / fps,
        .second_bits = bitrate,
        .qp_min = qp_min,
        .qp_max = qp_max,
        .complexity = {key * first_delta_share, key},
    };
    rate->last_qp =
        clamp((int)lround(6 * log2(rate->complexity[0] / rate->frame_bits)), qp_min, qp_max);
}

void rate_pace(struct rate *rate, double seconds) {
    double bits = rate->second_bits * fmin(fmax(seconds, pace_min_seconds), pace_max_seconds);

    rate->frame_bits += (bits - rate->frame_bits) * pace_weight;
}

int rate_qp(struct rate *rate, bool key) {
    double bits =
        rate->frame_bits - rate->debt_bits / rate->second_bits * rate->frame_bits / REPAY_SECONDS;

    if (key)
        bits = key_seconds * rate->second_bits;
    bits = fmax(bits, share_min * rate->frame_bits);
    int qp = (int)lround(6 * log2(rate->complexity[key] / bits));
    // A key frame that is better than its neighbours would only cost time.
    int low = key ? rate->last_qp : rate->last_qp - QP_STEP;
    int high = key ? rate->qp_max : rate->last_qp + QP_STEP;
    qp = clamp(clamp(qp, low, high), rate->qp_min, rate->qp_max);
    if (!key)
        rate->last_qp = qp;
    return qp;
}

void rate_account(struct rate *rate, bool key, int qp, size_t bytes) {
    double bits = (double)bytes * 8, weight = key ? 0.5 : 0.2;

    rate->complexity[key] += (at_qp_0(bits, qp) - rate->complexity[key]) * weight;
    rate->debt_bits += bits - rate->frame_bits;
    rate->debt_bits = fmin(rate->debt_bits, debt_max_seconds * rate->second_bits);
    rate->debt_bits = fmax(rate->debt_bits, -savings_max_seconds * rate->second_bits);
}
