// SPDX-License-Identifier: MIT
#include "bits.h"

struct bits bits_of(struct h264_nal nal) {
    return (struct bits){.data = nal.data, .length = nal.length, .at = 1};
}

static bool next_byte(struct bits *bits) {
    /* 00 00 03 stands for 00 00: so that no start code arises inside a NAL unit. */
    if (bits->zeros >= 2 && bits->at < bits->length && bits->data[bits->at] == 3) {
        bits->at++;
        bits->zeros = 0;
    }
    if (bits->at >= bits->length)
        return false;
    bits->byte = bits->data[bits->at++];
    bits->zeros = bits->byte ? 0 : bits->zeros + 1;
    bits->unread = 8;
    return true;
}

uint32_t bits_read(struct bits *bits, int count) {
    uint32_t value = 0;
    while (count-- > 0 && !bits->failed) {
        if (bits->unread == 0 && !next_byte(bits))
            bits->failed = true;
        else
            value = value << 1 | (bits->byte >> --bits->unread & 1);
    }
    return bits->failed ? 0 : value;
}

uint32_t bits_read_ue(struct bits *bits) {
    int zeros = 0;
    while (bits_read(bits, 1) == 0) {
        if (bits->failed || ++zeros == 32) {
            bits->failed = true;
            return 0;
        }
    }
    uint32_t rest = bits_read(bits, zeros);
    return bits->failed ? 0 : (UINT32_C(1) << zeros) - 1 + rest;
}

int32_t bits_read_se(struct bits *bits) {
    uint32_t code = bits_read_ue(bits);
    int32_t half = (int32_t)(code / 2);
    return code % 2 ? half + 1 : -half;
}
