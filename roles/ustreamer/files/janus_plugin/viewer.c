// SPDX-License-Identifier: MIT
#include "viewer.h"

/* Frames of the cache are stamped 1 ms apart: stamped with their own times a receiver may play
 * them at leisure, seconds behind. */
#define REPLAY_STEP (RTP_CLOCK_HZ / 1000)

/* A longer step back is really a pause of more than half a turn of the timestamp, 6.6 h. */
#define STEP_BACK_MAX (10 * RTP_CLOCK_HZ)

/* How far a burst may be made up for when the sender came late. */
#define BURST_SLACK_NS 5000000

static void send(struct viewer *viewer, const struct rtp_frame *frame, uint32_t timestamp,
                 viewer_relay relay) {
    /* Never a little back or equal, which would merge two frames, wherever the timestamp wraps. */
    int32_t step = (int32_t)(timestamp - viewer->timestamp);
    if (viewer->frames && step <= 0 && step > -STEP_BACK_MAX)
        timestamp = viewer->timestamp + 1;
    viewer->timestamp = timestamp;
    for (size_t i = 0; i < frame->count; i++) {
        uint8_t *packet = frame->bytes + frame->packets[i].at;
        rtp_stamp(packet, viewer->sequence++, timestamp);
        relay(viewer->handle, packet, frame->packets[i].length);
    }
    viewer->frames++;
    viewer->packets += frame->count;
}

static int64_t duration(size_t bytes, int64_t bytes_per_s) {
    return (int64_t)bytes * 1000000000 / bytes_per_s;
}

void viewer_restart(struct viewer *viewer) {
    viewer->progress = VIEWER_WAITING;
}

static void begin_burst(struct viewer *viewer, const struct gop *gop, int64_t now) {
    int64_t pause = duration(gop->bytes, VIEWER_REPLAY_BYTES_PER_S);
    viewer->progress = VIEWER_CATCHING_UP;
    viewer->next = 0;
    viewer->next_at = now;
    viewer->replay_at = now + (pause > VIEWER_REPLAY_NS ? pause : VIEWER_REPLAY_NS);
}

void viewer_join(struct viewer *viewer, const struct gop *gop, int64_t now) {
    if (viewer_active(viewer) && viewer->progress == VIEWER_WAITING && gop->count)
        begin_burst(viewer, gop, now);
}

bool viewer_frame(struct viewer *viewer, const struct rtp_frame *frame, viewer_relay relay) {
    if (!viewer_active(viewer))
        return false;
    /* A key frame needs nothing before it: whoever is behind is in the present with it. */
    if (frame->key)
        viewer->progress = VIEWER_LIVE;
    viewer->held_back += viewer->progress == VIEWER_WAITING;
    if (viewer->progress != VIEWER_LIVE)
        return false;
    send(viewer, frame, frame->timestamp, relay);
    return true;
}

int64_t viewer_catch_up(struct viewer *viewer, const struct gop *gop, int64_t now,
                        viewer_relay relay) {
    if (!viewer_active(viewer) || viewer->progress != VIEWER_CATCHING_UP)
        return INT64_MAX;
    if (viewer->next >= gop->count) { /* the cache was dropped meanwhile */
        viewer_restart(viewer);
        return INT64_MAX;
    }
    if (viewer->next_at < now - BURST_SLACK_NS)
        viewer->next_at = now - BURST_SLACK_NS;
    uint32_t newest = gop->frames[gop->count - 1]->timestamp;
    while (viewer->next < gop->count && viewer->next_at <= now) {
        const struct rtp_frame *frame = gop->frames[viewer->next++];
        send(viewer, frame, newest - (uint32_t)(gop->count - viewer->next) * REPLAY_STEP, relay);
        viewer->next_at += duration(frame->used, VIEWER_BURST_BYTES_PER_S);
    }
    if (viewer->next < gop->count)
        return viewer->next_at;
    viewer->progress = VIEWER_LIVE;
    return INT64_MAX;
}

void viewer_replay(struct viewer *viewer, const struct gop *gop, int64_t now) {
    if (!viewer_active(viewer) || viewer->progress != VIEWER_LIVE || now < viewer->replay_at ||
        gop->count == 0)
        return;
    begin_burst(viewer, gop, now);
    viewer->replays++;
}
