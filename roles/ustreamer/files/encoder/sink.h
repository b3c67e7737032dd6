// SPDX-License-Identifier: MIT
/* The two ends of a memsink: the raw one is read, the H.264 one is written. */
#ifndef SINK_H
#define SINK_H

#include "layout.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What every reader has room for: from 6.5 on they map 2 MiB of an H.264 sink, whatever its size,
 * and 6.5 itself gives up to 32 KiB of that away. */
#define SINK_H264_MAX (2016u << 10)

/* So long uStreamer writes for a reader that has been seen (--h264-sink-client-ttl). */
#define SINK_READER_SECONDS 10

struct sink {
    char path[NAME_MAX + 16];
    int fd; /* -1: closed */
    dev_t device;
    ino_t inode;
    off_t size;
    const struct layout *layout;
    uint32_t version;    /* as found; 0: none */
    const uint8_t *data; /* of a source: the frame's bytes, mapped */
    uint64_t last_id;
};

/* How the picture of a frame is stored. */
struct geometry {
    uint32_t width;
    uint32_t height;
    uint32_t format; /* V4L2's four characters */
    uint32_t stride; /* bytes */
};

/* false: a name that cannot be one in /dev/shm. */
bool sink_init(struct sink *sink, const char *name);
void sink_close(struct sink *sink);

/* Opens a sink of uStreamer's if it is not open, or anew if its name leads to another object by
 * now. Sets version. */
bool sink_refresh(struct sink *sink);

/* Looks without the lock, and without a sign of life. */
bool sink_has_news(const struct sink *sink);
struct geometry sink_geometry(const struct sink *sink);

/* Says that somebody reads. false: the lock is taken, so nothing was said. */
bool sink_sign(struct sink *sink);

/* A frame of a source, which stays as it is until sink_end_read(). false: none that was not read
 * already, or the writer holds the lock. */
struct raw_frame {
    struct geometry geometry;
    const uint8_t *data;
    size_t used;
    uint8_t times[2 * SINK_TIME_BYTES]; /* grab begin and captured, as they stand there */
    int64_t captured_us;
    bool online;
};
bool sink_begin_read(struct sink *sink, struct raw_frame *frame);
void sink_end_read(struct sink *sink);

/* Makes the H.264 sink, or takes over one of this user's, so that its readers go on without
 * noticing. */
bool sink_create(struct sink *sink, const struct layout *layout);

bool sink_is_watched(const struct sink *sink);
bool sink_key_requested(const struct sink *sink);

struct h264_frame {
    const uint8_t *data;
    size_t used;
    uint32_t width;
    uint32_t height;
    uint32_t gop;
    bool key;
    int64_t encode_begin_ns; /* CLOCK_MONOTONIC_RAW */
    int64_t encode_end_ns;
};

/* false: a reader kept the lock, or there was no room; the stream is broken up to the next key
 * frame. */
bool sink_put(struct sink *sink, const struct h264_frame *frame, const struct raw_frame *source);

/* By the clock of its writer. The sink is open. */
int64_t sink_now_ns(const struct sink *sink);

#endif
