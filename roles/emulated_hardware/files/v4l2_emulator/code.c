// SPDX-License-Identifier: MIT
#include "code.h"

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
