// SPDX-License-Identifier: MIT
#include "control.h"

#include "clock.h"
#include "desk_reader.h"
#include "edid.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_SIZE_MAX = 1023, // bytes
    LOOK_US = 20000,
    // A file that is younger may still be being written: what is between its truncation and its
    // new words would count as an empty file.
    SETTLED_US = 10000,
};

static struct config the_config;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct settings initial; // by the environment alone
static struct settings current;
static struct stat seen; // the control file as it was last read; all zero when there was none

static const char *environment(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value && *value ? value : fallback;
}

static void config_read(void) {
    the_config = (struct config){
        .capture_path = environment("V4L2_EMULATOR_CAPTURE", "/dev/video0"),
        .encoder_path = environment("V4L2_EMULATOR_ENCODER", "/dev/video11"),
        .jpeg_encoder_path = environment("V4L2_EMULATOR_JPEG_ENCODER", "/dev/video31"),
        .control_path = environment("V4L2_EMULATOR_CONTROL", "/run/v4l2-emulator/control"),
        .desk_path = environment("V4L2_EMULATOR_DESK", "/run/simulated-computer/desk"),
        .edid_path = environment("V4L2_EMULATOR_EDID", "/run/v4l2-emulator-edid/edid"),
        .stats_path = environment("V4L2_EMULATOR_STATS", NULL),
        .trace = environment("V4L2_EMULATOR_TRACE", NULL) != NULL,
    };
}

const struct config *config(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, config_read);
    return &the_config;
}

static void apply_variable(const char *name, const char *key) {
    char words[128], complaint[320];
    const char *value = environment(name, NULL);

    if (!value)
        return;
    snprintf(words, sizeof words, "%s=%s", key, value);
    if (!settings_apply(&initial, words, complaint, sizeof complaint))
        fprintf(stderr, "v4l2_emulator: %s: %s.\n", name, complaint);
}

static void settings_read(void) {
    initial = settings_default();
    apply_variable("V4L2_EMULATOR_MODE", "mode");
    apply_variable("V4L2_EMULATOR_FORMAT", "format");
    apply_variable("V4L2_EMULATOR_CONTENT", "content");
    apply_variable("V4L2_EMULATOR_LIMITS", "limits");
    initial.mode_given = false; // only the control file is stronger than the computer
    current = initial;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool settled(const struct stat *file) {
    uint64_t now = clock_us(CLOCK_REALTIME);
    uint64_t written = (uint64_t)file->st_mtim.tv_sec * 1000000 + file->st_mtim.tv_nsec / 1000;
    // A time in the future says nothing: somebody has set the clock.
    return written > now || now - written >= SETTLED_US;
}

static void read_words(char *words) {
    size_t used = 0;
    ssize_t got;
    int fd = open(config()->control_path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        while (used < FILE_SIZE_MAX && (got = read(fd, words + used, FILE_SIZE_MAX - used)) > 0)
            used += (size_t)got;
        close(fd);
    }
    words[used] = '\0';
}

static void look(void) {
    char words[FILE_SIZE_MAX + 1], complaint[320];
    struct stat now;

    if (stat(config()->control_path, &now) < 0)
        memset(&now, 0, sizeof now);
    else if (!settled(&now))
        return;
    if (same_file(&now, &seen))
        return;
    seen = now;
    read_words(words);
    struct settings changed = initial;
    if (settings_apply(&changed, words, complaint, sizeof complaint))
        current = changed;
    else
        fprintf(stderr, "v4l2_emulator: %s: %s.\n", config()->control_path, complaint);
}

// A computer that is off, or does not run, sends no signal, and one that sleeps no picture.
static void follow_computer(struct settings *settings) {
    static struct desk desk; // the lock is held

    if (!desk_read(config()->desk_path, &desk) || !desk.powered) {
        settings->signal = SIGNAL_LOST;
        return;
    }
    if (desk.asleep && settings->signal == SIGNAL_PRESENT)
        settings->signal = SIGNAL_ASLEEP;
    if (settings->mode_given)
        return;
    settings->mode.width = desk.width;
    settings->mode.height = desk.height;
}

// A computer shows what the display can show.
static void follow_edid(struct settings *settings) {
    static struct stat last; // the lock is held
    static struct edid edid;
    struct stat now;

    if (settings->mode_given)
        return;
    if (stat(config()->edid_path, &now) < 0)
        memset(&now, 0, sizeof now);
    if (!same_file(&now, &last))
        edid_read(config()->edid_path, &edid);
    last = now;
    edid_follow(&edid, &settings->mode);
}

struct settings control_settings(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, settings_read);
    pthread_mutex_lock(&lock);
    look();
    struct settings settings = current;
    if (settings.content == CONTENT_COMPUTER)
        follow_computer(&settings);
    else
        follow_edid(&settings);
    pthread_mutex_unlock(&lock);
    return settings;
}

static void *watch(void *look_around) {
    for (;;) {
        usleep(LOOK_US);
        ((void (*)(void))look_around)();
        stats_write();
    }
    return NULL;
}

void control_watch(void (*look_around)(void)) {
    static bool watched;
    pthread_t thread;

    pthread_mutex_lock(&lock);
    if (!watched) {
        int error = pthread_create(&thread, NULL, watch, (void *)look_around);
        watched = error == 0;
        if (watched)
            pthread_detach(thread);
        else
            fprintf(stderr, "v4l2_emulator: no thread for %s: %s.\n", config()->control_path,
                    strerror(error));
    }
    pthread_mutex_unlock(&lock);
}
