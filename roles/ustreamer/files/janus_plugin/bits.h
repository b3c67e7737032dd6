// SPDX-License-Identifier: MIT
/* Reads the syntax elements of one NAL unit bit by bit, without its emulation prevention bytes. */
#ifndef BITS_H
#define BITS_H

#include <stdbool.h>
#include <stdint.h>

#include "h264.h"

struct bits {
    const uint8_t *data;
    size_t length, at; /* in bytes */
    uint8_t byte;      /* being read, of which unread bits are left */
    int unread, zeros; /* zeros: bytes of zero in a row up to here */
    bool failed;       /* read past the end, or no such number: what was returned means nothing */
};

/* Begins behind the NAL unit's header byte. */
struct bits bits_of(struct h264_nal nal);

/* An unsigned number of count bits, at most 32: u(n). All functions return 0 on failure. */
uint32_t bits_read(struct bits *bits, int count);

/* Exp-Golomb codes: ue(v) below 2^32 - 1 and se(v). */
uint32_t bits_read_ue(struct bits *bits);
int32_t bits_read_se(struct bits *bits);

#endif
