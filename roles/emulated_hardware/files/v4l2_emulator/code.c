// SPDX-License-Identifier: MIT
#include "code.h"

#include <stdbool.h>
#include <string.h>

enum { MARK = 0xA5, SUMMED_BYTES = 10 };

uint16_t code_crc16(const uint8_t *bytes, int count) {
    uint16_t crc = 0xFFFF;
    for (int i = 0; i < count; i++) {
        crc ^= (uint16_t)(bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static void put_big_endian(uint8_t *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

void code_make(uint8_t code[CODE_BYTES], uint32_t counter, uint64_t realtime_us) {
    memset(code, 0, CODE_BYTES);
    code[0] = MARK;
    put_big_endian(code + 1, counter, 4);
    put_big_endian(code + 5, realtime_us, 5);
    put_big_endian(code + SUMMED_BYTES, code_crc16(code, SUMMED_BYTES), 2);
}

void code_draw(const struct code_cells *cells, const uint8_t *bits, uint8_t *pixels, size_t stride,
               int luma_offset) {
    for (int y = 0; y < cells->rows; y++) {
        uint8_t *first = pixels + (size_t)(cells->top + y * cells->cell) * stride;
        size_t length = (size_t)(cells->columns * cells->cell) * 2;
        for (int x = 0; x < cells->columns * cells->cell; x++) {
            int bit = y * cells->columns + x / cells->cell;
            bool one = bits[bit / 8] >> (7 - bit % 8) & 1;
            first[2 * x + luma_offset] = one ? CODE_LUMA_1 : CODE_LUMA_0;
            first[2 * x + 1 - luma_offset] = 128; // no colour
        }
        for (int i = 1; i < cells->cell; i++)
            memcpy(first + (size_t)i * stride, first, length);
    }
}
