// SPDX-License-Identifier: MIT
/* When to look for the next frame.
 *
 * The memsink has no notification, so the reader polls. Polling often enough to add less than a
 * millisecond costs thousands of wake-ups a second; but frames come at a steady rate, so the clock
 * lets the reader sleep until shortly before the next one is due and only then poll closely. How
 * long before is learned: longer at once when a frame was there already, slowly shorter otherwise,
 * so that fewer than one frame in a hundred is met late. All times in ns of CLOCK_MONOTONIC. */
#ifndef POLL_CLOCK_H
#define POLL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define POLL_CLOSE_NS 250000  /* a frame is due */
#define POLL_FAR_NS   8000000 /* none is; but if the rate doubles to 60 a second, none is missed */
#define POLL_IDLE_NS  1000000 /* none has come for long, or the rate is not known yet */

struct poll_clock {
    int64_t last;     /* when the last frame came; 0: none yet */
    int64_t beat;     /* when it should have come */
    int64_t interval; /* from frame to frame; 0: not known */
    int64_t margin;   /* how long before a frame is due polling begins */
    bool polled;      /* looked in vain since the next frame is due */
};

/* A frame that came at the time arrived has been found. */
void poll_clock_frame(struct poll_clock *clock, int64_t arrived);

/* Nothing has been found now: the time to look again, later than now. */
int64_t poll_clock_next(struct poll_clock *clock, int64_t now);

#endif
