// SPDX-License-Identifier: MIT
#include "poll_clock.h"

#define MARGIN_MIN_NS   1000000
#define INTERVAL_MIN_NS 2000000   /* closer frames are a writer catching up, not a rate */
#define INTERVAL_MAX_NS 250000000 /* rarer ones are not worth a prediction */

/* A much shorter interval is a new rate and counts at once: to look too early costs a few looks,
 * too late costs the viewer time. A longer one may be a frame left out, and counts little by
 * little. */
static void learn_interval(struct poll_clock *clock, int64_t interval) {
    int64_t known = clock->interval;
    if (interval < INTERVAL_MIN_NS || interval > INTERVAL_MAX_NS)
        clock->interval = 0;
    else if (known == 0 || interval < known * 5 / 8)
        clock->interval = interval;
    else if (interval < known * 5 / 4)
        clock->interval += (interval - known) / 16;
    else
        clock->interval += known / 64;
}

static void learn_margin(struct poll_clock *clock) {
    if (clock->interval == 0)
        clock->margin = 0;
    else if (!clock->polled)
        clock->margin *= 2;
    else
        clock->margin -= clock->margin / 256;
    if (clock->margin > clock->interval / 2)
        clock->margin = clock->interval / 2;
    if (clock->margin < MARGIN_MIN_NS)
        clock->margin = MARGIN_MIN_NS;
}

/* A frame that came late says little about the next one, which is likely to be on time. */
static int64_t next_beat(const struct poll_clock *clock, int64_t arrived) {
    int64_t late = arrived - (clock->beat + clock->interval);
    return late > 0 && late < clock->interval / 2 ? arrived - late + late / 8 : arrived;
}

void poll_clock_frame(struct poll_clock *clock, int64_t arrived) {
    if (clock->last && clock->interval)
        learn_margin(clock);
    clock->beat = next_beat(clock, arrived);
    if (clock->last)
        learn_interval(clock, arrived - clock->last);
    clock->last = arrived;
    clock->polled = false;
}

int64_t poll_clock_next(struct poll_clock *clock, int64_t now) {
    int64_t due = clock->beat + clock->interval;
    if (clock->interval == 0 || now > due + clock->interval)
        return now + POLL_IDLE_NS;
    if (now < due - clock->margin - POLL_FAR_NS)
        return now + POLL_FAR_NS;
    if (now < due - clock->margin)
        return due - clock->margin;
    clock->polled = true;
    return now + POLL_CLOSE_NS;
}
