// SPDX-License-Identifier: MIT
#include "resampler.h"

#include <math.h>

/* Table entries from one zero crossing to the next; between them a line is good to -90 dB. */
#define FINENESS 256
#define ENTRIES  (RESAMPLER_CROSSINGS * FINENESS)

/* Of Kaiser's window: what is to be left out is 80 dB down. */
#define KAISER_BETA 8.0

#define PI 3.14159265358979323846

static float table[ENTRIES + 2];

/* The modified Bessel function of the first kind and order 0, by its series. */
static double bessel(double x) {
    double sum = 1, term = 1;
    for (int k = 1; term > sum * 1e-12; k++) {
        term *= x * x / (4.0 * k * k);
        sum += term;
    }
    return sum;
}

void resampler_init(void) {
    for (int i = 0; i <= ENTRIES; i++) {
        double crossing = (double)i / FINENESS, edge = crossing / RESAMPLER_CROSSINGS;
        double sinc = i ? sin(PI * crossing) / (PI * crossing) : 1;
        table[i] =
            (float)(sinc * bessel(KAISER_BETA * sqrt(1 - edge * edge)) / bessel(KAISER_BETA));
    }
    table[ENTRIES + 1] = 0;
}

/* Input that is denser than the output loses what the output can't carry: the sinc is as wide. */
static double stretch(double step) {
    return step > 1 ? step : 1;
}

size_t resampler_reach(double step) {
    return (size_t)ceil(RESAMPLER_CROSSINGS * stretch(step)) + 1;
}

void resampler_read(const float (*ring)[RESAMPLER_CHANNELS], size_t mask, double place, double step,
                    float out[RESAMPLER_CHANNELS]) {
    double wide = stretch(step);
    int64_t first = (int64_t)ceil(place - RESAMPLER_CROSSINGS * wide);
    int64_t last = (int64_t)floor(place + RESAMPLER_CROSSINGS * wide);
    float left = 0, right = 0, scale = (float)(1 / wide);
    for (int64_t i = first; i <= last; i++) {
        float at = (float)(fabs((double)i - place) / wide * FINENESS);
        int entry = (int)at;
        if (entry > ENTRIES)
            continue;
        float weight = table[entry] + (at - (float)entry) * (table[entry + 1] - table[entry]);
        left += weight * ring[(size_t)i & mask][0];
        right += weight * ring[(size_t)i & mask][1];
    }
    out[0] = left * scale;
    out[1] = right * scale;
}
