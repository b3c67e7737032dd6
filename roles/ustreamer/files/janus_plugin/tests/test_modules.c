// SPDX-License-Identifier: MIT
/* All but the Janus side: sink reader, packetiser, cache, poll clock, what a viewer is sent. */
#include <signal.h>
#include <sys/wait.h>

#include "gop.h"
#include "h264.h"
#include "memsink.h"
#include "poll_clock.h"
#include "rtp.h"
#include "testing.h"
#include "viewer.h"
#include "writer.h"

static const uint8_t key_frame[] = {0, 0,    0, 1, 0x67, 1, 2, 3,    0, 0, 0,
                                    1, 0x68, 4, 0, 0,    0, 1, 0x65, 5, 6, 7};

/* ---- memsink ---- */

static void with_reader(const struct writer *writer, struct memsink *sink) {
    CHECK(memsink_init(sink, writer->name));
    CHECK_EQUAL(memsink_open(sink), MEMSINK_READY);
}

static void test_every_layout(void) {
    for (size_t i = 0; i < WRITER_LAYOUTS; i++) {
        const struct writer_layout *layout = &writer_layouts[i];
        struct writer writer;
        struct memsink sink;
        struct memsink_frame frame = {0};
        writer_open(&writer, layout, "test-modules");
        with_reader(&writer, &sink);
        CHECK_EQUAL(sink.version, layout->version);
        CHECK_EQUAL(memsink_can_request_key(&sink), layout->key_request >= 0);
        int64_t captured = writer_now() - 3000000;
        writer_put_at(&writer, key_frame, sizeof key_frame, true, captured);
        CHECK(memsink_has_news(&sink));
        int64_t before = writer_now();
        CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
        CHECK_EQUAL(frame.used, sizeof key_frame);
        CHECK(!memcmp(frame.data, key_frame, sizeof key_frame));
        CHECK(llabs(frame.captured - captured) <= 1);
        CHECK(llabs(frame.encoded - captured - 4000000) <= 1);
        CHECK(frame.source_online);
        CHECK(writer_reader_seen(&writer) >= before - 1);
        CHECK(writer_reader_seen(&writer) <= writer_now());
        CHECK(!writer_key_requested(&writer));
        CHECK(!memsink_has_news(&sink));
        CHECK_EQUAL(memsink_fetch(&sink, &frame, true), MEMSINK_NOTHING);
        CHECK_EQUAL(writer_key_requested(&writer), layout->key_request >= 0);
        /* Nothing else of the memory was written to. */
        uint8_t data[sizeof key_frame];
        CHECK_EQUAL(pread(writer.fd, data, sizeof data, layout->data), sizeof data);
        CHECK(!memcmp(data, key_frame, sizeof data));
        memsink_close(&sink);
        writer_unlink(&writer);
        free(frame.data);
        if (checks_failed)
            printf("  layout %u of uStreamer %s\n", layout->version, layout->ustreamer);
    }
}

static void test_names(void) {
    struct memsink sink;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK(!memsink_init(&sink, ""));
    CHECK(!memsink_init(&sink, "/"));
    CHECK(!memsink_init(&sink, "../etc/passwd"));
    CHECK(!memsink_init(&sink, name));
    CHECK(memsink_init(&sink, "/kvm.h264"));
    CHECK(!strcmp(sink.path, "/dev/shm/kvm.h264"));
}

static void test_absent_and_unfinished(void) {
    struct writer writer;
    struct memsink sink;
    char text[160];
    uint32_t none = 0;
    writer_open(&writer, &writer_layouts[0], "test-modules");
    memsink_init(&sink, "test-modules-no-such-sink");
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_ABSENT);
    CHECK_EQUAL(sink.fd, -1);
    memsink_describe(&sink, MEMSINK_ABSENT, text, sizeof text);
    CHECK(strstr(text, "No such file"));
    memsink_init(&sink, writer.name);
    writer_publish(&writer, none);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_NOT_READY);
    for (uint32_t version = 1; version < 300; version++) {
        bool known = (version >= 2 && version <= 8) || version == 10;
        writer_publish(&writer, version);
        CHECK_EQUAL(memsink_open(&sink), known ? MEMSINK_READY : MEMSINK_UNKNOWN_LAYOUT);
        memsink_close(&sink);
    }
    memsink_describe(&sink, MEMSINK_UNKNOWN_LAYOUT, text, sizeof text);
    CHECK(strstr(text, "layout 299"));
    CHECK(strstr(text, MEMSINK_KNOWN_VERSIONS));
    writer_poke(&writer, "no magic", 8, 0);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_NOT_READY);
    writer_unlink(&writer);
}

static void test_short_objects(void) {
    for (size_t i = 0; i < WRITER_LAYOUTS; i++) {
        struct writer writer;
        struct memsink sink;
        writer_open(&writer, &writer_layouts[i], "test-modules");
        memsink_init(&sink, writer.name);
        for (off_t size = writer_layouts[i].data; size >= 0; size -= size > 200 ? 97 : 1) {
            CHECK_EQUAL(ftruncate(writer.fd, size), 0);
            CHECK_EQUAL(memsink_open(&sink), MEMSINK_NOT_READY);
        }
        writer_unlink(&writer);
    }
}

static void test_object_truncated_while_open(void) {
    struct writer writer;
    struct memsink sink;
    struct memsink_frame frame = {0};
    writer_open(&writer, &writer_layouts[0], "test-modules");
    with_reader(&writer, &sink);
    writer_put(&writer, key_frame, sizeof key_frame, true);
    for (off_t size = 0; size < 200; size += 9) {
        CHECK_EQUAL(ftruncate(writer.fd, size), 0);
        CHECK(memsink_has_news(&sink) == (size < 24));
        CHECK_EQUAL(memsink_fetch(&sink, &frame, true), MEMSINK_BROKEN);
    }
    memsink_close(&sink);
    writer_unlink(&writer);
    free(frame.data);
}

static void test_claims_of_size(void) {
    const uint64_t claims[] = {2 * MIB + 1, 1 << 30, UINT32_MAX, UINT64_MAX, UINT64_MAX - 143};
    struct writer writer;
    struct memsink sink;
    struct memsink_frame frame = {0};
    uint8_t start[4];
    size_t got;
    writer_open(&writer, &writer_layouts[6], "test-modules");
    with_reader(&writer, &sink);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        writer_put(&writer, key_frame, sizeof key_frame, true);
        writer_poke(&writer, &claims[i], 8, 24);
        CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
        CHECK_EQUAL(frame.used, 0);
        struct memsink peeked;
        memsink_init(&peeked, writer.name);
        CHECK_EQUAL(memsink_peek(&peeked, start, sizeof start, &got), MEMSINK_READY);
        CHECK_EQUAL(got, 0);
    }
    uint8_t *full = calloc(1, 2 * MIB);
    writer_put(&writer, full, 2 * MIB, true);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
    CHECK_EQUAL(frame.used, 2 * MIB);
    /* A huge sparse object is no reason to take that much memory. */
    CHECK_EQUAL(ftruncate(writer.fd, INT64_C(1) << 40), 0);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_READY);
    uint64_t claim = INT64_C(1) << 39;
    writer_poke(&writer, &claim, 8, 24);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
    CHECK_EQUAL(frame.used, 0);
    memsink_close(&sink);
    writer_unlink(&writer);
    free(frame.data);
    free(full);
}

static void test_times_that_are_none(void) {
    const long double times[] = {-1, 1e300L, __builtin_infl(), -__builtin_infl(),
                                 __builtin_nanl("")};
    struct writer writer;
    struct memsink sink;
    struct memsink_frame frame = {0};
    writer_open(&writer, &writer_layouts[0], "test-modules");
    with_reader(&writer, &sink);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        writer_put(&writer, key_frame, sizeof key_frame, true);
        writer_poke(&writer, &times[i], sizeof times[i], writer.layout->captured);
        CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
        CHECK_EQUAL(frame.captured, -1);
    }
    memsink_close(&sink);
    writer_unlink(&writer);
    free(frame.data);
}

static void test_layout_changes_in_place(void) {
    struct writer writer;
    struct memsink sink;
    struct memsink_frame frame = {0};
    writer_open(&writer, &writer_layouts[5], "test-modules");
    with_reader(&writer, &sink);
    writer_put(&writer, key_frame, sizeof key_frame, true);
    writer_publish(&writer, 8);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_BROKEN);
    /* The second layout 7 differs in size only. */
    writer_publish(&writer, 7);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
    CHECK_EQUAL(ftruncate(writer.fd, writer_layouts[6].size), 0);
    writer.layout = &writer_layouts[6];
    writer_put(&writer, key_frame, sizeof key_frame, true);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_BROKEN);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_READY);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, false), MEMSINK_FRAME);
    CHECK(frame.used == sizeof key_frame && !memcmp(frame.data, key_frame, frame.used));
    memsink_close(&sink);
    writer_unlink(&writer);
    free(frame.data);
}

static void test_replaced_object(void) {
    struct writer writer, other;
    struct memsink sink;
    writer_open(&writer, &writer_layouts[0], "test-modules");
    with_reader(&writer, &sink);
    CHECK(!memsink_replaced(&sink));
    writer_unlink(&writer);
    CHECK(memsink_replaced(&sink));
    writer_open(&other, &writer_layouts[0], "test-modules");
    CHECK(memsink_replaced(&sink));
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_READY);
    CHECK(!memsink_replaced(&sink));
    memsink_close(&sink);
    writer_unlink(&other);
}

static void test_traps_under_the_name(void) {
    struct writer writer;
    struct memsink sink;
    writer_open(&writer, &writer_layouts[0], "test-modules");
    memsink_init(&sink, writer.name);
    writer_unlink(&writer);
    CHECK_EQUAL(symlink("/etc/passwd", writer.path), 0);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_ABSENT);
    unlink(writer.path);
    CHECK_EQUAL(mkfifo(writer.path, 0600), 0);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_NOT_READY); /* and does not hang */
    unlink(writer.path);
    CHECK_EQUAL(mkdir(writer.path, 0700), 0);
    CHECK_EQUAL(memsink_open(&sink), MEMSINK_ABSENT);
    rmdir(writer.path);
}

/* The lock of a writer that was stopped in the middle. */
static void test_lock_held_by_another_process(void) {
    struct writer writer;
    struct memsink sink;
    struct memsink_frame frame = {0};
    int ready[2];
    char byte;
    writer_open(&writer, &writer_layouts[0], "test-modules");
    with_reader(&writer, &sink);
    writer_put(&writer, key_frame, sizeof key_frame, true);
    CHECK_EQUAL(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(writer.path, O_RDWR);
        flock(fd, LOCK_EX);
        if (write(ready[1], "", 1) == 1)
            raise(SIGSTOP);
        _exit(0);
    }
    CHECK_EQUAL(read(ready[0], &byte, 1), 1);
    waitpid(child, NULL, WUNTRACED);
    for (int i = 0; i < 100; i++)
        CHECK_EQUAL(memsink_fetch(&sink, &frame, true), MEMSINK_BUSY);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_EQUAL(memsink_fetch(&sink, &frame, true), MEMSINK_FRAME);
    /* And our own is gone after each fetch. */
    CHECK_EQUAL(flock(writer.fd, LOCK_EX | LOCK_NB), 0);
    close(ready[0]);
    close(ready[1]);
    memsink_close(&sink);
    writer_unlink(&writer);
    free(frame.data);
}

static void test_peek_leaves_no_trace(void) {
    struct writer writer;
    struct memsink sink;
    uint8_t start[4];
    size_t got;
    writer_open(&writer, &writer_layouts[7], "test-modules");
    memsink_init(&sink, writer.name);
    CHECK_EQUAL(memsink_peek(&sink, start, sizeof start, &got), MEMSINK_READY);
    CHECK_EQUAL(got, 0);
    writer_put(&writer, key_frame, sizeof key_frame, true);
    CHECK_EQUAL(flock(writer.fd, LOCK_EX), 0);
    CHECK_EQUAL(memsink_peek(&sink, start, sizeof start, &got), MEMSINK_READY);
    CHECK_EQUAL(got, 4);
    CHECK(h264_is_annex_b(start, got));
    CHECK_EQUAL(sink.fd, -1);
    CHECK_EQUAL(writer_reader_seen(&writer), 0);
    writer_unlink(&writer);
}

/* ---- h264 ---- */

static void test_start_codes(void) {
    CHECK(h264_is_annex_b((const uint8_t *)"\0\0\1\x65", 4));
    CHECK(h264_is_annex_b((const uint8_t *)"\0\0\0\1", 4));
    CHECK(!h264_is_annex_b((const uint8_t *)"\0\0\0\1", 3));
    CHECK(!h264_is_annex_b((const uint8_t *)"\0\0\0\0\1", 5));
    CHECK(!h264_is_annex_b((const uint8_t *)"\xff\xd8\xff\xe0", 4));
    CHECK(!h264_is_annex_b((const uint8_t *)"", 0));
}

static void check_nals(const char *data, size_t length, const char *expected) {
    char found[64] = "";
    size_t position = 0, used = 0;
    struct h264_nal nal;
    while (h264_next((const uint8_t *)data, length, &position, &nal)) {
        CHECK(nal.length > 0);
        used += (size_t)snprintf(found + used, sizeof found - used, "%.*s|", (int)nal.length,
                                 (const char *)nal.data);
    }
    CHECK(!strcmp(found, expected));
    if (strcmp(found, expected))
        printf("  found %s, not %s\n", found, expected);
}

static void test_nal_units(void) {
#define NALS(data, expected) check_nals(data, sizeof data - 1, expected)
    NALS("\0\0\1a\0\0\1bc\0\0\0\1d", "a|bc|d|");
    NALS("\0\0\0\0\0\1a\0\0\0\0", "a|");
    NALS("\0\0\1\0\0\1a", "a|");
    NALS("rubbish\0\0\1a", "a|");
    NALS("\0\0\1", "");
    NALS("\0\0", "");
    NALS("", "");
    NALS("no start code at all", "");
#undef NALS
}

/* ---- rtp ---- */

/* An RFC 6184 receiver: the NAL units again, each behind a long start code. */
static size_t depacketise(const struct rtp_frame *frame, size_t packet_max, uint8_t *to) {
    size_t used = 0;
    bool open = false;
    for (size_t i = 0; i < frame->count; i++) {
        const uint8_t *p = frame->bytes + frame->packets[i].at;
        size_t length = frame->packets[i].length;
        CHECK(length > RTP_HEADER_LENGTH && length <= packet_max);
        CHECK_EQUAL(p[0], 0x80);
        CHECK_EQUAL(p[1], (i == frame->count - 1 ? 0x80 : 0) | 96);
        p += RTP_HEADER_LENGTH;
        length -= RTP_HEADER_LENGTH;
        int type = p[0] & 0x1f;
        CHECK(!open || type == 28);
        if (type == 24) {
            size_t at = 1, units = 0;
            uint8_t importance = 0;
            for (; at + 2 <= length; units++) {
                size_t size = (size_t)(p[at] << 8 | p[at + 1]);
                CHECK(size > 0 && at + 2 + size <= length);
                memcpy(to + used, "\0\0\0\1", 4);
                memcpy(to + used + 4, p + at + 2, size);
                if ((p[at + 2] & 0x60) > importance)
                    importance = p[at + 2] & 0x60;
                used += 4 + size;
                at += 2 + size;
            }
            CHECK_EQUAL(at, length);
            CHECK(units >= 2);
            CHECK_EQUAL(p[0] & 0x60, importance);
        } else if (type == 28) {
            CHECK(length > 2);
            CHECK_EQUAL((p[1] & 0x80) != 0, !open);
            if (p[1] & 0x80) {
                memcpy(to + used, "\0\0\0\1", 4);
                to[used + 4] = (uint8_t)((p[0] & 0xe0) | (p[1] & 0x1f));
                used += 5;
            }
            open = !(p[1] & 0x40);
            memcpy(to + used, p + 2, length - 2);
            used += length - 2;
        } else {
            memcpy(to + used, "\0\0\0\1", 4);
            memcpy(to + used + 4, p, length);
            used += 4 + length;
        }
    }
    CHECK(!open);
    return used;
}

static size_t put_nal(uint8_t *to, uint8_t header, size_t length) {
    memcpy(to, "\0\0\0\1", 4);
    to[4] = header;
    for (size_t i = 1; i < length; i++)
        to[4 + i] = (uint8_t)(1 + i % 255);
    return 4 + length;
}

static void test_round_trips_at_any_packet_size(void) {
    const size_t sizes[] = {1, 2, 3, 4, 5, 100, 1165, 1166, 1167, 1168, 1169, 1170, 3000, 70000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    static uint8_t sent[400000], got[400000];
    const size_t packet_sizes[] = {
        RTP_PACKET_MIN, 16,   17,   18,   19,   20,   27, 28, 64, 127, 128, 576,
        1179,           1180, 1200, 1500, 9000, 65535};
    for (size_t i = 0; i < sizeof packet_sizes / sizeof *packet_sizes; i++) {
        size_t packet_max = packet_sizes[i];
        for (size_t a = 0; a < SIZES; a++) {
            for (size_t b = 0; b < SIZES; b++) {
                struct h264_params params = {0};
                size_t used = put_nal(sent, 0x67, sizes[a]);
                used += put_nal(sent + used, 0x68, sizes[b]);
                used += put_nal(sent + used, 0x06, 3);
                used += put_nal(sent + used, 0x65, sizes[(a + b) % SIZES]);
                used += put_nal(sent + used, 0x21, sizes[b]);
                struct rtp_frame *frame = rtp_packetise(sent, used, packet_max, 96, &params);
                CHECK(frame && frame->key);
                if (frame) {
                    CHECK_EQUAL(depacketise(frame, packet_max, got), used);
                    CHECK(!memcmp(got, sent, used));
                }
                rtp_free(frame);
                h264_params_clear(&params);
            }
        }
    }
}

static void test_kinds_of_packets(void) {
    static uint8_t data[10000];
    struct h264_params params = {0};
    size_t used = put_nal(data, 0x41, 1168);
    struct rtp_frame *frame = rtp_packetise(data, used, 1180, 96, &params);
    CHECK_EQUAL(frame->count, 1);
    CHECK_EQUAL(frame->bytes[RTP_HEADER_LENGTH], 0x41); /* single */
    CHECK_EQUAL(frame->packets[0].length, 1180);
    rtp_free(frame);
    used = put_nal(data, 0x41, 1169);
    frame = rtp_packetise(data, used, 1180, 96, &params);
    CHECK_EQUAL(frame->count, 2);
    CHECK_EQUAL(frame->bytes[RTP_HEADER_LENGTH] & 0x1f, 28); /* FU-A, of equal size */
    CHECK_EQUAL(frame->packets[0].length, frame->packets[1].length);
    rtp_free(frame);
    frame = rtp_packetise(key_frame, sizeof key_frame, 1180, 96, &params);
    CHECK_EQUAL(frame->count, 1);
    CHECK_EQUAL(frame->bytes[RTP_HEADER_LENGTH], 0x78); /* STAP-A, nal_ref_idc 3 */
    rtp_free(frame);
    h264_params_clear(&params);
}

static void test_what_is_of_no_use_is_dropped(void) {
    static const uint8_t data[] = "\0\0\0\1\x09\x10\0\0\1\x41\1\0\0\1\x0c\xff\0\0\1\x0a\0\0\1\x0b"
                                  "\0\0\1\x7c\x85\0\0\1\x60\1";
    static const uint8_t delimiters[] = "\0\0\0\1\x09\x10\0\0\0\1\x09\x10";
    uint8_t got[64];
    struct h264_params params = {0};
    struct rtp_frame *frame = rtp_packetise(data, sizeof data - 1, 1180, 96, &params);
    CHECK_EQUAL(depacketise(frame, 1180, got), 6);
    CHECK(!memcmp(got, "\0\0\0\1\x41\1", 6));
    rtp_free(frame);
    CHECK(!rtp_packetise(delimiters, sizeof delimiters - 1, 1180, 96, &params));
    CHECK(!rtp_packetise(data, 0, 1180, 96, &params));
}

static void test_params_are_kept_for_bare_key_frames(void) {
    static const uint8_t idr[] = {0, 0, 0, 1, 0x65, 5, 6, 7};
    uint8_t got[64];
    struct h264_params params = {0};
    struct rtp_frame *frame = rtp_packetise(idr, sizeof idr, 1180, 96, &params);
    CHECK(frame && !frame->key); /* nobody could decode it */
    rtp_free(frame);
    CHECK(!rtp_packetise(key_frame, 14, 1180, 96, &params)); /* SPS and PPS alone */
    frame = rtp_packetise(idr, sizeof idr, 1180, 96, &params);
    CHECK(frame && frame->key);
    CHECK_EQUAL(depacketise(frame, 1180, got), sizeof key_frame);
    CHECK(!memcmp(got, key_frame, sizeof key_frame));
    rtp_free(frame);
    h264_params_clear(&params);
}

static void test_stamp(void) {
    uint8_t packet[RTP_HEADER_LENGTH] = {0x80, 96};
    const uint8_t expected[] = {0x80, 96, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 0, 0, 0, 0};
    rtp_stamp(packet, 0x1234, 0x89abcdef);
    CHECK(!memcmp(packet, expected, sizeof expected));
}

/* ---- gop ---- */

static struct rtp_frame *make_frame(bool key, size_t size, uint32_t timestamp) {
    struct rtp_frame *frame = calloc(1, sizeof *frame);
    frame->bytes = calloc(1, size);
    frame->used = size;
    frame->packets = calloc(1, sizeof *frame->packets);
    frame->packets[0].length = 100;
    frame->count = 1;
    frame->key = key;
    frame->timestamp = timestamp;
    return frame;
}

/* As the plugin does it. */
static bool add(struct gop *gop, struct rtp_frame *frame) {
    bool kept = gop_add(gop, frame);
    if (!kept)
        rtp_free(frame);
    return kept;
}

static void test_gop(void) {
    struct gop gop = {0};
    CHECK(!add(&gop, make_frame(false, 100, 0)));
    CHECK(add(&gop, make_frame(true, 100, 0)));
    for (uint32_t i = 0; i < 300; i++)
        CHECK(add(&gop, make_frame(false, 100, i)));
    CHECK_EQUAL(gop.count, 301);
    CHECK_EQUAL(gop.bytes, 30100);
    CHECK(gop.frames[0]->key && !gop.frames[1]->key);
    CHECK(add(&gop, make_frame(true, 200, 0)));
    CHECK_EQUAL(gop.count, 1);
    CHECK_EQUAL(gop.bytes, 200);
    /* Too much: of a part of it nobody has anything. */
    CHECK(add(&gop, make_frame(false, GOP_BYTES_MAX - 200, 0)));
    CHECK(!add(&gop, make_frame(false, 100, 0)));
    CHECK_EQUAL(gop.count, 0);
    CHECK(!add(&gop, make_frame(false, 100, 0)));
    CHECK(add(&gop, make_frame(true, 100, 0)));
    gop_clear(&gop);
    CHECK_EQUAL(gop.count, 0);
}

/* ---- poll_clock ---- */

struct figures {
    int64_t late_max;
    int frames, late, looks;
};

static int64_t jitter(int64_t amplitude) {
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return amplitude ? (int64_t)(state >> 8) % (2 * amplitude) - amplitude : 0;
}

/* Frames come each interval, give or take the jitter; every gap_every-th is left out, every
 * late_every-th late by a quarter of the interval. */
static struct figures simulate(int64_t interval, int64_t amplitude, int gap_every, int late_every) {
    struct poll_clock clock = {0};
    struct figures f = {0};
    int64_t now = 1000000000, tick = now, arrival = now;
    for (int n = 1; n < 3000; n++) {
        tick += gap_every && n % gap_every == 0 ? 2 * interval : interval;
        arrival = tick + jitter(amplitude);
        if (late_every && n % late_every == 0)
            arrival += interval / 4;
        while (now < arrival) {
            int64_t next = poll_clock_next(&clock, now);
            CHECK(next > now);
            now = next;
            f.looks += n > 300;
        }
        if (n > 300) {
            f.frames++;
            f.late += now - arrival > 1000000;
            f.late_max = now - arrival > f.late_max ? now - arrival : f.late_max;
        }
        poll_clock_frame(&clock, arrival);
        now += 50000;
    }
    return f;
}

static void test_poll_clock(void) {
    const struct {
        int64_t interval, amplitude;
        int gap_every, late_every;
    } sources[] = {
        {33333333, 0, 0, 0},       {33333333, 300000, 0, 0},   {33333333, 3000000, 0, 0},
        {33333333, 300000, 50, 0}, {33333333, 300000, 0, 20},  {16666667, 500000, 0, 0},
        {20000000, 5000000, 0, 0}, {200000000, 1000000, 0, 0}, {1000000000, 1000000, 0, 0},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct figures f = simulate(sources[i].interval, sources[i].amplitude, sources[i].gap_every,
                                    sources[i].late_every);
        double seconds = (double)f.frames * (double)sources[i].interval / 1e9;
        printf("  each %.1f ms +- %.1f ms, gaps %d, late %d: %.0f looks a second, %.2f %% over 1 "
               "ms late, at most "
               "%.2f ms\n",
               (double)sources[i].interval / 1e6, (double)sources[i].amplitude / 1e6,
               sources[i].gap_every, sources[i].late_every, f.looks / seconds,
               100.0 * f.late / f.frames, (double)f.late_max / 1e6);
        CHECK(f.late * 100 < f.frames);
        CHECK(f.looks / seconds < 3000);
    }
    /* On a steady source polling is rare. */
    CHECK(simulate(33333333, 300000, 0, 0).looks < 3000 * 12);
}

/* Two frames without a look between them would be one lost, and the picture broken. */
static void test_no_frame_is_missed_when_the_rate_rises(void) {
    for (int64_t slow = 20000000; slow <= 240000000; slow += 10000000) {
        struct poll_clock clock = {0};
        int64_t now = 1000000000, next = now;
        for (int n = 0; n < 200; n++) {
            next += n < 100 ? slow : 16666667;
            int64_t last_look = now;
            while (now < next) {
                last_look = now;
                now = poll_clock_next(&clock, now);
            }
            CHECK(now < next + 16666667 && last_look < next);
            poll_clock_frame(&clock, next);
        }
    }
}

/* ---- viewer ---- */

static struct relayed {
    size_t count;
    uint16_t sequence;
    uint32_t timestamps[1000];
} relayed;

static void remember(void *handle, uint8_t *packet, uint16_t length) {
    CHECK(handle == &relayed);
    CHECK_EQUAL(length, 100);
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    CHECK(!relayed.count || sequence == (uint16_t)(relayed.sequence + 1));
    relayed.sequence = sequence;
    relayed.timestamps[relayed.count++] = (uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 |
                                          (uint32_t)packet[6] << 8 | packet[7];
}

static struct viewer start_viewing(void) {
    relayed = (struct relayed){0};
    return (struct viewer){
        .handle = &relayed, .watching = true, .connected = true, .sequence = 65530};
}

static struct gop make_gop(size_t count, size_t size, uint32_t timestamp) {
    struct gop gop = {0};
    for (size_t i = 0; i < count; i++)
        add(&gop, make_frame(i == 0, size, timestamp + (uint32_t)i * 3000));
    return gop;
}

static void check_times_grow(void) {
    for (size_t i = 1; i < relayed.count; i++)
        CHECK((int32_t)(relayed.timestamps[i] - relayed.timestamps[i - 1]) > 0);
}

static void test_viewer_waits_for_a_key_frame(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = {0};
    struct rtp_frame *slice = make_frame(false, 100, 3000), *key = make_frame(true, 100, 6000);
    viewer_join(&viewer, &gop, 0);
    viewer_frame(&viewer, slice, remember);
    CHECK_EQUAL(relayed.count, 0);
    viewer_frame(&viewer, key, remember);
    viewer_frame(&viewer, slice, remember);
    CHECK_EQUAL(relayed.count, 2);
    CHECK_EQUAL(relayed.timestamps[1], 6001); /* a clock that goes back is not passed on */
    viewer_restart(&viewer);
    viewer_frame(&viewer, slice, remember);
    CHECK_EQUAL(relayed.count, 2);
    viewer.watching = false;
    viewer_frame(&viewer, key, remember);
    CHECK_EQUAL(relayed.count, 2);
    rtp_free(slice);
    rtp_free(key);
}

static void test_burst_is_paced(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = make_gop(60, 20000, UINT32_MAX - 60000); /* the time wraps within it */
    int64_t now = 1000000000, end = 0;
    viewer_join(&viewer, &gop, now);
    CHECK_EQUAL(relayed.count, 0);
    for (int64_t at = now; at != INT64_MAX; at = viewer_catch_up(&viewer, &gop, at, remember)) {
        CHECK(at >= end);
        end = at;
    }
    CHECK_EQUAL(relayed.count, 60);
    CHECK_EQUAL(viewer.progress, VIEWER_LIVE);
    CHECK_EQUAL((end - now) / 1000000, 94); /* 59 frames of 20 kB at 100 Mbit/s */
    CHECK_EQUAL(relayed.timestamps[59] - relayed.timestamps[0], 59 * 90);
    CHECK_EQUAL(relayed.timestamps[59], gop.frames[59]->timestamp);
    check_times_grow();
    gop_clear(&gop);
}

static void test_frames_that_come_during_a_burst(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = make_gop(10, 12500, 0); /* 1 ms each */
    viewer_join(&viewer, &gop, 0);
    viewer_catch_up(&viewer, &gop, 4500000, remember);
    CHECK_EQUAL(relayed.count, 5);
    struct rtp_frame *frame = make_frame(false, 12500, 30000);
    add(&gop, frame);
    viewer_frame(&viewer, frame, remember);
    CHECK_EQUAL(relayed.count, 5); /* not before those between */
    CHECK(viewer_catch_up(&viewer, &gop, 9500000, remember) != INT64_MAX);
    CHECK_EQUAL(viewer_catch_up(&viewer, &gop, 10500000, remember), INT64_MAX);
    CHECK_EQUAL(relayed.count, 11);
    CHECK_EQUAL(relayed.timestamps[10], 30000);
    check_times_grow();
    gop_clear(&gop);
}

static void test_key_frame_ends_a_burst(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = make_gop(10, 12500, 0);
    viewer_join(&viewer, &gop, 0);
    viewer_catch_up(&viewer, &gop, 0, remember);
    CHECK_EQUAL(relayed.count, 1);
    struct rtp_frame *key = make_frame(true, 100, 30000);
    add(&gop, key);
    viewer_frame(&viewer, key, remember);
    CHECK_EQUAL(relayed.count, 2);
    CHECK_EQUAL(viewer_catch_up(&viewer, &gop, 50000000, remember), INT64_MAX);
    CHECK_EQUAL(relayed.count, 2);
    gop_clear(&gop);
}

static void test_cache_dropped_during_a_burst(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = make_gop(10, 12500, 0);
    viewer_join(&viewer, &gop, 0);
    viewer_catch_up(&viewer, &gop, 0, remember);
    gop_clear(&gop);
    CHECK_EQUAL(viewer_catch_up(&viewer, &gop, 50000000, remember), INT64_MAX);
    CHECK_EQUAL(viewer.progress, VIEWER_WAITING);
    CHECK_EQUAL(relayed.count, 1);
}

static void test_late_sender_does_not_make_up_for_all(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = make_gop(60, 12500, 0);
    viewer_join(&viewer, &gop, 0);
    viewer_catch_up(&viewer, &gop, 1000000000, remember);
    CHECK_EQUAL(relayed.count, 6);
    gop_clear(&gop);
}

static void test_replays_are_limited(void) {
    struct viewer viewer = start_viewing();
    struct gop gop = make_gop(10, 100000, 0); /* 1 MB, 2 s at 4 Mbit/s */
    int64_t s = 1000000000, at = 0;
    viewer_join(&viewer, &gop, 0);
    while (at != INT64_MAX)
        at = viewer_catch_up(&viewer, &gop, at, remember);
    CHECK_EQUAL(relayed.count, 10);
    viewer_replay(&viewer, &gop, s);
    CHECK_EQUAL(viewer.progress, VIEWER_LIVE);
    viewer_replay(&viewer, &gop, 2 * s);
    CHECK_EQUAL(viewer.progress, VIEWER_CATCHING_UP);
    viewer_replay(&viewer, &gop, 2 * s + 1);
    for (at = 2 * s; at != INT64_MAX;)
        at = viewer_catch_up(&viewer, &gop, at, remember);
    CHECK_EQUAL(relayed.count, 20);
    CHECK_EQUAL(viewer.replays, 1);
    check_times_grow();
    struct rtp_frame *frame = make_frame(false, 100, 30000);
    viewer_frame(&viewer, frame, remember);
    CHECK_EQUAL(relayed.timestamps[20], 30000); /* on time again at once */
    rtp_free(frame);
    gop_clear(&gop);
}

int main(void) {
    RUN(test_every_layout);
    RUN(test_names);
    RUN(test_absent_and_unfinished);
    RUN(test_short_objects);
    RUN(test_object_truncated_while_open);
    RUN(test_claims_of_size);
    RUN(test_times_that_are_none);
    RUN(test_layout_changes_in_place);
    RUN(test_replaced_object);
    RUN(test_traps_under_the_name);
    RUN(test_lock_held_by_another_process);
    RUN(test_peek_leaves_no_trace);
    RUN(test_start_codes);
    RUN(test_nal_units);
    RUN(test_round_trips_at_any_packet_size);
    RUN(test_kinds_of_packets);
    RUN(test_what_is_of_no_use_is_dropped);
    RUN(test_params_are_kept_for_bare_key_frames);
    RUN(test_stamp);
    RUN(test_gop);
    RUN(test_poll_clock);
    RUN(test_no_frame_is_missed_when_the_rate_rises);
    RUN(test_viewer_waits_for_a_key_frame);
    RUN(test_burst_is_paced);
    RUN(test_frames_that_come_during_a_burst);
    RUN(test_key_frame_ends_a_burst);
    RUN(test_cache_dropped_during_a_burst);
    RUN(test_late_sender_does_not_make_up_for_all);
    RUN(test_replays_are_limited);
    return summary();
}
