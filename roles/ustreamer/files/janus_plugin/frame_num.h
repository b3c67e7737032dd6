// SPDX-License-Identifier: MIT
/* Was a frame left out of the stream? The frames number themselves (frame_num in H.264's slice
 * headers), so that tells without any help from the sink, which holds only the newest frame.
 *
 * What follows a missing frame refers to it and can't be decoded without damage before the next
 * key frame. A stream whose numbers this can't read, or that may leave some out, is taken as it
 * comes: no gap is ever found in it. */
#ifndef FRAME_NUM_H
#define FRAME_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "h264.h"

/* What an SPS says about the numbers. */
struct frame_num_format {
    int bits;           /* of a frame_num, 4 to 16; 0: not to be judged by them */
    bool colour_planes; /* coded apart: one more field stands before the number */
};

/* Zeroed: nothing known yet. */
struct frame_num {
    struct frame_num_format format;
    bool known;     /* next holds */
    uint32_t next;  /* what the next frame must carry, unless it is an IDR picture */
    bool counts;    /* a frame has carried what it must: the encoder counts as expected */
    int unexpected; /* frames that did not, before there was one that did */
};

/* An encoder that does not count at all must not cost its viewers the picture: after as many
 * frames without a single one that carries what it must, its numbers are not judged until one
 * does. */
#define FRAME_NUM_UNEXPECTED_MAX 8

/* false: too short, or not of a kind that is known. Then, and for streams that may leave numbers
 * out or have interlaced fields, which share one, format->bits is 0. */
bool frame_num_parse_sps(struct h264_nal nal, struct frame_num_format *format);

/* The number of a slice's frame. false: too short, or nonsense. */
bool frame_num_parse_slice(struct h264_nal nal, const struct frame_num_format *format,
                           uint32_t *number);

/* To be called for all that comes, in its order, one access unit at a time. true: at least one
 * frame that this one needs is missing before it. */
bool frame_num_gap(struct frame_num *state, const uint8_t *data, size_t length);

#endif
