// SPDX-License-Identifier: MIT
// Draws the desk of the simulated computer: for people, and in cells for programs.
//
// The cells are below those of code.h and half as large: 80 a row, eight rows, each a bit, most
// significant first.
// With bars inside the picture they begin where the screen does, and the screen is meant by
// "picture".
//
//      0   0x5A
//      1   starts of the computer, its lowest 8 bits
//      2   reports (16 bits)
//      4   characters typed (16 bits)
//      6   CRC-16 of the text that is kept, in UTF-16
//      8   pointer: x, y (16 bits each), pixels of the picture
//     12   mouse buttons
//     13   modifiers, as in a keyboard report
//     14   LEDs: 1 num, 2 caps, 4 scroll
//     15   six keys that are down, HID usages
//     21   wheel, pan: sums (16 bits each, signed)
//     25   the last 26 characters (UTF-16, at the end; zero where there are none)
//     77   0
//     78   CRC-16 of the 78 bytes above
#pragma once

#include "../simulated_computer/desk.h"
#include "code.h"
#include "picture.h"

enum {
    DESK_CODE_BYTES = 80,
    DESK_CODE_TAIL = 26, // characters
    DESK_CODE_CELL = CODE_CELL / 2,
    DESK_CODE_COLUMNS = CODE_WIDTH / DESK_CODE_CELL,
    DESK_CODE_ROWS = DESK_CODE_BYTES * 8 / DESK_CODE_COLUMNS,
    DESK_TOP = CODE_HEIGHT + DESK_CODE_ROWS * DESK_CODE_CELL, // pixels above are for programs
};

struct desk_view;

// The bars are those that the desk has now.
struct desk_view *desk_view_create(const struct picture_format *format, const struct desk *desk);
// Whether it has the bars of the desk; if not, another view is needed.
bool desk_view_fits(const struct desk_view *view, const struct desk *desk);
// Where the screen begins in the picture, in bytes: there are the cells of code.h, too.
size_t desk_view_offset(const struct desk_view *view);
void desk_view_free(struct desk_view *view);

// Draws the whole picture but the code of code.h.
void desk_view_paint(struct desk_view *view, uint8_t *pixels, const struct desk *desk);

void desk_code_make(uint8_t code[DESK_CODE_BYTES], const struct desk *desk,
                    const struct picture_format *format);
