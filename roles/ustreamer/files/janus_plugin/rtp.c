// SPDX-License-Identifier: MIT
#include "rtp.h"

#include <stdlib.h>
#include <string.h>

enum { STAP_A = 24, FU_A = 28 }; /* RFC 6184, table 1 */
enum { STAP_A_HEADER = 1, STAP_A_SIZE = 2, FU_A_HEADER = 2 };

struct packetiser {
    struct rtp_frame *frame;
    size_t payload_max;
    uint8_t payload_type;
    size_t aggregated; /* NAL units in the packet at the end, which is a STAP-A and open; or 0 */
    size_t first;      /* length of the first of them */
};

static bool begin_packet(struct packetiser *p) {
    struct rtp_frame *frame = p->frame;
    if (frame->count == frame->packet_room) {
        size_t room = frame->packet_room * 2 + 16;
        struct rtp_packet *packets = realloc(frame->packets, room * sizeof *packets);
        if (!packets)
            return false;
        frame->packets = packets;
        frame->packet_room = room;
    }
    size_t needed = RTP_HEADER_LENGTH + p->payload_max;
    if (frame->room - frame->used < needed) {
        size_t room = frame->room * 2 + needed;
        uint8_t *bytes = realloc(frame->bytes, room);
        if (!bytes)
            return false;
        frame->bytes = bytes;
        frame->room = room;
    }
    frame->packets[frame->count++] = (struct rtp_packet){frame->used, RTP_HEADER_LENGTH};
    uint8_t *header = frame->bytes + frame->used;
    memset(header, 0, RTP_HEADER_LENGTH);
    header[0] = 2 << 6; /* the version of RTP */
    header[1] = p->payload_type;
    frame->used += RTP_HEADER_LENGTH;
    return true;
}

static struct rtp_packet *last_packet(struct rtp_frame *frame) {
    return &frame->packets[frame->count - 1];
}

static void append(struct packetiser *p, const uint8_t *data, size_t length) {
    memcpy(p->frame->bytes + p->frame->used, data, length);
    p->frame->used += length;
    struct rtp_packet *packet = last_packet(p->frame);
    packet->length = (uint16_t)(packet->length + length);
}

/* An aggregate of one becomes a single NAL unit packet. */
static void close_aggregate(struct packetiser *p) {
    if (p->aggregated == 1) {
        struct rtp_packet *packet = last_packet(p->frame);
        uint8_t *payload = p->frame->bytes + packet->at + RTP_HEADER_LENGTH;
        memmove(payload, payload + STAP_A_HEADER + STAP_A_SIZE, p->first);
        packet->length = (uint16_t)(RTP_HEADER_LENGTH + p->first);
        p->frame->used = packet->at + packet->length;
    }
    p->aggregated = 0;
}

/* What does not fit is appended to the packet at the end, or begins a new one. */
static bool put_aggregated(struct packetiser *p, struct h264_nal nal) {
    size_t used = p->aggregated ? last_packet(p->frame)->length - (size_t)RTP_HEADER_LENGTH : 0;
    if (!p->aggregated || used + STAP_A_SIZE + nal.length > p->payload_max) {
        close_aggregate(p);
        if (!begin_packet(p))
            return false;
        append(p, (const uint8_t[]){STAP_A}, STAP_A_HEADER);
        p->first = nal.length;
    }
    append(p, (const uint8_t[]){(uint8_t)(nal.length >> 8), (uint8_t)nal.length}, STAP_A_SIZE);
    append(p, nal.data, nal.length);
    p->aggregated++;
    /* The aggregate is as important (nal_ref_idc) as the most important unit in it, and as
     * damaged (forbidden_zero_bit) as any. */
    uint8_t *head = p->frame->bytes + last_packet(p->frame)->at + RTP_HEADER_LENGTH;
    uint8_t importance = nal.data[0] & 0x60;
    *head = (uint8_t)((*head & 0x80) | (nal.data[0] & 0x80) | STAP_A |
                      (importance > (*head & 0x60) ? importance : (*head & 0x60)));
    return true;
}

static bool put_single(struct packetiser *p, struct h264_nal nal) {
    close_aggregate(p);
    if (!begin_packet(p))
        return false;
    append(p, nal.data, nal.length);
    return true;
}

/* Fragments of equal size rather than full ones and a crumb: no more packets, and none of them
 * stands out. */
static bool put_fragmented(struct packetiser *p, struct h264_nal nal) {
    size_t room = p->payload_max - FU_A_HEADER;
    const uint8_t *data = nal.data + 1; /* the fragments' headers stand for the first byte */
    size_t left = nal.length - 1, parts = (left + room - 1) / room;
    close_aggregate(p);
    for (size_t i = 0; i < parts; i++) {
        size_t length = left / (parts - i);
        uint8_t start = i == 0 ? 0x80 : 0, end = i == parts - 1 ? 0x40 : 0;
        uint8_t header[FU_A_HEADER] = {(uint8_t)((nal.data[0] & 0xe0) | FU_A),
                                       (uint8_t)(start | end | (nal.data[0] & 0x1f))};
        if (!begin_packet(p))
            return false;
        append(p, header, FU_A_HEADER);
        append(p, data, length);
        data += length;
        left -= length;
    }
    return true;
}

static bool put(struct packetiser *p, struct h264_nal nal) {
    if (STAP_A_HEADER + STAP_A_SIZE + nal.length <= p->payload_max)
        return put_aggregated(p, nal);
    if (nal.length <= p->payload_max)
        return put_single(p, nal);
    return put_fragmented(p, nal);
}

static bool put_params(struct packetiser *p, const struct h264_params *params) {
    return put(p, (struct h264_nal){params->sps, params->sps_length}) &&
           put(p, (struct h264_nal){params->pps, params->pps_length});
}

/* Delimiters, ends of sequence and filler are of no use to a viewer; and the types that H.264
 * leaves unspecified mean something else in RTP, 24 and up. */
static bool is_of_use(struct h264_nal nal) {
    int type = h264_type(nal);
    return type >= H264_SLICE && type < STAP_A && (type < H264_DELIMITER || type > H264_FILLER);
}

struct contents {
    bool picture, idr, sps, pps;
};

static bool survey(const uint8_t *data, size_t length, struct h264_params *params,
                   struct contents *contents) {
    struct h264_nal nal;
    size_t position = 0;
    *contents = (struct contents){0};
    while (h264_next(data, length, &position, &nal)) {
        int type = h264_type(nal);
        contents->picture |= type >= H264_SLICE && type <= H264_IDR;
        contents->idr |= type == H264_IDR;
        contents->sps |= type == H264_SPS;
        contents->pps |= type == H264_PPS;
        if (!h264_params_keep(params, nal))
            return false;
    }
    return true;
}

static bool put_all(struct packetiser *p, const uint8_t *data, size_t length) {
    struct h264_nal nal;
    size_t position = 0;
    while (h264_next(data, length, &position, &nal)) {
        if (is_of_use(nal) && !put(p, nal))
            return false;
    }
    close_aggregate(p);
    return true;
}

struct rtp_frame *rtp_packetise(const uint8_t *data, size_t length, size_t packet_max,
                                uint8_t payload_type, struct h264_params *params) {
    struct contents contents;
    if (!survey(data, length, params, &contents) || !contents.picture)
        return NULL;
    struct rtp_frame *frame = calloc(1, sizeof *frame);
    if (!frame)
        return NULL;
    struct packetiser p = {
        .frame = frame,
        .payload_max = packet_max - RTP_HEADER_LENGTH,
        .payload_type = payload_type,
    };
    frame->key = contents.idr && params->sps && params->pps;
    bool bare = frame->key && !(contents.sps && contents.pps);
    if ((bare && !put_params(&p, params)) || !put_all(&p, data, length)) {
        rtp_free(frame);
        return NULL;
    }
    frame->bytes[last_packet(frame)->at + 1] |= 0x80; /* marker: the frame ends here */
    return frame;
}

void rtp_free(struct rtp_frame *frame) {
    if (frame) {
        free(frame->bytes);
        free(frame->packets);
        free(frame);
    }
}

void rtp_stamp(uint8_t *packet, uint16_t sequence, uint32_t timestamp) {
    packet[2] = (uint8_t)(sequence >> 8);
    packet[3] = (uint8_t)sequence;
    packet[4] = (uint8_t)(timestamp >> 24);
    packet[5] = (uint8_t)(timestamp >> 16);
    packet[6] = (uint8_t)(timestamp >> 8);
    packet[7] = (uint8_t)timestamp;
}
