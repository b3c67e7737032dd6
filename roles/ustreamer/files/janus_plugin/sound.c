// SPDX-License-Identifier: MIT
#include "sound.h"

#include <alsa/asoundlib.h>
#include <opus.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rtp.h"
#include "sound_line.h"

#define CHANNELS RESAMPLER_CHANNELS

#define MS_NS 1000000
#define S_NS  INT64_C(1000000000)

/* The card hands over sound in pieces of this length, or a bit more, and keeps as much as that. */
#define PERIOD_US 5000
#define BUFFER_US 200000

/* How often is looked when a packet's last sample is due, and for how long after that. */
#define CLOSE_NS     MS_NS
#define CLOSE_FOR_NS (2 * PERIOD_US * 1000)

#define REOPEN_NS (500 * MS_NS)

/* A card that delivers nothing for so long is opened anew: some need that when the computer's sound
 * was away. */
#define DEAD_NS (2 * S_NS)

/* Transparent for what a computer plays. */
#define BITS_PER_S 128000
/* Of ten. A Pi's core is busy with it for 2 %. */
#define COMPLEXITY 5

#define READ_FRAMES 1024

const bool sound_is_built_in = true;

static struct {
    char *device;
    size_t header_length;
    sound_deliver deliver;
    sound_say say;
    pthread_t thread;
} setup;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Written under the lock, so that who waits for a change misses none. */
static atomic_bool wanted, stopping;
static atomic_bool is_open;
static atomic_uint_fast64_t packets, silent, opened;

struct recorder {
    snd_pcm_t *pcm; /* NULL: not open */
    OpusEncoder *encoder;
    int lookahead; /* frames by which what is decoded is late */
    int64_t open_at, heard_at;
    int error; /* that was said last */
    struct sound_line line;
    int16_t captured[READ_FRAMES * CHANNELS];
    float frames[SOUND_PACKET_FRAMES][CHANNELS];
    uint8_t packet[RTP_PACKET_MAX];
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * S_NS + now.tv_nsec;
}

/* ---- The device ---- */

static int set_parameters(snd_pcm_t *pcm, unsigned int *rate_hz) {
    snd_pcm_hw_params_t *hardware;
    snd_pcm_sw_params_t *software;
    unsigned int period_us = PERIOD_US, buffer_us = BUFFER_US;
    snd_pcm_uframes_t period;
    int error;
    snd_pcm_hw_params_alloca(&hardware);
    snd_pcm_sw_params_alloca(&software);
    *rate_hz = SOUND_HZ;
    if ((error = snd_pcm_hw_params_any(pcm, hardware)) < 0 ||
        /* We do that ourselves, and better. */
        (error = snd_pcm_hw_params_set_rate_resample(pcm, hardware, 0)) < 0 ||
        (error = snd_pcm_hw_params_set_access(pcm, hardware, SND_PCM_ACCESS_RW_INTERLEAVED)) < 0 ||
        (error = snd_pcm_hw_params_set_format(pcm, hardware, SND_PCM_FORMAT_S16)) < 0 ||
        (error = snd_pcm_hw_params_set_channels(pcm, hardware, CHANNELS)) < 0 ||
        (error = snd_pcm_hw_params_set_rate_near(pcm, hardware, rate_hz, NULL)) < 0 ||
        (error = snd_pcm_hw_params_set_period_time_near(pcm, hardware, &period_us, NULL)) < 0 ||
        (error = snd_pcm_hw_params_set_buffer_time_near(pcm, hardware, &buffer_us, NULL)) < 0 ||
        (error = snd_pcm_hw_params(pcm, hardware)) < 0 ||
        (error = snd_pcm_hw_params_get_period_size(hardware, &period, NULL)) < 0 ||
        (error = snd_pcm_sw_params_current(pcm, software)) < 0 ||
        (error = snd_pcm_sw_params_set_avail_min(pcm, software, period)) < 0 ||
        (error = snd_pcm_sw_params_set_tstamp_mode(pcm, software, SND_PCM_TSTAMP_ENABLE)) < 0 ||
        (error = snd_pcm_sw_params_set_tstamp_type(pcm, software, SND_PCM_TSTAMP_TYPE_MONOTONIC)) <
            0)
        return error;
    return snd_pcm_sw_params(pcm, software);
}

static void say(struct recorder *recorder, int error, const char *what) {
    char sentence[200];
    if (error == recorder->error)
        return;
    recorder->error = error;
    snprintf(sentence, sizeof sentence, "sound device %s: %s%s%s", setup.device, what,
             error ? ": " : "", error ? snd_strerror(error) : "");
    setup.say(error == 0, sentence);
}

static void close_device(struct recorder *recorder) {
    if (recorder->pcm)
        snd_pcm_close(recorder->pcm);
    recorder->pcm = NULL;
    recorder->open_at = now_ns() + REOPEN_NS;
    is_open = false;
}

static void open_device(struct recorder *recorder) {
    unsigned int rate_hz = SOUND_HZ;
    int error =
        snd_pcm_open(&recorder->pcm, setup.device, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
    if (error < 0)
        recorder->pcm = NULL;
    else if ((error = set_parameters(recorder->pcm, &rate_hz)) == 0)
        error = snd_pcm_start(recorder->pcm);
    if (error < 0) {
        say(recorder, error, "can't be opened for 16-bit stereo sound, and is tried again");
        close_device(recorder);
        return;
    }
    is_open = true;
    opened++;
    recorder->heard_at = now_ns();
    sound_line_break(&recorder->line, rate_hz);
}

/* How many frames are in the card's buffer, and when the newest of them ended; or a negative error
 * of ALSA's. */
static snd_pcm_sframes_t look_at(snd_pcm_t *pcm, int64_t *until_ns) {
    snd_htimestamp_t time;
    snd_pcm_uframes_t timed;
    snd_pcm_sframes_t in_buffer = snd_pcm_avail(pcm);
    *until_ns = now_ns();
    if (in_buffer < 0 || snd_pcm_htimestamp(pcm, &timed, &time) < 0)
        return in_buffer;
    int64_t moment = (int64_t)time.tv_sec * S_NS + time.tv_nsec;
    /* A plug-in of ALSA's may have none, or one of another clock. */
    if (moment <= now_ns() && moment > *until_ns - S_NS)
        *until_ns = moment;
    return (snd_pcm_sframes_t)timed;
}

/* Takes what is there now. A negative error of ALSA's. */
static int read_device(struct recorder *recorder) {
    int64_t until;
    snd_pcm_sframes_t in_buffer = look_at(recorder->pcm, &until);
    if (in_buffer < 0)
        return (int)in_buffer;
    while (in_buffer > 0) {
        snd_pcm_sframes_t most = in_buffer < READ_FRAMES ? in_buffer : READ_FRAMES;
        snd_pcm_sframes_t got =
            snd_pcm_readi(recorder->pcm, recorder->captured, (snd_pcm_uframes_t)most);
        if (got == -EAGAIN || got == 0)
            return 0;
        if (got < 0)
            return (int)got;
        in_buffer -= got;
        sound_line_take(&recorder->line, recorder->captured, (size_t)got,
                        until - (int64_t)((double)in_buffer * recorder->line.frame_ns));
        recorder->heard_at = now_ns();
    }
    return 0;
}

/* Until a packet may be whole, but a period at the most. */
static long pause_ns(const struct recorder *recorder, int64_t now) {
    int64_t due = sound_line_due(&recorder->line) - now;
    if (!recorder->pcm || due > PERIOD_US * 1000 || due < -CLOSE_FOR_NS)
        return PERIOD_US * 1000L;
    return due > CLOSE_NS ? (long)due : CLOSE_NS;
}

/* Looks at the card rather than being woken by it: of a driver or a plug-in that wakes too seldom,
 * too often or never, packets don't depend then. */
static void capture(struct recorder *recorder) {
    int64_t now = now_ns();
    if (!recorder->pcm && now >= recorder->open_at)
        open_device(recorder);
    nanosleep(&(struct timespec){.tv_nsec = pause_ns(recorder, now)}, NULL);
    if (!recorder->pcm)
        return;
    int error = read_device(recorder);
    if (error == -EPIPE) { /* it was not emptied in time */
        error = snd_pcm_prepare(recorder->pcm);
        if (error == 0)
            error = snd_pcm_start(recorder->pcm);
        sound_line_break(&recorder->line, (unsigned int)(1e9 / recorder->line.frame_ns + 0.5));
    }
    if (error < 0)
        say(recorder, error, "lost, and is opened again");
    else if (now_ns() - recorder->heard_at > DEAD_NS)
        say(recorder, error = -ETIMEDOUT, "delivers nothing, and is opened again");
    else if (recorder->heard_at > now)
        say(recorder, 0, "delivers sound");
    if (error < 0)
        close_device(recorder);
}

/* ---- Packets ---- */

static OpusEncoder *new_encoder(int *lookahead) {
    int error;
    /* This application has no mode for speech, and looks ahead 2.5 ms instead of 6.5. */
    OpusEncoder *encoder =
        opus_encoder_create(SOUND_HZ, CHANNELS, OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
    if (!encoder)
        return NULL;
    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(BITS_PER_S));
    opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(COMPLEXITY));
    opus_encoder_ctl(encoder, OPUS_GET_LOOKAHEAD(lookahead));
    return encoder;
}

static void send_packets(struct recorder *recorder) {
    int64_t captured;
    uint64_t before = recorder->line.silent;
    while (sound_line_next(&recorder->line, now_ns(), recorder->frames, &captured)) {
        uint8_t *payload = recorder->packet + setup.header_length;
        int length =
            opus_encode_float(recorder->encoder, &recorder->frames[0][0], SOUND_PACKET_FRAMES,
                              payload, (opus_int32)(RTP_PACKET_MAX - setup.header_length));
        packets++;
        silent += recorder->line.silent - before;
        before = recorder->line.silent;
        if (length > 0)
            setup.deliver(recorder->packet, (uint16_t)(setup.header_length + (size_t)length),
                          captured - recorder->lookahead * S_NS / SOUND_HZ);
    }
}

static void record(struct recorder *recorder) {
    /* On a grid, so that timestamps don't depend on when somebody began to listen. */
    sound_line_begin(&recorder->line, now_ns() / SOUND_PACKET_NS * SOUND_PACKET_NS);
    opus_encoder_ctl(recorder->encoder, OPUS_RESET_STATE);
    recorder->open_at = 0;
    while (wanted && !stopping) {
        capture(recorder);
        send_packets(recorder);
    }
    close_device(recorder);
}

static void *run(void *argument) {
    struct recorder *recorder = argument;
    pthread_mutex_lock(&lock);
    while (!stopping) {
        if (!wanted) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        record(recorder);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    opus_encoder_destroy(recorder->encoder);
    free(recorder);
    return NULL;
}

/* ---- For the plugin ---- */

bool sound_start(const char *device, size_t header_length, sound_deliver deliver,
                 sound_say say_sentence) {
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder)
        return false;
    resampler_init();
    setup.device = strdup(device);
    setup.header_length = header_length;
    setup.deliver = deliver;
    setup.say = say_sentence;
    recorder->error = 1; /* nothing was said */
    recorder->encoder = new_encoder(&recorder->lookahead);
    if (setup.device && recorder->encoder &&
        pthread_create(&setup.thread, NULL, run, recorder) == 0)
        return true;
    if (recorder->encoder)
        opus_encoder_destroy(recorder->encoder);
    free(recorder);
    free(setup.device);
    setup.device = NULL;
    return false;
}

static void change(atomic_bool *what, bool value) {
    pthread_mutex_lock(&lock);
    *what = value;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

void sound_stop(void) {
    change(&stopping, true);
    pthread_join(setup.thread, NULL);
    free(setup.device);
    setup.device = NULL;
    snd_config_update_free_global();
}

void sound_want(bool value) {
    change(&wanted, value);
}

struct sound_statistics sound_statistics(void) {
    return (struct sound_statistics){is_open, packets, silent, opened};
}
