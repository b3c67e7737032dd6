// SPDX-License-Identifier: MIT
#include "gop.h"

#include <stdlib.h>

static bool make_room(struct gop *gop) {
    if (gop->count < gop->room)
        return true;
    size_t room = gop->room * 2 + 64;
    struct rtp_frame **frames = realloc(gop->frames, room * sizeof(*frames));
    if (!frames)
        return false;
    gop->frames = frames;
    gop->room = room;
    return true;
}

bool gop_add(struct gop *gop, struct rtp_frame *frame) {
    if (frame->key)
        gop_clear(gop);
    else if (gop->count == 0)
        return false;
    if (gop->bytes + frame->used > GOP_BYTES_MAX || !make_room(gop)) {
        gop_clear(gop);
        return false;
    }
    gop->frames[gop->count++] = frame;
    gop->bytes += frame->used;
    return true;
}

void gop_clear(struct gop *gop) {
    for (size_t i = 0; i < gop->count; i++)
        rtp_free(gop->frames[i]);
    free(gop->frames);
    *gop = (struct gop){0};
}
