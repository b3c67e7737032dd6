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

void code_make(uint8_t code[CODE_BYTES], uint32_t counter, uint64_t realtime_us);

uint16_t code_crc16(const uint8_t *bytes, int count);
