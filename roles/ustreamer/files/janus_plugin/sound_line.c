// SPDX-License-Identifier: MIT
#include "sound_line.h"

#include <math.h>
#include <string.h>

#define S_NS 1e9

/* Bandwidths of the loop that follows the card's clock. What is left of a jitter of 1 ms between
 * deliveries of 10 ms is 10 us when it has settled. */
#define LOOP_HZ_FAST 0.5
#define LOOP_HZ      0.05
#define SETTLED_NS   (3 * S_NS)

/* Deliveries further off than this are no jitter: the card has another rate, or left something
 * out. */
#define ASTRAY_NS 10e6

/* How far reading may be off before it jumps. Less is made up for by reading faster or slower. */
#define JUMP_NS 5e6

/* A rate is measured over this. */
#define PAST_NS 250000000

/* Rates of cards are between these. */
#define FRAME_NS_MIN (S_NS / 200000)
#define FRAME_NS_MAX (S_NS / 7000)

/* Where sound begins or breaks off it is faded, or there would be a click. */
#define FADE_FRAMES 240

/* With what is read faster or slower to be on time. */
#define STEP_MAX (RESAMPLER_STEP_MAX * 1.05)

#define PI 3.14159265358979323846

void sound_line_begin(struct sound_line *line, int64_t now) {
    memset(line, 0, sizeof *line);
    line->next_ns = now;
    sound_line_break(line, SOUND_HZ);
}

void sound_line_break(struct sound_line *line, unsigned int rate_hz) {
    line->oldest = line->written;
    line->anchor_ns = 0;
    line->frame_ns = S_NS / rate_hz;
    line->settled_ns = 0;
    line->sounding = false;
}

static void restart_clock(struct sound_line *line, int64_t end_ns) {
    line->anchor_ns = (double)end_ns;
    line->settled_ns = 0;
    line->past = line->written;
    line->past_ns = end_ns;
}

/* A delay-locked loop of second order, critically damped: it follows both when frames come and how
 * fast, and averages the jitter away. */
static void note_time(struct sound_line *line, size_t count, int64_t end_ns) {
    double span_ns = (double)count * line->frame_ns;
    double error_ns = (double)end_ns - (line->anchor_ns + span_ns);
    line->anchor = line->written;
    if (line->anchor_ns == 0) {
        restart_clock(line, end_ns);
        return;
    }
    double past_ns = (double)(end_ns - line->past_ns);
    if (fabs(error_ns) > ASTRAY_NS) {
        double measured = past_ns / (double)(line->written - line->past);
        if (past_ns >= PAST_NS / 2.0 && measured > FRAME_NS_MIN && measured < FRAME_NS_MAX)
            line->frame_ns = measured;
        restart_clock(line, end_ns);
        return;
    }
    if (past_ns > PAST_NS) {
        line->past = line->written;
        line->past_ns = end_ns;
    }
    double omega = 2 * PI * (line->settled_ns < SETTLED_NS ? LOOP_HZ_FAST : LOOP_HZ) *
                   fmin(span_ns / S_NS, 0.1);
    line->anchor_ns += span_ns + sqrt(2) * omega * error_ns;
    line->frame_ns += omega * omega * error_ns / (double)count;
    line->frame_ns = fmin(fmax(line->frame_ns, FRAME_NS_MIN), FRAME_NS_MAX);
    line->settled_ns += span_ns;
}

void sound_line_take(struct sound_line *line, const int16_t *frames, size_t count, int64_t end_ns) {
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        float *slot = line->ring[(uint64_t)line->written++ % SOUND_RING_FRAMES];
        slot[0] = (float)frames[2 * i] / 32768;
        slot[1] = (float)frames[2 * i + 1] / 32768;
    }
    if (line->oldest < line->written - (int64_t)SOUND_RING_FRAMES)
        line->oldest = line->written - (int64_t)SOUND_RING_FRAMES;
    line->heard_ns = end_ns;
    note_time(line, count, end_ns);
}

static bool is_late(const struct sound_line *line, int64_t now) {
    int64_t patience_ns = now - line->heard_ns < SOUND_GONE_NS ? SOUND_PATIENCE_NS : 0;
    return now >= line->next_ns + SOUND_PACKET_NS + patience_ns;
}

/* Where in the input something was captured then. */
static double place_at(const struct sound_line *line, int64_t moment) {
    return (double)line->anchor + ((double)moment - line->anchor_ns) / line->frame_ns;
}

static void read_at(const struct sound_line *line, double place, double step,
                    float out[RESAMPLER_CHANNELS]) {
    resampler_read((const float(*)[RESAMPLER_CHANNELS])line->ring, SOUND_RING_FRAMES - 1, place,
                   step, out);
}

static void fade(float (*frames)[RESAMPLER_CHANNELS], size_t count, bool out) {
    for (size_t i = 0; i < count; i++) {
        float part = ((float)i + 0.5f) / (float)count, gain = out ? 1 - part : part;
        frames[i][0] *= gain;
        frames[i][1] *= gain;
    }
}

/* Where reading jumps, what was read before goes on for a moment, ever softer. */
static void fade_over(const struct sound_line *line, double place, double step,
                      float (*frames)[RESAMPLER_CHANNELS]) {
    float old[FADE_FRAMES][RESAMPLER_CHANNELS];
    double reach = (double)resampler_reach(step);
    size_t count = 0;
    for (; count < FADE_FRAMES && step > 0 && step <= STEP_MAX; count++, place += step) {
        if (place - reach < (double)line->oldest || place + reach > (double)line->written)
            break;
        read_at(line, place, step, old[count]);
    }
    fade(old, count, true);
    for (size_t i = 0; i < count; i++)
        for (int channel = 0; channel < RESAMPLER_CHANNELS; channel++)
            frames[i][channel] += old[i][channel];
}

bool sound_line_next(struct sound_line *line, int64_t now,
                     float frames[SOUND_PACKET_FRAMES][RESAMPLER_CHANNELS], int64_t *captured_ns) {
    double begin = place_at(line, line->next_ns);
    double end = place_at(line, line->next_ns + SOUND_PACKET_NS);
    bool continues = line->sounding && fabs(line->place - begin) * line->frame_ns < JUMP_NS;
    double place = continues ? line->place : begin;
    double step = (end - place) / SOUND_PACKET_FRAMES;
    double reach = (double)resampler_reach(step);
    bool timed = line->anchor_ns != 0;
    if (!is_late(line, now) && (!timed || end + reach > (double)line->written))
        return false;

    size_t from = 0, to = 0;
    memset(frames, 0, SOUND_PACKET_FRAMES * sizeof *frames);
    if (timed && step > 0 && step <= STEP_MAX) {
        to = SOUND_PACKET_FRAMES;
        /* The first and the last frame that all the sinc has to look at is there for. */
        double first = ceil(((double)line->oldest + reach - place) / step);
        double behind = floor(((double)line->written - reach - place) / step);
        from = (size_t)fmin(fmax(first, 0), SOUND_PACKET_FRAMES);
        to = (size_t)fmin(fmax(behind, (double)from), SOUND_PACKET_FRAMES);
    }
    for (size_t i = from; i < to; i++)
        read_at(line, place + (double)i * step, step, frames[i]);
    size_t length = to - from, most = length / 2 < FADE_FRAMES ? length / 2 : FADE_FRAMES;
    if (!continues || from > 0)
        fade(frames + from, most, false);
    if (to < SOUND_PACKET_FRAMES)
        fade(frames + to - most, most, true);
    if (line->sounding && !continues)
        fade_over(line, line->place, step, frames);
    line->sounding = to == SOUND_PACKET_FRAMES;
    line->place = end;
    line->silent += length == 0;
    *captured_ns = line->next_ns;
    line->next_ns += SOUND_PACKET_NS;
    return true;
}

int64_t sound_line_due(const struct sound_line *line) {
    double step = SOUND_PACKET_NS / line->frame_ns / SOUND_PACKET_FRAMES;
    double behind_ns = (double)resampler_reach(step) * line->frame_ns;
    return line->next_ns + SOUND_PACKET_NS + (int64_t)behind_ns;
}
