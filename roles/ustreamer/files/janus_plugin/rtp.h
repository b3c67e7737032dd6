// SPDX-License-Identifier: MIT
/* One H.264 frame as RTP packets: RFC 6184, packetization-mode 1 (single NAL unit, STAP-A, FU-A).
 *
 * A frame is packetised once however many watch it; only sequence number and timestamp, the header
 * fields that differ from viewer to viewer, are stamped into it for each. */
#ifndef RTP_H
#define RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "h264.h"

#define RTP_HEADER_LENGTH 12
#define RTP_CLOCK_HZ      90000

/* Header and payload of the largest packet, in bytes. Janus adds up to 24 (header extensions),
 * SRTP 16 at most, UDP and IPv6 48: together still below 1280, the smallest MTU a network may
 * have and the one many VPNs do have. */
#define RTP_PACKET_MAX 1180

/* The smallest packet size that can carry a fragment: header, FU-A's two bytes, one of data. */
#define RTP_PACKET_MIN (RTP_HEADER_LENGTH + 3)

struct rtp_packet {
    size_t at; /* offset in rtp_frame.bytes */
    uint16_t length;
};

struct rtp_frame {
    uint8_t *bytes; /* all packets, one behind the other */
    size_t used, room;
    struct rtp_packet *packets;
    size_t count, packet_room;
    bool key;           /* decoding can begin here: an IDR picture with its SPS and PPS */
    uint32_t timestamp; /* in units of 1 / RTP_CLOCK_HZ; the caller's to set */
};

/* Packetises one access unit into packets of at most packet_max bytes (RTP_PACKET_MIN to 65535).
 * SPS and PPS are kept in params, and put in front of a key frame that comes without them.
 * NULL: nothing in it to show (params may have been kept), or no memory. */
struct rtp_frame *rtp_packetise(const uint8_t *data, size_t length, size_t packet_max,
                                uint8_t payload_type, struct h264_params *params);
void rtp_free(struct rtp_frame *frame);

void rtp_stamp(uint8_t *packet, uint16_t sequence, uint32_t timestamp);

#endif
