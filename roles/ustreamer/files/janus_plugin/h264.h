// SPDX-License-Identifier: MIT
/* H.264 in Annex B form (NAL units behind start codes 00 00 01), as encoders emit it. */
#ifndef H264_H
#define H264_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* nal_unit_type, ITU-T H.264 table 7-1. */
enum {
    H264_SLICE = 1,
    H264_IDR = 5,
    H264_SPS = 7,
    H264_PPS = 8,
    H264_DELIMITER = 9,
    H264_FILLER = 12
};

struct h264_nal {
    const uint8_t *data; /* begins with the NAL unit's header byte */
    size_t length;       /* at least 1 */
};

static inline int h264_type(struct h264_nal nal) {
    return nal.data[0] & 0x1f;
}

/* Does this begin with a start code, of 3 or of 4 bytes? */
bool h264_is_annex_b(const uint8_t *data, size_t length);

/* Finds the next NAL unit at or after *position and moves *position behind it.
 * Start with *position = 0; false at the end. Empty NAL units are skipped. */
bool h264_next(const uint8_t *data, size_t length, size_t *position, struct h264_nal *nal);

/* The newest SPS and PPS, without which no key frame can be decoded. Zeroed: none yet. */
struct h264_params {
    uint8_t *sps, *pps;
    size_t sps_length, pps_length;
};

/* Keeps a copy of the NAL unit if it is an SPS or a PPS. false: no memory. */
bool h264_params_keep(struct h264_params *params, struct h264_nal nal);
void h264_params_clear(struct h264_params *params);

#endif
