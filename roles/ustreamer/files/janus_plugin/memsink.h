// SPDX-License-Identifier: MIT
/* Reader for the shared memory ("memsink") into which uStreamer puts its newest H.264 frame.
 *
 * Knows every layout of uStreamer 4.0 to 6.62 on 64-bit machines. The memory is never mapped: all
 * access is pread() and pwrite(), so that a writer which truncates or removes the object can cause
 * a short read but never a SIGBUS, and nothing in it can change between a check and its use. */
#ifndef MEMSINK_H
#define MEMSINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Largest frame taken; the roomiest object (layout 2) has room for as much. */
#define MEMSINK_FRAME_MAX (32u << 20)

/* The layout versions this reader knows, for messages to people. */
#define MEMSINK_KNOWN_VERSIONS "2-8 and 10"

enum memsink_state {
    MEMSINK_READY,
    MEMSINK_ABSENT,        /* cannot be opened: memsink.error is the errno */
    MEMSINK_NOT_READY,     /* exists, but no writer has finished setting it up */
    MEMSINK_UNKNOWN_LAYOUT /* memsink.version is not one of ours */
};

enum memsink_result {
    MEMSINK_NOTHING, /* no frame that has not been fetched already */
    MEMSINK_FRAME,
    MEMSINK_BUSY,  /* the lock is held by the writer: try again in a moment */
    MEMSINK_BROKEN /* not the object that was opened any more: close and open again */
};

struct memsink {
    char path[NAME_MAX + 16];
    int fd; /* -1: closed */
    dev_t device;
    ino_t inode;
    off_t size;
    const struct memsink_layout *layout;
    uint32_t version;
    int error;
    uint64_t last_id; /* of the newest frame fetched */
};

struct memsink_frame {
    uint8_t *data; /* grown as needed; the caller's to free() */
    size_t room;
    size_t used;        /* bytes of data; 0 if the sink claims more than it can hold */
    int64_t captured;   /* CLOCK_MONOTONIC, ns; -1 if the sink holds no sensible time */
    int64_t encoded;    /* the same: when the encoder was done */
    bool source_online; /* the video source delivers a signal */
};

/* Names the sink as uStreamer's --h264-sink does, with or without a leading slash.
 * false: a name that cannot be one in /dev/shm (empty, too long, or with a slash inside). */
bool memsink_init(struct memsink *sink, const char *name);

/* Opens the object and checks what its writer sets last. The sink is open only after
 * MEMSINK_READY. Sets version (0 if none could be read) and error. */
enum memsink_state memsink_open(struct memsink *sink);
void memsink_close(struct memsink *sink);

/* Opens, copies the first bytes of the newest frame and closes again, without a sign of life and
 * without the lock (so the writer never notices): what a request asks about a sink.
 * *got is how many of the length bytes the frame has; 0 if there is none yet. */
enum memsink_state memsink_peek(struct memsink *sink, uint8_t *start, size_t length, size_t *got);

/* One sentence for the log and for the viewer. */
void memsink_describe(const struct memsink *sink, enum memsink_state state, char *text,
                      size_t length);

/* The rest is for an open sink. */

bool memsink_can_request_key(const struct memsink *sink);

/* The name leads to no object or to another one than the one that is open. */
bool memsink_replaced(const struct memsink *sink);

/* A look at the frame's id, without the lock, for polling: is a fetch worth while? */
bool memsink_has_news(const struct memsink *sink);

/* Fetches the newest frame, and tells the writer that somebody reads and, if want_key, that the
 * next frame should be a key frame (no effect in layout 2). After MEMSINK_NOTHING the writer has
 * been told, too. Never waits. */
enum memsink_result memsink_fetch(struct memsink *sink, struct memsink_frame *frame, bool want_key);

#endif
