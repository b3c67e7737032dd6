// SPDX-License-Identifier: MIT
/* How fast this machine encodes, by the code that encodes what is captured. */
#ifndef MEASURE_H
#define MEASURE_H

#include "h264.h"

#include <stdbool.h>
#include <stdint.h>

struct measure_options {
    const char *sizes;     /* WIDTHxHEIGHT, comma-separated */
    uint32_t milliseconds; /* for each size */
    uint32_t format;       /* what is captured, as V4L2's four characters */
};

/* Prints a JSON object. false: said why not. */
bool measure(const struct measure_options *options, const struct h264_options *encoding);

#endif
