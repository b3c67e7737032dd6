// SPDX-License-Identifier: MIT
/* Any bytes as an access unit, at any packet size. */
#include "rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct h264_params params = {0};
    if (size < 2)
        return 0;
    size_t packet_max = RTP_PACKET_MIN + (size_t)(data[0] | (data[1] & 7) << 8);
    for (int twice = 0; twice < 2; twice++) { /* again with the parameter sets kept */
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
