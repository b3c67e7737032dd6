// SPDX-License-Identifier: MIT
#include "settings.h"

#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>

// The code in the picture needs 640 pixels; the rest is what H.264 level 5.1 and a Pi's HDMI
// input can be asked for.
#define MODE_ALLOWED                                                                               \
    "WIDTHxHEIGHT@FPS with even sizes from 640x480 to 3840x2160 and 1 to 120 frames per second"

static const struct {
    const char *key;
    size_t offset;
    const char *yes;
    const char *no;
} switches[] = {
    {"signal", offsetof(struct settings, signal), "present", "lost"},
    {"device", offsetof(struct settings, present), "present", "gone"},
    {"encoder", offsetof(struct settings, encoding), "working", "hanging"},
    {"dmabuf", offsetof(struct settings, dmabuf), "on", "off"},
};
static const struct {
    const char *name;
    uint32_t pixelformat;
} formats[] = {
    {"UYVY", V4L2_PIX_FMT_UYVY},
    {"YUYV", V4L2_PIX_FMT_YUYV},
    {"MJPEG", V4L2_PIX_FMT_MJPEG},
};
static const char *const contents[] = {
    [CONTENT_MOTION] = "motion",
    [CONTENT_DESKTOP] = "desktop",
    [CONTENT_COMPUTER] = "computer",
};
static const size_t content_count = sizeof contents / sizeof *contents;
static const size_t format_count = sizeof formats / sizeof *formats;

static const size_t switch_count = sizeof switches / sizeof *switches;

struct settings settings_default(void) {
    return (struct settings){
        .mode = {1280, 720, 30},
        .pixelformat = V4L2_PIX_FMT_UYVY,
        .signal = true,
        .present = true,
        .encoding = true,
        .dmabuf = true,
    };
}

bool mode_parse(const char *text, struct mode *mode) {
    struct mode parsed;
    int end = 0;

    // At most four digits each, so that nothing overflows; digits only, because %u takes signs.
    if (strspn(text, "0123456789x@") != strlen(text) ||
        sscanf(text, "%4ux%4u@%4u%n", &parsed.width, &parsed.height, &parsed.fps, &end) != 3 ||
        text[end] != '\0')
        return false;
    if (parsed.width < 640 || parsed.width > 3840 || parsed.width % 2 != 0 || parsed.height < 480 ||
        parsed.height > 2160 || parsed.height % 2 != 0 || parsed.fps < 1 || parsed.fps > 120)
        return false;
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

static bool content_parse(const char *text, enum content *content) {
    for (size_t i = 0; i < content_count; i++)
        if (strcmp(text, contents[i]) == 0) {
            *content = (enum content)i;
            return true;
        }
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
        snprintf(complaint, size, "%s is not allowed: format is UYVY, YUYV or MJPEG", word);
        return false;
    }
    if (length == 7 && strncmp(word, "content", length) == 0) {
        if (content_parse(equals + 1, &settings->content))
            return true;
        snprintf(complaint, size, "%s is not allowed: content is motion, desktop or computer",
                 word);
        return false;
    }
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
             "%s is not allowed: a word is mode=, format=, signal=, device=, content=, encoder= "
             "or dmabuf= with a value",
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
