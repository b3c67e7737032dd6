// SPDX-License-Identifier: MIT
// What the simulated computer shows, in a file that its program writes and the video emulator
// reads and draws. Both are compiled from this header, on the same host.
#pragma once

#include <stdint.h>

enum {
    DESK_TEXT = 4096,     // characters that are kept, UTF-16 units
    DESK_LOG_LINES = 8,   // reports that are shown
    DESK_LOG_LENGTH = 48, // bytes of a line, zero-terminated
    DESK_POINTER = 32767, // the right or lower edge of the screen, as the absolute mouse counts
    DESK_KEYS = 6,        // of a boot keyboard
    DESK_VERSION = 3,
};

struct desk {
    uint32_t sequence; // odd while it is being written
    uint32_t version;
    uint32_t powered;
    uint32_t width, height; // pixels
    // Black bars inside the picture, at the left and the right, at the top and the bottom: a dock
    // shows a screen of another shape. Even.
    uint32_t bars_x, bars_y; // pixels
    uint32_t boots;          // since the program started
    uint32_t reports;        // from all devices, since the program started
    uint32_t typed;          // characters since the last boot or `clear`
    uint32_t text_length;
    uint16_t text[DESK_TEXT]; // the newest characters
    uint8_t keys[DESK_KEYS];  // HID usages of the keys that are down
    uint8_t modifiers, leds, buttons;
    int32_t x, y; // 0 to DESK_POINTER
    int32_t wheel, pan;
    char stage[16];  // of a boot: firmware, loader, system
    char layout[32]; // as XKB names it
    char log[DESK_LOG_LINES][DESK_LOG_LENGTH];
    uint32_t asleep; // no picture is sent, until somebody does something
};
