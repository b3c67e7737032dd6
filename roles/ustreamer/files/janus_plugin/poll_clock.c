// SPDX-License-Identifier: MIT
#include "poll_clock.h"

#define MARGIN_MIN_NS   1000000
#define INTERVAL_MIN_NS 2000000   /* closer frames are a writer catching up, not a rate */
#define INTERVAL_MAX_NS 250000000 /* rarer ones are not worth a prediction */

/* Learns a shorter interval fast and a longer one slowly: to come early costs a few looks, to come
 * late costs the viewer time. A frame left out now and then hardly counts. */
static void learn_interval(struct poll_clock *clock, int64_t interval) {
    if (interval < INTERVAL_MIN_NS || interval > INTERVAL_MAX_NS)
        clock->interval = 0;
    else if (clock->interval == 0)
        clock->interval = interval;
    else
        clock->interval += (interval - clock->interval) / (interval < clock->interval ? 4 : 32);
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

void poll_clock_frame(struct poll_clock *clock, int64_t arrived) {
    if (clock->last && clock->interval)
        learn_margin(clock);
    if (clock->last)
        learn_interval(clock, arrived - clock->last);
    clock->last = arrived;
    clock->polled = false;
}

int64_t poll_clock_next(struct poll_clock *clock, int64_t now) {
    int64_t due = clock->last + clock->interval;
    if (clock->interval == 0 || now > due + clock->interval)
        return now + POLL_IDLE_NS;
    if (now < due - clock->margin - POLL_FAR_NS)
        return now + POLL_FAR_NS;
    if (now < due - clock->margin)
        return due - clock->margin;
    clock->polled = true;
    return now + POLL_CLOSE_NS;
}
