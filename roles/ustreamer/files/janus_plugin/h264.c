// SPDX-License-Identifier: MIT
#include "h264.h"

#include <stdlib.h>
#include <string.h>

bool h264_is_annex_b(const uint8_t *data, size_t length) {
    static const uint8_t start[] = {0, 0, 0, 1};
    return (length >= 3 && memcmp(data, start + 1, 3) == 0) ||
           (length >= 4 && memcmp(data, start, 4) == 0);
}

/* Index of the next 00 00 01 at or after from; length if there is none. */
static size_t find_start_code(const uint8_t *data, size_t from, size_t length) {
    size_t i = from;
    while (i + 2 < length) {
        if (data[i + 2] > 1)
            i += 3;
        else if (data[i + 2] == 0)
            i += 1;
        else if (data[i] == 0 && data[i + 1] == 0)
            return i;
        else
            i += 3;
    }
    return length;
}

bool h264_next(const uint8_t *data, size_t length, size_t *position, struct h264_nal *nal) {
    while (*position < length) {
        size_t start = find_start_code(data, *position, length);
        if (start == length)
            break;
        start += 3;
        size_t end = *position = find_start_code(data, start, length);
        /* Zeros at the end belong to the next start code or are padding; a NAL unit never ends
         * with one. */
        while (end > start && data[end - 1] == 0)
            end--;
        if (end > start) {
            *nal = (struct h264_nal){data + start, end - start};
            return true;
        }
    }
    *position = length;
    return false;
}

static bool keep(uint8_t **kept, size_t *kept_length, struct h264_nal nal) {
    if (*kept_length == nal.length && memcmp(*kept, nal.data, nal.length) == 0)
        return true;
    uint8_t *copy = malloc(nal.length);
    if (!copy)
        return false;
    memcpy(copy, nal.data, nal.length);
    free(*kept);
    *kept = copy;
    *kept_length = nal.length;
    return true;
}

bool h264_params_keep(struct h264_params *params, struct h264_nal nal) {
    switch (h264_type(nal)) {
    case H264_SPS:
        return keep(&params->sps, &params->sps_length, nal);
    case H264_PPS:
        return keep(&params->pps, &params->pps_length, nal);
    default:
        return true;
    }
}

void h264_params_clear(struct h264_params *params) {
    free(params->sps);
    free(params->pps);
    *params = (struct h264_params){0};
}
