// SPDX-License-Identifier: MIT
// What the emulator did in the last second, for people who measure it.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct stats {
    atomic_uint_fast64_t captured, dropped, paint_us;
    atomic_uint_fast64_t encoded, bytes, convert_us, encode_us;
    atomic_uint_fast64_t jpegs, jpeg_us;
};
extern struct stats stats;

// Appends a line to the statistics file, if there is one and its last line is a second old.
void stats_write(void);
