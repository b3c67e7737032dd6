// SPDX-License-Identifier: MIT
/* The real thread with ALSA and Opus, on the simulated computer's sound. SIMULATED_SOUND is its
 * plug-in for ALSA. Waits are generous, since the machine may be busy. */
#include <math.h>
#include <opus.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sound.h"
#include "testing.h"

#define HEADER        12
#define HZ            48000
#define PACKET_FRAMES 960
#define WAIT_NS       INT64_C(10000000000)
#define PI            3.14159265358979323846

static char control[256], folder[] = "/tmp/test-sound-XXXXXX";

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void nap_ms(int ms) {
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

/* ---- What was delivered ---- */

enum { PACKETS_MAX = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int64_t captured_ns;
    uint16_t length;
    uint8_t payload[1275];
} heard[PACKETS_MAX];
static size_t count;
static char said[4096];

static void deliver(uint8_t *packet, uint16_t length, int64_t captured_ns) {
    pthread_mutex_lock(&lock);
    if (count < PACKETS_MAX) {
        heard[count].captured_ns = captured_ns;
        heard[count].length = (uint16_t)(length - HEADER);
        memcpy(heard[count].payload, packet + HEADER, length - (size_t)HEADER);
        count++;
    }
    pthread_mutex_unlock(&lock);
}

static void say(bool good, const char *sentence) {
    size_t used = strlen(said);
    pthread_mutex_lock(&lock);
    snprintf(said + used, sizeof said - used, "%s %s\n", good ? "good:" : "bad:", sentence);
    pthread_mutex_unlock(&lock);
}

static bool was_said(const char *text) {
    pthread_mutex_lock(&lock);
    bool found = strstr(said, text) != NULL;
    pthread_mutex_unlock(&lock);
    return found;
}

static bool wait_until_said(const char *text) {
    for (int64_t end = now_ns() + WAIT_NS; !was_said(text) && now_ns() < end;)
        nap_ms(5);
    return was_said(text);
}

static size_t packets(void) {
    pthread_mutex_lock(&lock);
    size_t n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

/* So many more. The first of them. */
static size_t wait_for_packets(size_t more) {
    size_t from = packets();
    for (int64_t end = now_ns() + WAIT_NS; packets() < from + more && now_ns() < end;)
        nap_ms(5);
    CHECK(packets() >= from + more);
    return from;
}

/* How loud a tone is, of 1, on a channel of what so many packets hold. */
static double loudness(size_t from, size_t to, int channel, double hz) {
    static float frames[PACKET_FRAMES * 2];
    double real = 0, imaginary = 0, n = 0;
    OpusDecoder *decoder = opus_decoder_create(HZ, 2, NULL);
    pthread_mutex_lock(&lock);
    for (size_t i = from; i < to && i < count; i++) {
        CHECK_EQUAL(
            opus_decode_float(decoder, heard[i].payload, heard[i].length, frames, PACKET_FRAMES, 0),
            PACKET_FRAMES);
        for (int f = 0; f < PACKET_FRAMES; f++, n++) {
            real += frames[2 * f + channel] * cos(2 * PI * hz * n / HZ);
            imaginary += frames[2 * f + channel] * sin(2 * PI * hz * n / HZ);
        }
    }
    pthread_mutex_unlock(&lock);
    opus_decoder_destroy(decoder);
    return 2 * hypot(real, imaginary) / n;
}

/* The computer's two tones, of which an octave above takes a tenth. */
static void check_tones(size_t from, size_t to) {
    CHECK(loudness(from, to, 0, 440) > 0.15);
    CHECK(loudness(from, to, 1, 660) > 0.15);
    CHECK(loudness(from, to, 0, 660) < 0.03);
    CHECK(loudness(from, to, 0, 550) < 0.03);
}

static void check_cadence(size_t from, size_t to) {
    pthread_mutex_lock(&lock);
    for (size_t i = from + 1; i < to; i++)
        CHECK_EQUAL(heard[i].captured_ns - heard[i - 1].captured_ns, 20000000);
    pthread_mutex_unlock(&lock);
}

static void set(const char *words) {
    char path[300];
    snprintf(path, sizeof path, "%s.new", control);
    FILE *file = fopen(path, "w");
    fputs(words, file);
    fclose(file);
    CHECK_EQUAL(rename(path, control), 0);
}

/* ---- Tests ---- */

static void test_nothing_is_captured_while_nobody_listens(void) {
    nap_ms(100);
    CHECK_EQUAL(packets(), 0);
    CHECK_EQUAL(sound_statistics().opened, 0);
}

static void test_tones(void) {
    sound_want(true);
    CHECK(wait_until_said("good:"));
    wait_for_packets(10);
    size_t from = wait_for_packets(100);
    check_tones(from, from + 100);
    check_cadence(from, from + 100);
    int64_t ago_ns = now_ns() - heard[from + 99].captured_ns;
    CHECK(ago_ns > 0 && ago_ns < WAIT_NS);
}

static void test_nobody_listens_any_more(void) {
    sound_want(false);
    for (int64_t end = now_ns() + WAIT_NS; sound_statistics().open && now_ns() < end;)
        nap_ms(5);
    CHECK(!sound_statistics().open);
    size_t n = packets();
    nap_ms(100);
    CHECK_EQUAL(packets(), n);
    sound_want(true);
    wait_for_packets(5);
}

static void test_silence(void) {
    set("silence");
    wait_for_packets(20);
    size_t from = wait_for_packets(20);
    CHECK(loudness(from, from + 20, 0, 440) < 0.001);
    set("");
}

static void test_gone_and_back(void) {
    set("gone");
    CHECK(wait_until_said("bad: sound device simulated: lost"));
    CHECK(wait_until_said("No such device"));
    size_t before = wait_for_packets(20); /* silence goes on meanwhile */
    *said = 0;
    set("");
    CHECK(wait_until_said("good:"));
    wait_for_packets(50);
    size_t from = wait_for_packets(50);
    check_tones(from, from + 50);
    check_cadence(before, from + 50);
}

static void test_another_rate(void) {
    set("rate=44100");
    wait_for_packets(150);
    size_t from = wait_for_packets(100);
    check_tones(from, from + 100);
    check_cadence(from, from + 100);
    set("");
}

static void test_a_card_that_stands_still(void) {
    *said = 0;
    set("stopped");
    CHECK(wait_until_said("delivers nothing"));
    *said = 0;
    set("");
    CHECK(wait_until_said("good:"));
    wait_for_packets(50);
    size_t from = wait_for_packets(50);
    check_tones(from, from + 50);
}

int main(void) {
    char path[300];
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    snprintf(control, sizeof control, "%s/control", folder);
    snprintf(path, sizeof path, "%s/asound.conf", folder);
    FILE *file = fopen(path, "w");
    fprintf(file,
            "pcm_type.simulated_sound { lib \"%s\" }\n"
            "pcm.simulated { type simulated_sound control \"%s\" }\n",
            getenv("SIMULATED_SOUND"), control);
    fclose(file);
    setenv("ALSA_CONFIG_PATH", path, 1);
    CHECK(sound_start("simulated", HEADER, deliver, say));
    RUN(test_nothing_is_captured_while_nobody_listens);
    RUN(test_tones);
    RUN(test_nobody_listens_any_more);
    RUN(test_silence);
    RUN(test_gone_and_back);
    RUN(test_another_rate);
    RUN(test_a_card_that_stands_still);
    sound_stop();
    unlink(path);
    unlink(control);
    rmdir(folder);
    return summary();
}
