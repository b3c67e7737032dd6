// SPDX-License-Identifier: MIT
/* The sound's clock and its samples between samples: what a card does, and what packets say. */
#include <math.h>
#include <string.h>

#include "resampler.h"
#include "sound_line.h"
#include "testing.h"

#define PI      3.14159265358979323846
#define S_NS    INT64_C(1000000000)
#define START   (INT64_C(7000) * S_NS) /* the machine runs for a while */
#define TONE_HZ 1013.0                 /* at no special point where a packet begins */

/* The tone that is in the air at a moment. */
static double tone(double moment_ns) {
    return 0.5 * sin(2 * PI * TONE_HZ * fmod(moment_ns, 1e9) / 1e9);
}

/* ---- A card ---- */

static struct card {
    double rate_hz;   /* the true one */
    double next_ns;   /* when the next frame is captured */
    double jitter_ns; /* by how much its deliveries are late at the most */
    unsigned int chance;
    bool is_deaf; /* the computer plays nothing */
} card;

static struct sound_line line;

static double random_part(void) {
    card.chance = card.chance * 1103515245u + 12345u;
    return (double)(card.chance >> 8) / (1 << 24);
}

static void deliver(size_t count) {
    int16_t frames[2 * 1024];
    for (size_t i = 0; i < count; i++) {
        double value = card.is_deaf ? 0 : tone(card.next_ns);
        frames[2 * i] = (int16_t)lrint(32767 * value);
        frames[2 * i + 1] = (int16_t)lrint(-32767 * value);
        card.next_ns += 1e9 / card.rate_hz;
    }
    sound_line_take(&line, frames, count, (int64_t)(card.next_ns + card.jitter_ns * random_part()));
}

static void plug(double rate_hz, double jitter_ns) {
    card = (struct card){
        .rate_hz = rate_hz, .next_ns = (double)START, .jitter_ns = jitter_ns, .chance = 1};
}

/* ---- What comes out ---- */

static struct {
    size_t packets;
    int64_t captured_ns; /* of the last */
    double latest_ms;    /* from its beginning's capture to its being there */
    double worst;        /* difference from the tone */
    double step;         /* the largest from one sample to the next */
    float last;
} heard;

static void forget(void) {
    heard.latest_ms = heard.worst = heard.step = 0;
}

static void listen(int64_t now) {
    float frames[SOUND_PACKET_FRAMES][RESAMPLER_CHANNELS];
    int64_t captured;
    while (sound_line_next(&line, now, frames, &captured)) {
        if (heard.packets)
            CHECK_EQUAL(captured - heard.captured_ns, SOUND_PACKET_NS);
        heard.packets++;
        heard.captured_ns = captured;
        heard.latest_ms = fmax(heard.latest_ms, (double)(now - captured) / 1e6);
        for (int i = 0; i < SOUND_PACKET_FRAMES; i++) {
            double off = frames[i][0] - tone((double)captured + i * 1e9 / SOUND_HZ);
            heard.worst = fmax(heard.worst, fabs(off));
            heard.step = fmax(heard.step, fabs(frames[i][0] - heard.last));
            heard.last = frames[i][0];
            if (fabsf(frames[i][0] + frames[i][1]) > 1e-3f)
                CHECK(!"the channels differ");
        }
    }
}

static void begin(unsigned int said_hz) {
    memset(&heard, 0, sizeof heard);
    sound_line_begin(&line, START);
    sound_line_break(&line, said_hz);
}

/* In pieces of 5 ms, as the thread asks for. */
static void play(double seconds) {
    for (double end = card.next_ns + seconds * 1e9; card.next_ns < end;) {
        deliver((size_t)(card.rate_hz / 200));
        listen((int64_t)(card.next_ns + card.jitter_ns));
    }
}

/* Nothing is delivered. */
static void pause(double seconds) {
    for (double end = card.next_ns + seconds * 1e9; card.next_ns < end; card.next_ns += 5e6)
        listen((int64_t)card.next_ns);
}

/* How far the tone, of half the greatest loudness is off when it is early or late by so
 * much. */
static double off_by(double ms) {
    return 0.5 * 2 * PI * TONE_HZ * ms / 1000;
}

/* The steepest step of that tone. */
#define STEEPEST (0.5 * 2 * PI * TONE_HZ / SOUND_HZ)

/* ---- Tests ---- */

static void test_resampler_keeps_tones(void) {
    static float ring[4096][RESAMPLER_CHANNELS];
    for (int rate = 32000; rate <= 192000; rate *= 2) {
        double step = (double)rate / SOUND_HZ, worst = 0;
        for (int i = 0; i < 4096; i++)
            ring[i][0] = ring[i][1] = (float)sin(2 * PI * 5000.0 * i / rate);
        for (double place = 200; place < 3800; place += step) {
            float out[RESAMPLER_CHANNELS];
            resampler_read((const float(*)[RESAMPLER_CHANNELS])ring, 4095, place, step, out);
            worst = fmax(worst, fabs(out[0] - sin(2 * PI * 5000.0 * place / rate)));
        }
        CHECK(worst < 0.001);
    }
}

/* What 48 kHz can't carry would come back as another tone. */
static void test_resampler_leaves_out_what_is_too_high(void) {
    static float ring[4096][RESAMPLER_CHANNELS];
    double loudest = 0;
    for (int i = 0; i < 4096; i++)
        ring[i][0] = ring[i][1] = (float)sin(2 * PI * 30000.0 * i / 96000);
    for (double place = 200; place < 3800; place += 2) {
        float out[RESAMPLER_CHANNELS];
        resampler_read((const float(*)[RESAMPLER_CHANNELS])ring, 4095, place, 2, out);
        loudest = fmax(loudest, fabs(out[0]));
    }
    CHECK(loudest < 0.01);
}

static void test_sound_is_on_time(void) {
    plug(48000, 0);
    begin(48000);
    play(0.1);
    forget();
    play(10);
    CHECK(heard.worst < off_by(0.02));
    CHECK(heard.latest_ms <= 26);
    CHECK_EQUAL(line.silent, 0);
}

static void test_every_rate(void) {
    static const unsigned int rates[] = {32000, 44100, 48000, 88200, 96000, 192000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        plug(rates[i], 1e6);
        begin(rates[i]);
        play(4);
        forget();
        play(4);
        CHECK(heard.worst < off_by(1));
        CHECK(heard.step < STEEPEST * 1.05);
        CHECK_EQUAL(line.silent, 0);
    }
}

/* Three minutes of a card that is 2000 in a million too slow: 360 ms, were it not noticed, and as
 * much as a usual one makes in an hour. */
static void test_drift(void) {
    plug(48000 * 0.998, 2e6);
    begin(48000);
    play(10);
    for (int minute = 0; minute < 3; minute++) {
        forget();
        play(60);
        CHECK(heard.worst < off_by(1.5)); /* jitter is lateness only: half of it is in the mean */
        CHECK(heard.step < STEEPEST * 1.05);
        CHECK(heard.latest_ms < 30);
    }
    CHECK_EQUAL(line.silent, 0);
}

/* A bridge says 48 kHz and delivers what the computer plays; then that changes. */
static void test_another_rate_than_said(void) {
    plug(44100, 5e5);
    begin(48000);
    play(6);
    forget();
    play(2);
    CHECK(heard.worst < off_by(1));
    card.rate_hz = 32000;
    play(6);
    forget();
    play(2);
    CHECK(heard.worst < off_by(1));
    CHECK(heard.latest_ms < 30);
}

static void test_lost_and_back(void) {
    plug(48000, 0);
    begin(48000);
    play(5);
    forget();
    int64_t silent_before = (int64_t)line.silent;
    pause(0.5);
    /* Packets go on, and none waits for long. */
    CHECK(heard.latest_ms < 90);
    CHECK(heard.step < STEEPEST * 1.05);
    forget();
    pause(2.5);
    CHECK((int64_t)line.silent - silent_before > 140);
    /* Where nothing comes nothing is waited for: a browser would keep all for as long. */
    CHECK(heard.latest_ms <= 26);
    CHECK(heard.last == 0);
    sound_line_break(&line, 48000);
    play(0.2);
    /* No crackle: it breaks off and begins gently. */
    CHECK(heard.step < STEEPEST * 1.05);
    forget();
    play(4);
    CHECK(heard.worst < off_by(0.02));
    CHECK(heard.latest_ms <= 26);
}

/* Each sample alone: who looks when it is due finds it, and who looks before does not. */
static void test_a_packet_is_whole_when_it_is_due(void) {
    static const unsigned int rates[] = {32000, 44100, 48000, 192000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        float frames[SOUND_PACKET_FRAMES][RESAMPLER_CHANNELS];
        int64_t captured;
        plug(rates[i], 0);
        begin(rates[i]);
        play(5);
        int64_t due = sound_line_due(&line);
        CHECK(due > (int64_t)card.next_ns);
        while (!sound_line_next(&line, (int64_t)card.next_ns, frames, &captured))
            deliver(1);
        CHECK(fabs(card.next_ns - (double)due) <= 2e9 / rates[i]);
    }
}

/* The thread was kept from running, and what the card had kept comes at once. */
static void test_late_but_kept(void) {
    plug(48000, 0);
    begin(48000);
    play(5);
    uint64_t silent_before = line.silent;
    for (int i = 0; i < 10; i++)
        deliver(240);
    listen((int64_t)card.next_ns);
    CHECK_EQUAL(line.silent, silent_before);
    forget();
    play(1);
    CHECK(heard.worst < off_by(0.02));
    CHECK(heard.latest_ms <= 26);
}

/* The same for so long that packets had to leave without it. */
static void test_kept_for_too_long(void) {
    plug(48000, 0);
    begin(48000);
    play(5);
    forget();
    double end = card.next_ns + 150e6;
    for (double now = card.next_ns; now < end; now += 5e6)
        listen((int64_t)now);
    CHECK(line.silent > 0);
    CHECK(heard.last == 0);
    while (card.next_ns < end)
        deliver(240);
    play(0.1);
    CHECK(heard.step < STEEPEST * 1.05);
    forget();
    play(1);
    CHECK(heard.worst < off_by(0.02));
    CHECK(heard.latest_ms <= 26);
}

/* A driver that left something out without a word: no pitch of another kind makes up for it. */
static void test_left_out(void) {
    plug(48000, 0);
    begin(48000);
    play(5);
    forget();
    card.next_ns += 15 * 1e9 / TONE_HZ; /* whole waves, so what is left has no step */
    play(1);
    CHECK(heard.step < STEEPEST * 1.05);
    forget();
    play(1);
    CHECK(heard.worst < off_by(0.2));
}

static void test_no_device_at_all(void) {
    plug(48000, 0);
    begin(48000);
    pause(2);
    CHECK(heard.packets > 90);
    CHECK_EQUAL(line.silent, heard.packets);
    CHECK(heard.latest_ms <= 26);
    CHECK(heard.last == 0);
}

static void test_silence_is_silent(void) {
    plug(48000, 1e6);
    card.is_deaf = true;
    begin(48000);
    forget();
    play(2);
    CHECK_EQUAL(line.silent, 0);
    CHECK(heard.step == 0);
}

/* Whatever a driver says of its times and amounts: packets go on, in order, and nothing is read
 * that is not there. */
static void test_nonsense(void) {
    static int16_t frames[2 * 1024];
    plug(48000, 0);
    begin(48000);
    int64_t now = START;
    for (int i = 0; i < 20000; i++) {
        size_t count = (size_t)(random_part() * 1024);
        int64_t off = (int64_t)((random_part() - 0.5) * 1e9 * (i % 7 == 0));
        now += (int64_t)(random_part() * 1e7);
        sound_line_take(&line, frames, count, now + off);
        if (i % 101 == 0)
            sound_line_break(&line, 7000 + (unsigned int)(random_part() * 185000));
        listen(now);
        CHECK(heard.step < 1e-6);
        if (heard.packets)
            CHECK(now - heard.captured_ns < INT64_C(110000000));
    }
}

int main(void) {
    resampler_init();
    RUN(test_resampler_keeps_tones);
    RUN(test_resampler_leaves_out_what_is_too_high);
    RUN(test_sound_is_on_time);
    RUN(test_every_rate);
    RUN(test_drift);
    RUN(test_another_rate_than_said);
    RUN(test_lost_and_back);
    RUN(test_a_packet_is_whole_when_it_is_due);
    RUN(test_late_but_kept);
    RUN(test_kept_for_too_long);
    RUN(test_left_out);
    RUN(test_no_device_at_all);
    RUN(test_silence_is_silent);
    RUN(test_nonsense);
    return summary();
}
