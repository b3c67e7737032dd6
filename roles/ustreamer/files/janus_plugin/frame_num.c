// SPDX-License-Identifier: MIT
#include "frame_num.h"

#include "bits.h"

/* Bounds of ITU-T H.264, 7.4: what exceeds them is no SPS or slice, or was read amiss. */
enum {
    SPS_ID_MAX = 31,
    PPS_ID_MAX = 255,
    CHROMA_FORMAT_MAX = 3,
    BIT_DEPTH_MINUS8_MAX = 6,
    LOG2_MAX_MINUS4_MAX = 12,
    POC_TYPE_MAX = 2,
    POC_CYCLE_MAX = 255,
    SLICE_TYPE_MAX = 9
};

enum profile_kind { PROFILE_UNKNOWN, PROFILE_PLAIN, PROFILE_HIGH };

static enum profile_kind kind_of(uint32_t profile) {
    switch (profile) {
    case 66: /* baseline */
    case 77: /* main */
    case 88: /* extended */
        return PROFILE_PLAIN;
    case 44:
    case 83:
    case 86:
    case 100:
    case 110:
    case 118:
    case 122:
    case 128:
    case 134:
    case 135:
    case 138:
    case 139:
    case 244:
        return PROFILE_HIGH;
    default:
        return PROFILE_UNKNOWN;
    }
}

static uint32_t ue_up_to(struct bits *bits, uint32_t max) {
    uint32_t value = bits_read_ue(bits);
    if (value > max)
        bits->failed = true;
    return bits->failed ? 0 : value;
}

/* 7.3.2.1.1.1: a scale of 0 ends the list early. */
static void skip_scaling_list(struct bits *bits, int size) {
    int32_t last = 8;
    for (int i = 0; i < size && last != 0 && !bits->failed; i++)
        last = (last + bits_read_se(bits) % 256 + 256) % 256;
}

static void skip_high_profile(struct bits *bits, struct frame_num_format *format) {
    uint32_t chroma_format = ue_up_to(bits, CHROMA_FORMAT_MAX);
    if (chroma_format == 3)
        format->colour_planes = bits_read(bits, 1);
    ue_up_to(bits, BIT_DEPTH_MINUS8_MAX); /* luma */
    ue_up_to(bits, BIT_DEPTH_MINUS8_MAX); /* chroma */
    bits_read(bits, 1);                   /* qpprime_y_zero_transform_bypass_flag */
    if (!bits_read(bits, 1))              /* seq_scaling_matrix_present_flag */
        return;
    for (int i = 0; i < (chroma_format == 3 ? 12 : 8); i++) {
        if (bits_read(bits, 1))
            skip_scaling_list(bits, i < 6 ? 16 : 64);
    }
}

static void skip_picture_order(struct bits *bits) {
    uint32_t type = ue_up_to(bits, POC_TYPE_MAX);
    if (type == 0)
        ue_up_to(bits, LOG2_MAX_MINUS4_MAX);
    if (type == 1) {
        bits_read(bits, 1);
        bits_read_se(bits);
        bits_read_se(bits);
        for (uint32_t left = ue_up_to(bits, POC_CYCLE_MAX); left; left--)
            bits_read_se(bits);
    }
}

bool frame_num_parse_sps(struct h264_nal nal, struct frame_num_format *format) {
    struct bits bits = bits_of(nal);
    *format = (struct frame_num_format){0};
    enum profile_kind kind = kind_of(bits_read(&bits, 8));
    bits_read(&bits, 16); /* constraints and level */
    ue_up_to(&bits, SPS_ID_MAX);
    if (kind == PROFILE_HIGH)
        skip_high_profile(&bits, format);
    int width = 4 + (int)ue_up_to(&bits, LOG2_MAX_MINUS4_MAX);
    skip_picture_order(&bits);
    bits_read_ue(&bits); /* max_num_ref_frames */
    bool gaps_allowed = bits_read(&bits, 1);
    bits_read_ue(&bits); /* width and height */
    bits_read_ue(&bits);
    bool frames_only = bits_read(&bits, 1);
    if (bits.failed || kind == PROFILE_UNKNOWN)
        return false;
    if (frames_only && !gaps_allowed)
        format->bits = width;
    return true;
}

bool frame_num_parse_slice(struct h264_nal nal, const struct frame_num_format *format,
                           uint32_t *number) {
    struct bits bits = bits_of(nal);
    bits_read_ue(&bits); /* first_mb_in_slice */
    ue_up_to(&bits, SLICE_TYPE_MAX);
    ue_up_to(&bits, PPS_ID_MAX);
    if (format->colour_planes)
        bits_read(&bits, 2);
    *number = bits_read(&bits, format->bits);
    return !bits.failed;
}

/* The same SPS comes again with each key frame, and changes nothing. */
static void take_sps(struct frame_num *state, struct h264_nal nal) {
    struct frame_num_format format;
    frame_num_parse_sps(nal, &format);
    if (format.bits != state->format.bits || format.colour_planes != state->format.colour_planes)
        *state = (struct frame_num){.format = format};
}

static bool is_unexpected(struct frame_num *state, uint32_t number) {
    if (!state->known)
        return false;
    if (number == state->next) {
        state->counts = true;
        return false;
    }
    if (!state->counts && state->unexpected < FRAME_NUM_UNEXPECTED_MAX)
        state->unexpected++;
    return state->counts || state->unexpected < FRAME_NUM_UNEXPECTED_MAX;
}

bool frame_num_gap(struct frame_num *state, const uint8_t *data, size_t length) {
    struct h264_nal nal;
    size_t position = 0;
    bool gap = false, in_frame = false;
    uint32_t number, current = 0;
    while (h264_next(data, length, &position, &nal)) {
        int type = h264_type(nal);
        if (type == H264_SPS)
            take_sps(state, nal);
        if (type < H264_SLICE || type > H264_IDR || state->format.bits == 0)
            continue;
        /* Data partitions, which only the extended profile has, are not worth the trouble. */
        if ((type != H264_SLICE && type != H264_IDR) ||
            !frame_num_parse_slice(nal, &state->format, &number)) {
            state->known = false;
            continue;
        }
        bool same_frame = in_frame && number == current;
        if (!same_frame && type != H264_IDR)
            gap |= is_unexpected(state, number);
        /* Frames without nal_ref_idc are referred to by none: the number stays for the next. */
        bool referred_to = nal.data[0] & 0x60;
        state->next = (number + referred_to) & ((UINT32_C(1) << state->format.bits) - 1);
        state->known = in_frame = true;
        current = number;
    }
    return gap;
}
