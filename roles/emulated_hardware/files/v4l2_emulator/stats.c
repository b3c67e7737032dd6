// SPDX-License-Identifier: MIT
#include "stats.h"

#include "clock.h"
#include "control.h"

#include <stdio.h>

enum { PERIOD_US = 1000000 };

struct stats stats;

static unsigned long take(atomic_uint_fast64_t *counter) {
    return (unsigned long)atomic_exchange(counter, 0);
}

static double mean_ms(atomic_uint_fast64_t *sum_us, unsigned long count) {
    unsigned long sum = take(sum_us);
    return count ? (double)sum / 1000 / (double)count : 0;
}

void stats_write(void) {
    static uint64_t last_us;
    uint64_t now_us = clock_us(CLOCK_MONOTONIC);

    if (!config()->stats_path || now_us - last_us < PERIOD_US)
        return;
    last_us = now_us;
    FILE *file = fopen(config()->stats_path, "ae");
    if (!file)
        return;
    unsigned long captured = take(&stats.captured), encoded = take(&stats.encoded),
                  jpegs = take(&stats.jpegs);
    fprintf(file, "%.3f captured=%lu dropped=%lu paint_ms=%.2f", (double)now_us / 1e6, captured,
            take(&stats.dropped), mean_ms(&stats.paint_us, captured));
    fprintf(file, " encoded=%lu kbit=%lu convert_ms=%.2f encode_ms=%.2f", encoded,
            take(&stats.bytes) / 125, mean_ms(&stats.convert_us, encoded),
            mean_ms(&stats.encode_us, encoded));
    fprintf(file, " jpegs=%lu jpeg_ms=%.2f\n", jpegs, mean_ms(&stats.jpeg_us, jpegs));
    fclose(file);
}
