// SPDX-License-Identifier: MIT
// What can be switched while the emulator runs, and the little language that switches it:
// `key=value` words separated by white space.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A smaller mode has no room for the code in the picture, and a TC358743 takes none.
enum { MODE_SHOWN_WIDTH_MIN = 640, MODE_SHOWN_HEIGHT_MIN = 350 }; // pixels

struct mode {
    uint32_t width;  // pixels
    uint32_t height; // pixels
    uint32_t fps;    // frames per second; of an interlaced mode: fields
    bool interlaced;
};

enum signal {
    SIGNAL_PRESENT,
    SIGNAL_LOST,     // the cable is out, or the computer off: no 5 V on the cable, and nothing else
    SIGNAL_ASLEEP,   // the computer is on (5 V), and sends no picture
    SIGNAL_UNLOCKED, // something is sent that the device can't lock to
};

enum limits {
    LIMITS_NONE,     // each mode is taken
    LIMITS_TC358743, // what that bridge takes, on two CSI lanes
};

enum content {
    CONTENT_MOTION,
    CONTENT_DESKTOP,  // only clock and code move
    CONTENT_COMPUTER, // the desk of the simulated computer, in the size and state it has
};

enum encoding {
    ENCODING_WORKING,
    ENCODING_HANGING,  // the encoder never answers
    ENCODING_DAMAGING, // what it gives out is nonsense from its middle on
    ENCODING_FROZEN,   // it gives out the same key frame again and again
};

struct settings {
    struct mode mode;
    bool mode_given; // by a word: stronger than the simulated computer's
    enum content content;
    uint32_t pixelformat; // the only one that the capture device has, as V4L2 numbers it
    enum signal signal;   // what the computer does with the HDMI cable
    enum limits limits;   // of the capture device
    bool present;         // the capture device is there
    enum encoding encoding;
    bool dmabuf; // buffers can be exported for zero copy
};

// The state of an emulator that nobody has configured.
struct settings settings_default(void);

bool mode_parse(const char *text, struct mode *mode);

// Applies all words, or none: a wrong word leaves `settings` as they are, returns false and
// explains itself in `complaint`, without a final full stop.
bool settings_apply(struct settings *settings, const char *words, char *complaint, size_t size);
