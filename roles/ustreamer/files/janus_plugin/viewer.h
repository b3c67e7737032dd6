// SPDX-License-Identifier: MIT
/* What one viewer is sent, and when.
 *
 * A viewer can use nothing before a key frame. It gets the cached group of pictures first and then
 * each frame as it comes. The cache is sent in a burst, so that the present picture is there at
 * once, but no faster than a wire takes it. */
#ifndef VIEWER_H
#define VIEWER_H

#include <stdbool.h>
#include <stdint.h>

#include "gop.h"

/* A cached group of pictures can be more than 1 MB, five times what a UDP socket buffers: sent at
 * once it would be lost in the kernel, the sender's or the viewer's. 100 Mbit/s is the slowest
 * wire of the boards this runs on; 1 MB takes 84 ms then, and its key frame comes first. */
#define VIEWER_BURST_BYTES_PER_S (100000000 / 8)

/* A viewer whose decoder has lost something is sent the cache again if uStreamer can't be asked
 * for a key frame. It may lack bandwidth, so what is added stays below 4 Mbit/s on average. */
#define VIEWER_REPLAY_BYTES_PER_S (4000000 / 8)
#define VIEWER_REPLAY_NS          500000000

enum viewer_progress {
    VIEWER_WAITING,     /* for a key frame */
    VIEWER_CATCHING_UP, /* being sent the cache: next is the first frame not sent */
    VIEWER_LIVE
};

typedef void (*viewer_relay)(void *handle, uint8_t *packet, uint16_t length);

struct viewer {
    void *handle;      /* passed to viewer_relay */
    bool watching;     /* wants pictures: from the request watch to stop */
    bool connected;    /* can receive them */
    uint16_t sequence; /* of the next packet */
    enum viewer_progress progress;
    size_t next;
    int64_t next_at;   /* when, in ns */
    int64_t replay_at; /* earliest time of another replay, in ns */
    uint32_t timestamp;
    uint64_t frames, packets, key_requests, replays; /* totals, for query_session */
    uint64_t held_back; /* frames that it was not sent because it waits for a key frame */
};

static inline bool viewer_active(const struct viewer *viewer) {
    return viewer->watching && viewer->connected;
}

/* What was sent before does not continue: the viewer needs a key frame. */
void viewer_restart(struct viewer *viewer);

/* To be called when the viewer became active: begins to send the cache if there is one. */
void viewer_join(struct viewer *viewer, const struct gop *gop, int64_t now);

/* A new frame, already in the cache if it belongs there. Whether it was sent. */
bool viewer_frame(struct viewer *viewer, const struct rtp_frame *frame, viewer_relay relay);

/* Sends what is due of the cache. The time to call again, in ns; INT64_MAX: not needed. */
int64_t viewer_catch_up(struct viewer *viewer, const struct gop *gop, int64_t now,
                        viewer_relay relay);

/* The viewer's decoder needs a key frame and the encoder can't be asked for one. */
void viewer_replay(struct viewer *viewer, const struct gop *gop, int64_t now);

#endif
