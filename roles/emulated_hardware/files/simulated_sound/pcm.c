// SPDX-License-Identifier: MIT
// A PCM of ALSA's that captures what the simulated computer plays, through ALSA's own seam for
// plug-ins (ioplug), so no kernel is needed. In asound.conf:
//
//   pcm_type.simulated_sound { lib "/usr/local/lib/simulated_sound.so" }
//   pcm.simulated { type simulated_sound control "/run/v4l2-emulator/sound" }
//
// The file `control` may hold words, and is looked at each 20 ms:
//   gone          there is no device: it can't be opened, and what is open ends with ENODEV
//   silence       the computer plays nothing
//   stopped       the card's clock stands still, as a bridge's does without a signal
//   rate=44100    so many samples a second come, whatever was asked for; also 48010, a card's drift
//
// The computer plays a tone of 440 Hz at the left and 660 Hz at the right, and for the first 100 ms
// of each second of CLOCK_REALTIME an octave higher at both: so sound tells when it was made, as
// the emulated pictures do.
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CHANNELS = 2, LOUDNESS = 8000, LOOK_NS = 20000000, TICK_NS = 2000000 };

static const double LEFT_HZ = 440, RIGHT_HZ = 660, MARK_S = 0.1;

struct sound {
    snd_pcm_ioplug_t io;
    char *control;
    bool gone, silent, stopped;
    double rate_hz;              // 0: as asked for
    uint64_t looked_ns, made_ns; // when the control was looked at, until when there is sound
    double made;                 // frames since the start
    uint64_t fetched;
};

static uint64_t now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void look(struct sound *sound, uint64_t now) {
    char text[128] = "", *word, *rest;
    if (sound->looked_ns && now - sound->looked_ns < LOOK_NS)
        return;
    sound->looked_ns = now;
    sound->gone = sound->silent = sound->stopped = false;
    sound->rate_hz = 0;
    int file = open(sound->control, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (read(file, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(file);
    for (word = strtok_r(text, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        sound->gone |= !strcmp(word, "gone");
        sound->silent |= !strcmp(word, "silence");
        sound->stopped |= !strcmp(word, "stopped");
        sscanf(word, "rate=%lf", &sound->rate_hz);
    }
}

static double rate_of(const struct sound *sound) {
    return sound->rate_hz > 0 ? sound->rate_hz : (double)sound->io.rate;
}

static void make(struct sound *sound) {
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    look(sound, now);
    if (!sound->stopped)
        sound->made += (double)(now - sound->made_ns) / 1e9 * rate_of(sound);
    sound->made_ns = now;
}

// What pointer() says is taken for an overrun, whatever it is: this comes next.
static int prepare(snd_pcm_ioplug_t *io) {
    struct sound *sound = io->private_data;
    look(sound, now_ns(CLOCK_MONOTONIC));
    return sound->gone ? -ENODEV : 0;
}

static int start(snd_pcm_ioplug_t *io) {
    struct sound *sound = io->private_data;
    struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};
    sound->made_ns = now_ns(CLOCK_MONOTONIC);
    sound->made = 0;
    sound->fetched = 0;
    return timerfd_settime(io->poll_fd, 0, &tick, NULL);
}

static int stop(snd_pcm_ioplug_t *io) {
    struct itimerspec never = {0};
    return timerfd_settime(io->poll_fd, 0, &never, NULL);
}

static snd_pcm_sframes_t pointer(snd_pcm_ioplug_t *io) {
    struct sound *sound = io->private_data;
    make(sound);
    if (sound->gone)
        return -ENODEV;
    if (sound->made - (double)sound->fetched > (double)io->buffer_size)
        return -EPIPE;
    return (snd_pcm_sframes_t)((uint64_t)sound->made % io->buffer_size);
}

static int revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count,
                   unsigned short *events) {
    struct sound *sound = io->private_data;
    uint64_t ticks;
    (void)count;
    *events = 0;
    if (!(fds[0].revents & POLLIN))
        return 0;
    if (read(io->poll_fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
        return -errno;
    make(sound);
    if (sound->gone)
        *events = POLLERR;
    else if (sound->made - (double)sound->fetched >= (double)io->period_size)
        *events = POLLIN;
    return 0;
}

static int16_t sample(double hz, double moment_s, bool silent) {
    if (silent)
        return 0;
    if (fmod(moment_s, 1) < MARK_S)
        hz *= 2;
    return (int16_t)lrint(LOUDNESS * sin(2 * M_PI * hz * fmod(moment_s, 1)));
}

static snd_pcm_sframes_t transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                  snd_pcm_uframes_t offset, snd_pcm_uframes_t size) {
    struct sound *sound = io->private_data;
    double rate = rate_of(sound);
    // When the frames were made that are fetched now.
    double ago_s = (double)(now_ns(CLOCK_MONOTONIC) - sound->made_ns) / 1e9 +
                   (sound->made - (double)sound->fetched) / rate;
    double moment_s = (double)(now_ns(CLOCK_REALTIME) % 3600000000000) / 1e9 - ago_s + 3600;
    int16_t *frames = (int16_t *)((char *)areas[0].addr + areas[0].first / 8) + offset * CHANNELS;
    for (snd_pcm_uframes_t i = 0; i < size; i++) {
        double moment = moment_s + (double)i / rate;
        frames[i * CHANNELS] = sample(LEFT_HZ, moment, sound->silent);
        frames[i * CHANNELS + 1] = sample(RIGHT_HZ, moment, sound->silent);
    }
    sound->fetched += size;
    return (snd_pcm_sframes_t)size;
}

static int close_sound(snd_pcm_ioplug_t *io) {
    struct sound *sound = io->private_data;
    close(io->poll_fd);
    free(sound->control);
    free(sound);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .prepare = prepare,
    .start = start,
    .stop = stop,
    .pointer = pointer,
    .transfer = transfer,
    .poll_revents = revents,
    .close = close_sound,
};

static int allow(snd_pcm_ioplug_t *io) {
    static const unsigned int access[] = {SND_PCM_ACCESS_RW_INTERLEAVED},
                              format[] = {SND_PCM_FORMAT_S16_LE}, rate[] = {44100, 48000};
    int error;
    if ((error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, access)) < 0 ||
        (error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, format)) < 0 ||
        (error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_RATE, 2, rate)) < 0 ||
        (error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, CHANNELS,
                                                 CHANNELS)) < 0 ||
        (error = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 256, 65536)) <
            0)
        return error;
    return snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
}

SND_PCM_PLUGIN_DEFINE_FUNC(simulated_sound) {
    const char *control = NULL;
    snd_config_iterator_t at, next;
    (void)root;
    snd_config_for_each(at, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(at);
        const char *id;
        if (snd_config_get_id(entry, &id) == 0 && !strcmp(id, "control"))
            snd_config_get_string(entry, &control);
    }
    if (!control || stream != SND_PCM_STREAM_CAPTURE)
        return -EINVAL;
    struct sound *sound = calloc(1, sizeof *sound);
    if (!sound)
        return -ENOMEM;
    sound->control = strdup(control);
    look(sound, now_ns(CLOCK_MONOTONIC));
    int error = sound->gone ? -ENODEV : 0;
    sound->io = (snd_pcm_ioplug_t){
        .version = SND_PCM_IOPLUG_VERSION,
        .name = "What the simulated computer plays",
        .callback = &callbacks,
        .private_data = sound,
        .poll_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
        .poll_events = POLLIN,
    };
    if (error == 0)
        error = snd_pcm_ioplug_create(&sound->io, name, stream, mode);
    if (error < 0) {
        close_sound(&sound->io);
        return error;
    }
    if ((error = allow(&sound->io)) < 0) {
        snd_pcm_ioplug_delete(&sound->io);
        return error;
    }
    *pcmp = sound->io.pcm;
    return 0;
}

SND_PCM_PLUGIN_SYMBOL(simulated_sound);
