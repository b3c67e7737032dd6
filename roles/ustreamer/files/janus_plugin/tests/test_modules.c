// SPDX-License-Identifier: MIT
/* All but the Janus side: sink reader, packetiser, cache, poll clock, what a viewer is sent. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bits.h"
#include "frame_num.h"
#include "gop.h"
#include "h264.h"
#include "memsink.h"
#include "poll_clock.h"
#include "rtp.h"
#include "testing.h"
#include "viewer.h"
#include "writer.h"

/* As after weeks: the clock that NTP does not correct is far from the one that it does. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_MONOTONIC_RAW)
        now->tv_sec += 3600;
    return result;
}

/* Two clocks are not read at once. */
#define CLOCKS_NS 20000000

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
        CHECK(llabs(frame.captured - captured) <= CLOCKS_NS);
        CHECK(llabs(frame.encoded - captured - 4000000) <= CLOCKS_NS);
        CHECK(frame.source_online);
        CHECK(writer_reader_seen(&writer) >= before - CLOCKS_NS);
        CHECK(writer_reader_seen(&writer) <= writer_now() + CLOCKS_NS);
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

/* ---- bits ---- */

static void test_bits(void) {
    static const uint8_t data[] = {0x67, 0xa6, 0x42, 0x98, 0xe2, 0x04, 0xa5};
    struct bits bits = bits_of((struct h264_nal){data, sizeof data});
    /* Behind the header tables 9-2 and 9-3: 1, 010, 011, 00100, ..., 0001001; then 0100101. */
    for (uint32_t i = 0; i < 9; i++)
        CHECK_EQUAL(bits_read_ue(&bits), i);
    CHECK(!bits.failed);
    bits = bits_of((struct h264_nal){data, sizeof data});
    const int expected[] = {0, 1, -1, 2, -2, 3, -3, 4, -4};
    for (int i = 0; i < 9; i++)
        CHECK_EQUAL(bits_read_se(&bits), expected[i]);
    CHECK_EQUAL(bits_read(&bits, 0), 0);
    CHECK_EQUAL(bits_read(&bits, 3), 2);
    CHECK_EQUAL(bits_read(&bits, 4), 5);
    CHECK(!bits.failed);
    CHECK_EQUAL(bits_read(&bits, 1), 0);
    CHECK(bits.failed);
    CHECK_EQUAL(bits_read_ue(&bits), 0);
    CHECK_EQUAL(bits_read_se(&bits), 0);
}

static void test_bits_with_emulation_prevention(void) {
    static const uint8_t data[] = {0x67, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0, 3, 0, 0, 3};
    static const uint8_t meant[] = {0, 0, 1, 0, 0, 0, 0, 3, 0, 3, 0, 0};
    struct bits bits = bits_of((struct h264_nal){data, sizeof data});
    for (size_t i = 0; i < sizeof meant; i++)
        CHECK_EQUAL(bits_read(&bits, 8), meant[i]);
    CHECK(!bits.failed);
    bits_read(&bits, 1);
    CHECK(bits.failed);
}

static void test_bits_of_long_codes(void) {
    static const uint8_t longest[] = {0x67, 0, 0, 3, 0, 1, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t too_long[] = {0x67, 0, 0, 3, 0, 0, 3, 0x80, 0, 0, 3, 0, 0, 3, 0x80};
    struct bits bits = bits_of((struct h264_nal){longest, sizeof longest});
    CHECK_EQUAL(bits_read_ue(&bits), UINT32_MAX - 1);
    CHECK(!bits.failed);
    bits = bits_of((struct h264_nal){longest, sizeof longest});
    CHECK_EQUAL(bits_read_se(&bits), -INT32_MAX);
    bits = bits_of((struct h264_nal){too_long, sizeof too_long});
    CHECK_EQUAL(bits_read_ue(&bits), 0);
    CHECK(bits.failed);
    for (size_t length = 1; length < sizeof longest; length++) {
        uint8_t *exact = malloc(length); /* for the sanitizer */
        memcpy(exact, longest, length);
        bits = bits_of((struct h264_nal){exact, length});
        CHECK_EQUAL(bits_read_ue(&bits), 0);
        CHECK(bits.failed);
        free(exact);
    }
}

/* ---- frame_num ---- */

/* A NAL unit written bit by bit, in the way of an encoder. */
struct maker {
    uint8_t raw[512], nal[800];
    size_t bits, length;
};

static void write_bits(struct maker *maker, int count, uint32_t value) {
    while (count-- > 0) {
        maker->raw[maker->bits / 8] |= (uint8_t)((value >> count & 1) << (7 - maker->bits % 8));
        maker->bits++;
    }
}

static void write_ue(struct maker *maker, uint32_t value) {
    int length = 1;
    while ((value + 1) >> length)
        length++;
    write_bits(maker, length - 1, 0);
    write_bits(maker, length, value + 1);
}

static void write_se(struct maker *maker, int32_t value) {
    write_ue(maker, (uint32_t)(value > 0 ? 2 * value - 1 : -2 * value));
}

/* The end of the data and the emulation prevention. */
static struct h264_nal finish(struct maker *maker, uint8_t header) {
    int zeros = 0;
    write_bits(maker, 1, 1);
    maker->nal[0] = header;
    maker->length = 1;
    for (size_t i = 0; i < (maker->bits + 7) / 8; i++) {
        if (zeros == 2 && maker->raw[i] <= 3) {
            maker->nal[maker->length++] = 3;
            zeros = 0;
        }
        zeros = maker->raw[i] ? 0 : zeros + 1;
        maker->nal[maker->length++] = maker->raw[i];
    }
    return (struct h264_nal){maker->nal, maker->length};
}

struct sps {
    uint8_t profile;
    uint32_t chroma_format;
    bool colour_planes, scaling;
    uint32_t width, poc_type; /* width: log2_max_frame_num_minus4 */
    bool gaps_allowed, fields;
};

static struct h264_nal make_sps(struct maker *maker, struct sps sps) {
    *maker = (struct maker){0};
    write_bits(maker, 24, (uint32_t)sps.profile << 16 | 40);
    write_ue(maker, 0);
    if (sps.profile >= 100 || sps.profile == 44) {
        write_ue(maker, sps.chroma_format);
        if (sps.chroma_format == 3)
            write_bits(maker, 1, sps.colour_planes);
        write_ue(maker, 0);
        write_ue(maker, 0);
        write_bits(maker, 1, 0);
        write_bits(maker, 1, sps.scaling);
        for (int i = 0; sps.scaling && i < (sps.chroma_format == 3 ? 12 : 8); i++) {
            write_bits(maker, 1, i != 1);
            if (i == 1)
                continue;
            if (i == 2) { /* a scale of 0 at the third place: no more follow */
                write_se(maker, 100);
                write_se(maker, 120);
                write_se(maker, 28);
                continue;
            }
            for (int j = 0; j < (i < 6 ? 16 : 64); j++)
                write_se(maker, j % 2 ? -3 : 3);
        }
    }
    write_ue(maker, sps.width);
    write_ue(maker, sps.poc_type);
    if (sps.poc_type == 0)
        write_ue(maker, 4);
    if (sps.poc_type == 1) {
        write_bits(maker, 1, 0);
        write_se(maker, -7);
        write_se(maker, 7);
        write_ue(maker, 3);
        for (int i = 0; i < 3; i++)
            write_se(maker, i);
    }
    write_ue(maker, 1);
    write_bits(maker, 1, sps.gaps_allowed);
    write_ue(maker, 119);
    write_ue(maker, 67);
    write_bits(maker, 1, !sps.fields);
    write_bits(maker, 4, 0xa);
    return finish(maker, 0x67);
}

static void check_sps(struct h264_nal nal, int bits) {
    struct frame_num_format format;
    CHECK(frame_num_parse_sps(nal, &format));
    CHECK_EQUAL(format.bits, bits);
    CHECK(!format.colour_planes);
    for (size_t length = 1; length < nal.length; length++) { /* VUI may be cut off, all else not */
        uint8_t *exact = malloc(length);
        memcpy(exact, nal.data, length);
        bool good = frame_num_parse_sps((struct h264_nal){exact, length}, &format);
        CHECK_EQUAL(format.bits, good ? bits : 0);
        CHECK(length >= 8 || !good);
        free(exact);
    }
}

static void test_sps_of_encoders(void) {
#define SPS(text, bits) check_sps((struct h264_nal){(const uint8_t *)text, sizeof text - 1}, bits)
    /* x264: constrained baseline of 1280x720, high, high 4:4:4. */
    SPS("\x67\x42\xc0\x1f\xda\x01\x40\x16\xe8\x40\0\0\3\0\x40\0\0\x0f\x23\xc6\x0c\xa8", 4);
    SPS("\x67\x64\0\x0d\xac\xb4\x0a\x0f\xd0\x80\0\0\3\0\x80\0\0\x1e\x47\x8a\x15\x50", 4);
    SPS("\x67\xf4\0\x0d\x91\x96\x81\x41\xfa\x10\0\0\3\0\x10\0\0\3\3\xc8\xf1\x42\xaa", 4);
    /* The Raspberry Pi's encoder: high, 1280x720. */
    SPS("\x27\x64\0\x28\xac\x2b\x40\x28\x02\xdd\0\xf1\x22\x6a", 8);
#undef SPS
}

static void test_sps_of_any_kind(void) {
    const uint8_t profiles[] = {66, 77, 88, 100, 110, 122, 244, 44, 118, 128};
    struct maker maker;
    struct frame_num_format format;
    for (size_t i = 0; i < sizeof profiles; i++) {
        for (uint32_t variant = 0; variant < 13 * 3 * 4 * 2; variant++) {
            struct sps sps = {.profile = profiles[i],
                              .width = variant % 13,
                              .poc_type = variant / 13 % 3,
                              .chroma_format = variant / 39 % 4,
                              .scaling = variant / 156 % 2};
            check_sps(make_sps(&maker, sps), 4 + (int)sps.width);
        }
    }
    CHECK(frame_num_parse_sps(
        make_sps(&maker, (struct sps){.profile = 244, .chroma_format = 3, .colour_planes = true}),
        &format));
    CHECK(format.colour_planes);
    CHECK_EQUAL(format.bits, 4);
}

static void test_sps_that_is_not_judged_by(void) {
    const uint8_t sps_66[] = {0x67, 0x42, 0, 40, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct maker maker;
    struct frame_num_format format;
    CHECK(frame_num_parse_sps(make_sps(&maker, (struct sps){.profile = 66, .gaps_allowed = true}),
                              &format));
    CHECK_EQUAL(format.bits, 0);
    CHECK(frame_num_parse_sps(make_sps(&maker, (struct sps){.profile = 66, .fields = true}),
                              &format));
    CHECK_EQUAL(format.bits, 0);
    CHECK(!frame_num_parse_sps(make_sps(&maker, (struct sps){.profile = 99}), &format));
    CHECK_EQUAL(format.bits, 0);
    CHECK(
        !frame_num_parse_sps(make_sps(&maker, (struct sps){.profile = 66, .width = 13}), &format));
    CHECK_EQUAL(format.bits, 0);
    CHECK(!frame_num_parse_sps(make_sps(&maker, (struct sps){.profile = 66, .poc_type = 3}),
                               &format));
    CHECK_EQUAL(format.bits, 0);
    CHECK(!frame_num_parse_sps((struct h264_nal){sps_66, sizeof sps_66}, &format)); /* its id */
    CHECK_EQUAL(format.bits, 0);
}

static struct h264_nal make_slice(struct maker *maker, uint8_t header, uint32_t first_mb,
                                  struct frame_num_format format, uint32_t number) {
    *maker = (struct maker){0};
    write_ue(maker, first_mb);
    write_ue(maker, (header & 0x1f) == H264_IDR ? 7 : 5);
    write_ue(maker, 0);
    if (format.colour_planes)
        write_bits(maker, 2, 1);
    write_bits(maker, format.bits, number);
    return finish(maker, header);
}

static void test_slices(void) {
    struct maker maker;
    uint32_t number;
    for (int planes = 0; planes < 2; planes++) {
        for (int bits = 4; bits <= 16; bits++) {
            struct frame_num_format format = {bits, planes};
            for (uint32_t n = 0; n < UINT32_C(1) << bits; n += 1 + n / 16) {
                struct h264_nal nal = make_slice(&maker, 0x41, 3 * n, format, n);
                CHECK(frame_num_parse_slice(nal, &format, &number));
                CHECK_EQUAL(number, n);
            }
        }
    }
    struct frame_num_format format = {16, false};
    /* first_mb_in_slice is 2^22 - 1: 22 zeros, within which an encoder must put a 3. */
    struct h264_nal nal = make_slice(&maker, 0x41, (1 << 22) - 1, format, 0);
    CHECK(!memcmp(nal.data, "\x41\0\0\3", 4));
    CHECK(frame_num_parse_slice(nal, &format, &number));
    CHECK_EQUAL(number, 0);
    for (size_t length = 1; length < nal.length; length++) {
        uint8_t *exact = malloc(length);
        memcpy(exact, nal.data, length);
        CHECK(!frame_num_parse_slice((struct h264_nal){exact, length}, &format, &number));
        free(exact);
    }
    CHECK(!frame_num_parse_slice((struct h264_nal){(const uint8_t *)"\x41\x80\xff", 3}, &format,
                                 &number));
    const uint8_t of_type_10[] = {0x41, 0x8b, 0xff, 0xff, 0xff}; /* 1 0001011 */
    CHECK(
        !frame_num_parse_slice((struct h264_nal){of_type_10, sizeof of_type_10}, &format, &number));
}

static const struct frame_num_format four_bits = {4, false};

static size_t append_nal(uint8_t *to, struct h264_nal nal) {
    memcpy(to, "\0\0\0\1", 4);
    memcpy(to + 4, nal.data, nal.length);
    return 4 + nal.length;
}

/* One access unit: of this many slices, behind an SPS if it is a key frame. */
static bool gap_at(struct frame_num *state, uint8_t header, uint32_t number, uint32_t slices) {
    struct maker maker;
    uint8_t data[1000];
    size_t used = 0;
    if ((header & 0x1f) == H264_IDR)
        used += append_nal(data, make_sps(&maker, (struct sps){.profile = 66}));
    for (uint32_t i = 0; i < slices; i++)
        used += append_nal(data + used, make_slice(&maker, header, 300 * i, four_bits, number));
    return frame_num_gap(state, data, used);
}

enum { KEY = 0x65, REFERENCE = 0x41, NO_REFERENCE = 0x01 };

static void test_no_gap(void) {
    struct frame_num state = {0};
    CHECK(!gap_at(&state, REFERENCE, 7, 1)); /* before any SPS */
    for (int group = 0; group < 3; group++) {
        CHECK(!gap_at(&state, KEY, 0, 1 + (uint32_t)group));
        for (uint32_t n = 1; n < 100; n++) /* more than once around */
            CHECK(!gap_at(&state, REFERENCE, n % 16, 1 + n % 4));
    }
    CHECK(!gap_at(&state, KEY, 0, 1)); /* two in a row */
    CHECK(!gap_at(&state, KEY, 0, 1));
    for (uint32_t n = 1; n < 50; n++) { /* what nobody refers to does not count */
        CHECK(!gap_at(&state, NO_REFERENCE, n % 16, 2));
        CHECK(!gap_at(&state, NO_REFERENCE, n % 16, 1));
        CHECK(!gap_at(&state, REFERENCE, n % 16, 1));
    }
}

static void test_gap(void) {
    for (uint32_t at = 1; at < 60; at++) {
        for (uint32_t missed = 1; missed < 16; missed++) {
            struct frame_num state = {0};
            int gaps = 0;
            gap_at(&state, KEY, 0, 1);
            for (uint32_t n = 1; n < 100; n++) {
                bool gap = (n < at || n >= at + missed) && gap_at(&state, REFERENCE, n % 16, 2);
                CHECK(gap == (n == at + missed));
                gaps += gap;
            }
            CHECK_EQUAL(gaps, 1);
        }
    }
}

static void test_gap_at_frames_without_reference(void) {
    struct frame_num state = {0};
    CHECK(!gap_at(&state, KEY, 0, 1));
    CHECK(!gap_at(&state, NO_REFERENCE, 1, 1));
    CHECK(!gap_at(&state, REFERENCE, 1, 1));
    CHECK(gap_at(&state, NO_REFERENCE, 3, 1)); /* 2 is missing */
    CHECK(!gap_at(&state, REFERENCE, 3, 1));
    CHECK(gap_at(&state, REFERENCE, 5, 1));
}

static void test_gap_before_a_key_frame_is_none(void) {
    struct frame_num state = {0};
    gap_at(&state, KEY, 0, 1);
    CHECK(!gap_at(&state, REFERENCE, 1, 1));
    CHECK(!gap_at(&state, KEY, 0, 1));
    CHECK(gap_at(&state, REFERENCE, 2, 1)); /* but right behind it */
    gap_at(&state, KEY, 0, 1);
    gap_at(&state, REFERENCE, 1, 1);
    CHECK(gap_at(&state, REFERENCE, 4, 1)); /* with the key frame itself missed: 2, 3, 0 to 3 */
}

static void test_encoder_that_does_not_count(void) {
    struct frame_num state = {0};
    int gaps = 0;
    for (uint32_t n = 0; n < 300; n++)
        gaps += gap_at(&state, n % 30 ? REFERENCE : KEY, 0, 1);
    CHECK_EQUAL(gaps, FRAME_NUM_UNEXPECTED_MAX - 1);
    /* One that counts is believed for good. */
    state = (struct frame_num){0};
    gap_at(&state, KEY, 0, 1);
    gap_at(&state, REFERENCE, 1, 1);
    for (uint32_t n = 3; n < 300; n += 2)
        CHECK(gap_at(&state, REFERENCE, n % 16, 1));
}

static void test_numbers_that_can_not_be_read(void) {
    static const uint8_t cut_slice[] = {0, 0, 1, 0x41, 0x80, 0x80};
    static const uint8_t partition[] = {0, 0, 1, 0x42, 0xff, 0xff};
    struct frame_num state = {0};
    struct maker maker;
    uint8_t data[100];
    gap_at(&state, KEY, 0, 1);
    CHECK(!gap_at(&state, REFERENCE, 1, 1));
    CHECK(!frame_num_gap(&state, cut_slice, 5));
    CHECK(!gap_at(&state, REFERENCE, 9, 1)); /* where this one stands is not known */
    CHECK(gap_at(&state, REFERENCE, 11, 1));
    CHECK(!frame_num_gap(&state, partition, sizeof partition));
    CHECK(!gap_at(&state, REFERENCE, 1, 1));
    CHECK(!frame_num_gap(&state, data, 0));
    size_t used =
        append_nal(data, make_sps(&maker, (struct sps){.profile = 66, .gaps_allowed = 1}));
    CHECK(!frame_num_gap(&state, data, used));
    for (uint32_t n = 0; n < 16; n += 3)
        CHECK(!gap_at(&state, REFERENCE, n, 1));
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
    CHECK(!viewer_frame(&viewer, slice, remember));
    CHECK_EQUAL(relayed.count, 0);
    CHECK_EQUAL(viewer.held_back, 1);
    CHECK(viewer_frame(&viewer, key, remember));
    viewer_frame(&viewer, slice, remember);
    CHECK_EQUAL(relayed.count, 2);
    CHECK_EQUAL(relayed.timestamps[1], 6001); /* a clock that goes back is not passed on */
    viewer_restart(&viewer);
    viewer_frame(&viewer, slice, remember);
    CHECK_EQUAL(relayed.count, 2);
    CHECK_EQUAL(viewer.held_back, 2);
    viewer.watching = false;
    CHECK(!viewer_frame(&viewer, key, remember));
    CHECK_EQUAL(relayed.count, 2);
    CHECK_EQUAL(viewer.held_back, 2);
    rtp_free(slice);
    rtp_free(key);
}

/* A stop or a night without frames on one connection: half a turn of the timestamp is 6.6 h. */
static void test_times_after_a_long_pause(void) {
    const uint32_t times[] = {3000, 3000 + 0x80000001u, 6000 + 0x80000001u};
    struct viewer viewer = start_viewing();
    for (size_t i = 0; i < 3; i++) {
        struct rtp_frame *key = make_frame(true, 100, times[i]);
        viewer_frame(&viewer, key, remember);
        CHECK_EQUAL(relayed.timestamps[i], times[i]);
        rtp_free(key);
    }
    CHECK_EQUAL(relayed.count, 3);
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
    RUN(test_bits);
    RUN(test_bits_with_emulation_prevention);
    RUN(test_bits_of_long_codes);
    RUN(test_sps_of_encoders);
    RUN(test_sps_of_any_kind);
    RUN(test_sps_that_is_not_judged_by);
    RUN(test_slices);
    RUN(test_no_gap);
    RUN(test_gap);
    RUN(test_gap_at_frames_without_reference);
    RUN(test_gap_before_a_key_frame_is_none);
    RUN(test_encoder_that_does_not_count);
    RUN(test_numbers_that_can_not_be_read);
    RUN(test_round_trips_at_any_packet_size);
    RUN(test_kinds_of_packets);
    RUN(test_what_is_of_no_use_is_dropped);
    RUN(test_params_are_kept_for_bare_key_frames);
    RUN(test_stamp);
    RUN(test_gop);
    RUN(test_poll_clock);
    RUN(test_no_frame_is_missed_when_the_rate_rises);
    RUN(test_viewer_waits_for_a_key_frame);
    RUN(test_times_after_a_long_pause);
    RUN(test_burst_is_paced);
    RUN(test_frames_that_come_during_a_burst);
    RUN(test_key_frame_ends_a_burst);
    RUN(test_cache_dropped_during_a_burst);
    RUN(test_late_sender_does_not_make_up_for_all);
    RUN(test_replays_are_limited);
    return summary();
}
