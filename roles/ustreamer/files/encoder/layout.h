// SPDX-License-Identifier: MIT
/* Where things stand in uStreamer's shared memory ("memsink"), on 64-bit machines.
 *
 * This program writes a sink of H.264 frames as uStreamer does. It takes the layout from the sink
 * of raw frames, which the installed uStreamer writes: whatever reads the one knows the other. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define SINK_MAGIC      UINT64_C(0xCAFEBABECAFEBABE)
#define SINK_AT_MAGIC   0
#define SINK_AT_VERSION 8
#define SINK_AT_ID      16
#define SINK_AT_USED    24
#define SINK_HEADER_MAX 160
#define SINK_TIME_BYTES 16

/* Offsets in bytes. Times are long doubles: seconds of layout_clock(). 0: this version has none. */
struct layout {
    uint16_t version;
    uint16_t width; /* height, format, stride: the next three, each of four bytes */
    uint16_t online;
    uint16_t key; /* whether the frame is a key frame */
    uint16_t gop;
    uint16_t grab_begin;
    uint16_t captured; /* the frame is complete */
    uint16_t encode_begin;
    uint16_t encode_end;
    uint16_t reader_seen;
    uint16_t key_request;
    uint16_t data;
};

/* Of an object of this size; NULL: not known. */
const struct layout *layout_find(uint32_t version, off_t size);

/* Which clock uStreamer takes its times from. */
clockid_t layout_clock(const struct layout *layout);

/* For messages to people. */
#define LAYOUT_KNOWN_VERSIONS "2-8 and 10"

#endif
