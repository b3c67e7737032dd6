// SPDX-License-Identifier: MIT
/* The sound of the attached computer: a thread that captures with ALSA and encodes with Opus, once
 * for all who listen. The device is open only while somebody does. no_sound.c stands in its place
 * in a plugin that is built without these libraries. */
#ifndef SOUND_H
#define SOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A packet of 20 ms with room for an RTP header in front, and when its sound was captured
 * (CLOCK_MONOTONIC, ns). Called by the thread. */
typedef void (*sound_deliver)(uint8_t *packet, uint16_t length, int64_t captured_ns);

/* A sentence for the log, when something has changed. Called by the thread. */
typedef void (*sound_say)(bool good, const char *sentence);

struct sound_statistics {
    bool open;        /* the device is */
    uint64_t packets; /* encoded */
    uint64_t silent;  /* of them those for which nothing came */
    uint64_t opened;  /* how often the device was */
};

/* Whether this plugin was built with sound. */
extern const bool sound_is_built_in;

/* Begins the thread, which captures nothing yet. device: a name of ALSA's. */
bool sound_start(const char *device, size_t header_length, sound_deliver deliver, sound_say say);

/* Ends it, which waits for a delivery that is going on. */
void sound_stop(void);

/* Whether anybody listens. Returns at once. */
void sound_want(bool wanted);

struct sound_statistics sound_statistics(void);

#endif
