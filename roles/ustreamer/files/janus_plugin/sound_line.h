// SPDX-License-Identifier: MIT
/* Captured sound as packets of equal length on the system's clock.
 *
 * A packet holds what was captured in its 20 ms of CLOCK_MONOTONIC, so its RTP timestamp is a
 * capture time as those of the pictures are, and consecutive ones differ by exactly 960. A sound
 * card has a clock of its own, and may deliver another rate than it says (a TC358743 does what the
 * attached computer does): how fast it runs is learned from when its samples come, and they are
 * read at that speed. What did not come in time is silence, so packets go on whatever the card
 * does, and none is ever late for long. All times in ns of CLOCK_MONOTONIC. */
#ifndef SOUND_LINE_H
#define SOUND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resampler.h"

#define SOUND_HZ            48000
#define SOUND_PACKET_FRAMES 960
#define SOUND_PACKET_NS     20000000

/* For so long after its end a packet waits for its last sample: longer than a busy machine, or a
 * card's period, takes. */
#define SOUND_PATIENCE_NS 60000000

/* But not when nothing at all has come for so long: there is no card then, or it stands still. */
#define SOUND_GONE_NS (2 * SOUND_PATIENCE_NS)

/* A third of a second at 192 kHz. */
#define SOUND_RING_FRAMES (1u << 16)

struct sound_line {
    float ring[SOUND_RING_FRAMES][RESAMPLER_CHANNELS];
    int64_t written; /* frames so far */
    int64_t oldest;  /* the first of them that can be read */
    /* When frame `anchor` was captured, and how long one takes: smoothed, see note_time(). */
    int64_t anchor;
    double anchor_ns, frame_ns;
    int64_t heard_ns;  /* until when something came last */
    double settled_ns; /* for how long that has been learned */
    /* A longer look back, for when the rate changes. */
    int64_t past;
    int64_t past_ns;
    double place;    /* of the next sample that is read */
    bool sounding;   /* `place` continues what was read before */
    int64_t next_ns; /* when the next packet begins */
    uint64_t silent; /* packets with silence that did not come from the card */
};

/* Nothing has been captured, and the first packet begins now. */
void sound_line_begin(struct sound_line *line, int64_t now);

/* What comes next does not continue what came: a device was opened, or samples were lost. */
void sound_line_break(struct sound_line *line, unsigned int rate_hz);

/* Stereo frames, the last of which ended at end_ns. */
void sound_line_take(struct sound_line *line, const int16_t *frames, size_t count, int64_t end_ns);

/* The next packet, if it is complete or will not be in time: its frames, and when the first of them
 * was captured. */
bool sound_line_next(struct sound_line *line, int64_t now,
                     float frames[SOUND_PACKET_FRAMES][RESAMPLER_CHANNELS], int64_t *captured_ns);

/* When the last sample that the next packet needs is captured. */
int64_t sound_line_due(const struct sound_line *line);

#endif
