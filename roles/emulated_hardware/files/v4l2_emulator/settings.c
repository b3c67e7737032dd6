// SPDX-License-Identifier: MIT
#include "settings.h"

#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>

// What a Pi's HDMI input can be asked for, and what it refuses as too small.
#define MODE_ALLOWED                                                                               \
    "WIDTHxHEIGHT@FPS, or WIDTHxHEIGHTi@FIELDS, with even sizes from 160x120 to 4096x2160 and 1 "  \
    "to 120 frames or fields per second"

static const struct {
    const char *key;
    size_t offset;
    const char *yes;
    const char *no;
} switches[] = {
    {"device", offsetof(struct settings, present), "present", "gone"},
    {"dmabuf", offsetof(struct settings, dmabuf), "on", "off"},
};
static const struct {
    const char *name;
    uint32_t pixelformat;
} formats[] = {
    {"UYVY", V4L2_PIX_FMT_UYVY},
    {"YUYV", V4L2_PIX_FMT_YUYV},
    {"RGB24", V4L2_PIX_FMT_RGB24},
    {"MJPEG", V4L2_PIX_FMT_MJPEG},
};
enum { CHOICES_MAX = 4 };

// Values of an enumeration by their names.
static const struct {
    const char *key;
    size_t offset;
    const char *names[CHOICES_MAX];
} choices[] = {
    {"content",
     offsetof(struct settings, content),
     {[CONTENT_MOTION] = "motion", [CONTENT_DESKTOP] = "desktop", [CONTENT_COMPUTER] = "computer"}},
    {"signal",
     offsetof(struct settings, signal),
     {[SIGNAL_PRESENT] = "present",
      [SIGNAL_LOST] = "lost",
      [SIGNAL_ASLEEP] = "asleep",
      [SIGNAL_UNLOCKED] = "unlocked"}},
    {"limits",
     offsetof(struct settings, limits),
     {[LIMITS_NONE] = "none", [LIMITS_TC358743] = "tc358743"}},
    {"encoder",
     offsetof(struct settings, encoding),
     {[ENCODING_WORKING] = "working",
      [ENCODING_HANGING] = "hanging",
      [ENCODING_DAMAGING] = "damaging",
      [ENCODING_FROZEN] = "frozen"}},
};
static const size_t choice_count = sizeof choices / sizeof *choices;
static const size_t format_count = sizeof formats / sizeof *formats;

static const size_t switch_count = sizeof switches / sizeof *switches;

struct settings settings_default(void) {
    return (struct settings){
        .mode = {.width = 1280, .height = 720, .fps = 30},
        .pixelformat = V4L2_PIX_FMT_UYVY,
        .present = true,
        .dmabuf = true,
    };
}

bool mode_parse(const char *text, struct mode *mode) {
    struct mode parsed = {0};
    char scan[2] = "";
    int end = 0;

    // At most four digits each, so that nothing overflows; digits only, because %u takes signs.
    if (strspn(text, "0123456789x@i") != strlen(text))
        return false;
    if (sscanf(text, "%4ux%4u@%4u%n", &parsed.width, &parsed.height, &parsed.fps, &end) != 3 &&
        sscanf(text, "%4ux%4u%1[i]@%4u%n", &parsed.width, &parsed.height, scan, &parsed.fps,
               &end) != 4)
        return false;
    if (text[end] != '\0' || parsed.width < 160 || parsed.width > 4096 || parsed.width % 2 != 0 ||
        parsed.height < 120 || parsed.height > 2160 || parsed.height % 2 != 0 || parsed.fps < 1 ||
        parsed.fps > 120)
        return false;
    parsed.interlaced = scan[0] != '\0';
    *mode = parsed;
    return true;
}

static bool format_parse(const char *text, uint32_t *pixelformat) {
    for (size_t i = 0; i < format_count; i++)
        if (strcmp(text, formats[i].name) == 0) {
            *pixelformat = formats[i].pixelformat;
            return true;
        }
    return false;
}

static bool choice_apply(struct settings *settings, size_t choice, const char *word,
                         const char *value, char *complaint, size_t size) {
    char names[64] = "";

    for (int i = 0; i < CHOICES_MAX && choices[choice].names[i]; i++) {
        if (strcmp(value, choices[choice].names[i]) == 0) {
            // An enumeration is as large as an int.
            memcpy((char *)settings + choices[choice].offset, &i, sizeof i);
            return true;
        }
        size_t used = strlen(names);
        bool last = i + 1 == CHOICES_MAX || !choices[choice].names[i + 1];
        snprintf(names + used, sizeof names - used, "%s%s",
                 i == 0 ? ""
                 : last ? " or "
                        : ", ",
                 choices[choice].names[i]);
    }
    snprintf(complaint, size, "%s is not allowed: %s is %s", word, choices[choice].key, names);
    return false;
}

static bool apply_word(struct settings *settings, const char *word, char *complaint, size_t size) {
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : 0;

    if (length == 4 && strncmp(word, "mode", length) == 0) {
        if (mode_parse(equals + 1, &settings->mode)) {
            settings->mode_given = true;
            return true;
        }
        snprintf(complaint, size, "%s is not allowed: mode is %s", word, MODE_ALLOWED);
        return false;
    }
    if (length == 6 && strncmp(word, "format", length) == 0) {
        if (format_parse(equals + 1, &settings->pixelformat))
            return true;
        snprintf(complaint, size, "%s is not allowed: format is UYVY, YUYV, RGB24 or MJPEG", word);
        return false;
    }
    for (size_t i = 0; equals && i < choice_count; i++)
        if (strlen(choices[i].key) == length && strncmp(word, choices[i].key, length) == 0)
            return choice_apply(settings, i, word, equals + 1, complaint, size);
    for (size_t i = 0; equals && i < switch_count; i++) {
        bool *value = (bool *)((char *)settings + switches[i].offset);
        if (strlen(switches[i].key) != length || strncmp(word, switches[i].key, length) != 0)
            continue;
        if (strcmp(equals + 1, switches[i].yes) == 0) {
            *value = true;
        } else if (strcmp(equals + 1, switches[i].no) == 0) {
            *value = false;
        } else {
            snprintf(complaint, size, "%s is not allowed: %s is %s or %s", word, switches[i].key,
                     switches[i].yes, switches[i].no);
            return false;
        }
        return true;
    }
    snprintf(complaint, size,
             "%s is not allowed: a word is mode=, format=, signal=, limits=, device=, content=, "
             "encoder= or dmabuf= with a value",
             word);
    return false;
}

bool settings_apply(struct settings *settings, const char *words, char *complaint, size_t size) {
    static const char blanks[] = " \t\r\n";
    struct settings changed = *settings;
    char word[64];

    while (words[strspn(words, blanks)] != '\0') {
        words += strspn(words, blanks);
        size_t length = strcspn(words, blanks);
        snprintf(word, sizeof word, "%.*s", (int)length, words);
        if (!apply_word(&changed, word, complaint, size))
            return false;
        words += length;
    }
    *settings = changed;
    return true;
}
