// SPDX-License-Identifier: MIT
/* The cache of the current group of pictures: the newest key frame and all that followed it, which
 * is what a decoder needs to come to the present picture. */
#ifndef GOP_H
#define GOP_H

#include <stdbool.h>
#include <stddef.h>

#include "rtp.h"

/* Twice what two seconds take at uStreamer's highest bitrate, 20 Mbit/s. */
#define GOP_BYTES_MAX (10u << 20)

struct gop {
    struct rtp_frame **frames;
    size_t count, room;
    size_t bytes;
};

/* Takes the frame over if it can be kept: a key frame begins a new group. false: the frame stays
 * the caller's (nothing to continue, too much, no memory). A group that can't be continued is
 * dropped as a whole, since what lacks a frame can't be decoded. */
bool gop_add(struct gop *gop, struct rtp_frame *frame);
void gop_clear(struct gop *gop);

#endif
