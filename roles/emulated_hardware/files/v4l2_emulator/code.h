// SPDX-License-Identifier: MIT
// The machine-readable code in the top left corner of the picture: 120 square cells of 16 pixels
// in three rows of 40, each one bit, most significant first (bright = 1).
//
//     row 0   0xA5, frame counter (32 bits)
//     row 1   CLOCK_REALTIME in microseconds, its lowest 40 bits
//     row 2   CRC-16/CCITT-FALSE of the ten bytes above, three bytes of zero
//
// A cell is as large as an H.264 macroblock and black or white, so it survives any bitrate.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    CODE_BYTES = 15,
    CODE_COLUMNS = 40,
    CODE_ROWS = 3,
    CODE_CELL = 16, // pixels
    CODE_WIDTH = CODE_COLUMNS * CODE_CELL,
    CODE_HEIGHT = CODE_ROWS * CODE_CELL,
    CODE_LUMA_0 = 16,
    CODE_LUMA_1 = 235,
};

// A block of cells at the left edge of the picture.
struct code_cells {
    int top, cell; // pixels
    int columns, rows;
};
static const struct code_cells code_cells = {0, CODE_CELL, CODE_COLUMNS, CODE_ROWS};

// Draws columns * rows bits into a picture of YUYV (luma_offset 0) or UYVY (1).
void code_draw(const struct code_cells *cells, const uint8_t *bits, uint8_t *pixels, size_t stride,
               int luma_offset);

void code_make(uint8_t code[CODE_BYTES], uint32_t counter, uint64_t realtime_us);

uint16_t code_crc16(const uint8_t *bytes, int count);
