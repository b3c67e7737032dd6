// SPDX-License-Identifier: MIT
/* Any bytes as an access unit, at any packet size; its NAL units as SPS and as slices. */
#include "frame_num.h"
#include "rtp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each NAL unit in memory of its own size: a read past its end would otherwise hit the next one. */
static void parse(const uint8_t *data, size_t size) {
    struct frame_num_format format = {4, false};
    struct h264_nal nal;
    size_t position = 0;
    uint32_t number;
    while (h264_next(data, size, &position, &nal)) {
        uint8_t *copy = malloc(nal.length);
        memcpy(copy, nal.data, nal.length);
        nal.data = copy;
        bool good = frame_num_parse_slice(nal, &format, &number);
        if (good && number >> format.bits)
            __builtin_trap();
        good = frame_num_parse_sps(nal, &format);
        if (format.bits && (!good || format.bits < 4 || format.bits > 16))
            __builtin_trap();
        free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct frame_num numbers = {0};
    struct h264_params params = {0};
    if (size < 2)
        return 0;
    size_t packet_max = RTP_PACKET_MIN + (size_t)(data[0] | (data[1] & 7) << 8);
    parse(data + 2, size - 2);
    for (int twice = 0; twice < 2; twice++) { /* again with the parameter sets kept */
        frame_num_gap(&numbers, data + 2, size - 2);
        struct rtp_frame *frame = rtp_packetise(data + 2, size - 2, packet_max, 96, &params);
        for (size_t i = 0; frame && i < frame->count; i++) {
            const struct rtp_packet *packet = &frame->packets[i];
            if (packet->length <= RTP_HEADER_LENGTH || packet->length > packet_max ||
                packet->at + packet->length > frame->used)
                __builtin_trap();
            rtp_stamp(frame->bytes + packet->at, 1, 2);
        }
        if (frame && frame->count == 0)
            __builtin_trap();
        rtp_free(frame);
    }
    h264_params_clear(&params);
    return 0;
}
