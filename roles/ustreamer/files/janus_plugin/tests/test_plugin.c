// SPDX-License-Identifier: MIT
/* The whole plugin against a Janus made of stubs: what viewers are answered and sent.
 * Waits are generous, since the machine may be busy; what is asserted is behaviour. */
#include <pthread.h>
#include <stdarg.h>

#include <jansson.h>

#include <plugins/plugin.h>

#include <config.h>
#include <debug.h>
#include <refcount.h>
#include <rtcp.h>

#include "sound_stand_in.h"
#include "testing.h"
#include "writer.h"

#define WAIT_NS   INT64_C(5000000000)
#define LINGER_NS INT64_C(1000000000) /* as configured below */

/* ---- What the plugin takes from Janus ---- */

int janus_log_level = LOG_INFO;
int refcount_debug;
gboolean janus_log_timestamps, janus_log_colors;
char *janus_log_global_prefix;

static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static char seen_log[65536];

void janus_vprintf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&seen_lock);
    size_t used = strlen(seen_log);
    vsnprintf(seen_log + used, sizeof seen_log - used, format, arguments);
    pthread_mutex_unlock(&seen_lock);
    va_end(arguments);
}

/* By how much timestamps are ahead of the uptime. */
#define AHEAD "20000"
static const char *config_sink, *config_object, *config_linger = "1", *config_ahead = AHEAD;
static const char *config_sound;

janus_config *janus_config_parse(const char *path) {
    return g_str_has_suffix(path, "/janus.plugin.ustreamer.jcfg") ? g_malloc0(1) : NULL;
}

void janus_config_destroy(janus_config *config) {
    g_free(config);
}

janus_config_container *janus_config_get(janus_config *config, janus_config_container *parent,
                                         janus_config_type type, const char *name) {
    static janus_config_container video, memsink, audio, item;
    (void)config;
    if (type == janus_config_type_category)
        return !strcmp(name, "video")     ? &video
               : !strcmp(name, "memsink") ? &memsink
               : !strcmp(name, "audio")   ? &audio
                                          : NULL;
    const char *value = NULL;
    if (parent == &audio && !strcmp(name, "device"))
        value = config_sound;
    if (parent == &video && !strcmp(name, "sink"))
        value = config_sink;
    if (parent == &video && !strcmp(name, "linger_seconds"))
        value = config_linger;
    if (parent == &video && !strcmp(name, "rtp_ahead_seconds"))
        value = config_ahead;
    if (parent == &memsink && !strcmp(name, "object"))
        value = config_object;
    item.value = value;
    return value ? &item : NULL;
}

janus_plugin_result *janus_plugin_result_new(janus_plugin_result_type type, const char *text,
                                             json_t *content) {
    janus_plugin_result *result = g_new0(janus_plugin_result, 1);
    result->type = type;
    result->text = text;
    result->content = content;
    return result;
}

void janus_plugin_rtp_reset(janus_plugin_rtp *packet) {
    memset(packet, 0, sizeof *packet);
    packet->mindex = -1;
    packet->extensions.min_delay = packet->extensions.max_delay = -1;
}

gboolean janus_rtcp_has_pli(char *packet, int length) {
    return length >= 12 && packet[0] == (char)0x81 && packet[1] == (char)206;
}

gboolean janus_rtcp_has_fir(char *packet, int length) {
    return length >= 12 && packet[0] == (char)0x84 && packet[1] == (char)206;
}

/* ---- A gateway that remembers ---- */

enum { HANDLES = 8, FRAMES_MAX = 100000 };

struct seen_frame {
    int64_t at; /* of its last packet */
    uint32_t number, timestamp;
    bool key;
};

static struct seen {
    janus_plugin_session handle;
    bool gone;  /* for the plugin: destroy_session() has returned */
    bool freed; /* nobody has a reference any more */
    json_t *event, *jsep;
    struct seen_frame *frames;
    size_t count, packets;
    struct {
        size_t packets;
        uint16_t sequence;
        uint32_t timestamp;
        bool marked; /* the last */
    } sound;
    uint16_t sequence;
    uint32_t open_timestamp;
    uint32_t number;
    bool key, broken;
} seen[HANDLES];

static struct seen *seen_by(const janus_plugin_session *handle) {
    return (struct seen *)((uintptr_t)handle - offsetof(struct seen, handle));
}

static void handle_freed(const janus_refcount *counter) {
    seen_by(janus_refcount_containerof(counter, janus_plugin_session, ref))->freed = true;
}

static void fail(struct seen *s, const char *what) {
    if (!s->broken)
        printf("  handle %d: %s\n", (int)(s - seen), what);
    s->broken = true;
}

static int push_event(janus_plugin_session *handle, janus_plugin *plugin, const char *transaction,
                      json_t *message, json_t *jsep) {
    struct seen *s = seen_by(handle);
    pthread_mutex_lock(&seen_lock);
    if (!plugin || strcmp(transaction, "T"))
        fail(s, "an event of nobody's or without its transaction");
    json_decref(s->event);
    json_decref(s->jsep);
    s->event = json_incref(message);
    s->jsep = json_incref(jsep);
    pthread_mutex_unlock(&seen_lock);
    return 0;
}

/* The number that writer_picture() hid in the slice, wherever the packet has it. */
static void read_number(struct seen *s, const uint8_t *payload, size_t length) {
    const uint8_t *slice = payload;
    int type = payload[0] & 0x1f;
    if (type == 24) {
        for (size_t i = 1; i + 2 < length; i += 2u + (size_t)(payload[i] << 8 | payload[i + 1]))
            slice = payload + i + 2;
    } else if (type == 28) {
        if (!(payload[1] & 0x80))
            return;
        slice = payload + 1;
    }
    if ((slice[0] & 0x1f) != 5 && (slice[0] & 0x1f) != 1)
        return;
    s->key = (slice[0] & 0x1f) == 5;
    s->number = 0;
    for (int i = 3; i <= 10; i++)
        s->number = s->number << 4 | (slice[i] & 0xf);
}

static void take_sound(struct seen *s, const janus_plugin_rtp *packet, uint16_t sequence,
                       uint32_t timestamp) {
    const uint8_t *p = (const uint8_t *)packet->buffer;
    if (packet->video || p[0] != 0x80 || (p[1] & 0x7f) != 111 || packet->length != 15 ||
        memcmp(p + 12, "\1\2\3", 3) != 0)
        fail(s, "odd packet of sound");
    if (s->sound.packets && sequence != (uint16_t)(s->sound.sequence + 1))
        fail(s, "sequence number of sound left out");
    s->sound.sequence = sequence;
    s->sound.timestamp = timestamp;
    s->sound.marked = p[1] & 0x80;
    s->sound.packets++;
}

static void relay_rtp(janus_plugin_session *handle, janus_plugin_rtp *packet) {
    struct seen *s = seen_by(handle);
    const uint8_t *p = (const uint8_t *)packet->buffer;
    uint16_t sequence = (uint16_t)(p[2] << 8 | p[3]);
    uint32_t timestamp = (uint32_t)p[4] << 24 | (uint32_t)(p[5] << 16 | p[6] << 8 | p[7]);
    pthread_mutex_lock(&seen_lock);
    if (s->gone)
        fail(s, "packet after destroy_session");
    if (packet->mindex == 1) {
        take_sound(s, packet, sequence, timestamp);
        pthread_mutex_unlock(&seen_lock);
        return;
    }
    if (packet->mindex != 0 || !packet->video || packet->extensions.min_delay != 0 ||
        packet->extensions.max_delay != 0 || packet->length < 14 || packet->length > 1180)
        fail(s, "odd packet");
    if (s->packets && sequence != (uint16_t)(s->sequence + 1))
        fail(s, "sequence number left out");
    if (s->count && (int32_t)(timestamp - s->frames[s->count - 1].timestamp) <= 0)
        fail(s, "time goes back");
    s->sequence = sequence;
    s->packets++;
    read_number(s, p + 12, packet->length - 12u);
    if (p[1] & 0x80 && s->count < FRAMES_MAX)
        s->frames[s->count++] = (struct seen_frame){writer_now(), s->number, timestamp, s->key};
    pthread_mutex_unlock(&seen_lock);
}

static janus_callbacks callbacks = {.push_event = push_event, .relay_rtp = relay_rtp};
extern janus_plugin *create(void);
static janus_plugin *plugin;

/* ---- The page's side ---- */

static void nap_ms(int ms) {
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

static janus_plugin_session *attach(int number) {
    struct seen *s = &seen[number];
    int error = 0;
    free(s->frames);
    *s = (struct seen){.frames = calloc(FRAMES_MAX, sizeof *s->frames)};
    plugin->create_session(&s->handle, &error);
    CHECK_EQUAL(error, 0);
    /* One for itself, one for the plugin: as Janus does, after create_session(). */
    janus_refcount_init(&s->handle.ref, handle_freed);
    janus_refcount_increase(&s->handle.ref);
    return &s->handle;
}

static void detach(int number) {
    struct seen *s = &seen[number];
    int error = 0;
    plugin->destroy_session(&s->handle, &error);
    CHECK_EQUAL(error, 0);
    pthread_mutex_lock(&seen_lock);
    s->gone = true;
    pthread_mutex_unlock(&seen_lock);
    CHECK(!s->broken);
    plugin->hangup_media(&s->handle); /* Janus may */
    CHECK(!s->freed);
    janus_refcount_decrease(&s->handle.ref);
    CHECK(s->freed);
    json_decref(s->event);
    json_decref(s->jsep);
    s->event = s->jsep = NULL;
    free(s->frames);
    s->frames = NULL;
}

/* The answer's error code, 0 for a status, -1 for none. */
static int ask_json(int number, json_t *message) {
    struct seen *s = &seen[number];
    json_decref(s->event);
    json_decref(s->jsep);
    s->event = s->jsep = NULL;
    janus_plugin_result *result = plugin->handle_message(&s->handle, g_strdup("T"), message, NULL);
    CHECK_EQUAL(result->type, JANUS_PLUGIN_OK_WAIT);
    g_free(result);
    if (!s->event)
        return -1;
    CHECK(!g_strcmp0(json_string_value(json_object_get(s->event, "ustreamer")), "event"));
    return (int)json_integer_value(json_object_get(s->event, "error_code"));
}

static int ask(int number, const char *request) {
    return ask_json(number, json_pack("{s:s}", "request", request));
}

static const char *error_text(int number) {
    const char *text = json_string_value(json_object_get(seen[number].event, "error"));
    return text ? text : "";
}

static const char *status(int number) {
    const char *text =
        json_string_value(json_object_get(json_object_get(seen[number].event, "result"), "status"));
    return text ? text : "";
}

static const char *offer(int number) {
    const char *sdp = json_string_value(json_object_get(seen[number].jsep, "sdp"));
    return sdp ? sdp : "";
}

static void rtcp(int number, bool fir) {
    char packet[20] = {(char)(fir ? 0x84 : 0x81), (char)206, 0, 4};
    janus_plugin_rtcp rtcp = {.mindex = 0, .video = TRUE, .buffer = packet, .length = 20};
    plugin->incoming_rtcp(&seen[number].handle, &rtcp);
}

static size_t count(int number) {
    pthread_mutex_lock(&seen_lock);
    size_t n = seen[number].count;
    pthread_mutex_unlock(&seen_lock);
    return n;
}

static struct seen_frame frame(int number, size_t index) {
    pthread_mutex_lock(&seen_lock);
    struct seen_frame f = index < seen[number].count ? seen[number].frames[index]
                                                     : (struct seen_frame){.number = UINT32_MAX};
    pthread_mutex_unlock(&seen_lock);
    return f;
}

static bool wait_for_count(int number, size_t n) {
    int64_t end = writer_now() + WAIT_NS;
    while (count(number) < n && writer_now() < end)
        nap_ms(1);
    return count(number) >= n;
}

static size_t times_logged(const char *text) {
    size_t n = 0;
    pthread_mutex_lock(&seen_lock);
    for (const char *at = seen_log; (at = strstr(at, text)); at++)
        n++;
    pthread_mutex_unlock(&seen_lock);
    return n;
}

static struct writer writer;
static uint8_t picture[300000];
static uint32_t put_number, put_frame_num;

static void put(size_t size, bool key) {
    put_frame_num = key ? 0 : put_frame_num + 1;
    writer_put(&writer, picture, writer_picture(picture, size, key, put_frame_num, ++put_number),
               key);
}

/* A frame that was encoded, but gone from the sink before it was read. */
static void miss(void) {
    put_frame_num++;
    put_number++;
}

/* On a busy machine the reader may come late: each frame waits until the one before was read. */
static void put_paced(int frames, size_t size) {
    for (int i = 0; i < frames; i++) {
        int64_t since = writer_now();
        put(size, false);
        while (writer_reader_seen(&writer) < since && writer_now() < since + WAIT_NS)
            nap_ms(1);
        nap_ms(9);
    }
}

static void use_writer(size_t layout) {
    writer_open(&writer, &writer_layouts[layout], "test-plugin");
    put_number = 0;
    put(100, true);
}

/* So that tests don't see each other's cache. */
static void end_writer(void) {
    writer_unlink(&writer);
    nap_ms(200);
}

static bool sink_is_open(void) {
    bool found = false;
    for (int fd = 0; fd < 256 && !found; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (fd == writer.fd || length < 0)
            continue;
        target[length] = 0;
        found = strstr(target, writer.name) != NULL;
    }
    return found;
}

static bool wait_for_sink(bool open) {
    int64_t end = writer_now() + WAIT_NS;
    while (sink_is_open() != open && writer_now() < end)
        nap_ms(5);
    return sink_is_open() == open;
}

/* A viewer with a connection and one frame of the present. */
static void view(int number) {
    attach(number);
    CHECK_EQUAL(ask(number, "watch"), 0);
    CHECK_EQUAL(ask(number, "start"), 0);
    plugin->setup_media(&seen[number].handle);
}

/* ---- Tests ---- */

static void test_wrong_requests(void) {
    attach(0);
    CHECK_EQUAL(ask_json(0, json_object()), 400);
    CHECK(!strcmp(error_text(0), "Request missing"));
    CHECK_EQUAL(ask_json(0, NULL), 400);
    CHECK_EQUAL(ask_json(0, json_pack("{s:i}", "request", 1)), 400);
    CHECK(!strcmp(error_text(0), "Request not a string"));
    CHECK_EQUAL(ask(0, "dance"), 405);
    CHECK(!strcmp(error_text(0), "Not implemented"));
    detach(0);
}

static void check_features(const char *ice_url) {
    CHECK_EQUAL(ask(0, "features"), 0);
    CHECK(!strcmp(status(0), "features"));
    const json_t *features = json_object_get(json_object_get(seen[0].event, "result"), "features");
    CHECK(json_is_true(json_object_get(features, "audio")));
    const json_t *url = json_object_get(json_object_get(features, "ice"), "url");
    CHECK(json_is_string(url) && !strcmp(json_string_value(url), ice_url));
    const json_t *clock = json_object_get(features, "clock");
    json_int_t late_ms = json_integer_value(json_object_get(features, "reader_late_ms"));
    CHECK(json_object_get(features, "reader_late_ms") && late_ms >= 0 && late_ms < 5000);
    CHECK_EQUAL(json_integer_value(json_object_get(clock, "hz")), 90000);
    /* Now, in the time of the frames: writer_now() is what they are stamped with. */
    uint32_t now = (uint32_t)(writer_now() / 1000 * 90 / 1000);
    uint32_t said = (uint32_t)json_integer_value(json_object_get(clock, "rtp_timestamp"));
    CHECK(now + (uint32_t)atoi(AHEAD) * 90000u - said < 90000);
}

struct statistics {
    uint64_t viewers, read, sent, held_back, gaps, timed;
};

static struct statistics statistics(int i) {
    CHECK_EQUAL(ask(i, "statistics"), 0);
    CHECK(!strcmp(status(i), "statistics"));
    const json_t *said = json_object_get(json_object_get(seen[i].event, "result"), "statistics");
    const json_t *latency = json_object_get(said, "latency");
    const json_t *frames = json_object_get(latency, "frames");
    CHECK_EQUAL(json_array_size(frames),
                json_array_size(json_object_get(latency, "bounds_ms")) + 1);
    uint64_t timed = 0;
    for (size_t bound = 0; bound < json_array_size(frames); bound++)
        timed += (uint64_t)json_integer_value(json_array_get(frames, bound));
    CHECK(json_integer_value(json_object_get(latency, "sum_us")) >= 0);
    return (struct statistics){
        .viewers = (uint64_t)json_integer_value(json_object_get(said, "viewers")),
        .read = (uint64_t)json_integer_value(json_object_get(said, "frames_read")),
        .sent = (uint64_t)json_integer_value(json_object_get(said, "frames_sent")),
        .held_back = (uint64_t)json_integer_value(json_object_get(said, "frames_held_back")),
        .gaps = (uint64_t)json_integer_value(json_object_get(said, "gaps")),
        .timed = timed,
    };
}

static void test_small_requests(void) {
    attach(0);
    unsetenv("JANUS_USTREAMER_WEB_ICE_URL");
    check_features(""); /* nobody outside is named unasked */
    setenv("JANUS_USTREAMER_WEB_ICE_URL", "stun:stun.example:3478", 1);
    check_features("stun:stun.example:3478");
    unsetenv("JANUS_USTREAMER_WEB_ICE_URL");
    CHECK_EQUAL(ask(0, "key_required"), -1);
    CHECK_EQUAL(ask(0, "start"), 0);
    CHECK(!strcmp(status(0), "started"));
    CHECK_EQUAL(ask(0, "stop"), 0);
    CHECK(!strcmp(status(0), "stopped"));
    json_decref(plugin->handle_admin_message(NULL));
    detach(0);
}

static void test_watch_without_sink(void) {
    attach(0);
    CHECK_EQUAL(ask(0, "watch"), 503);
    CHECK(strstr(error_text(0), "No such file"));
    detach(0);
}

static void test_watch_retried_until_there_is_something(void) {
    attach(0);
    writer_open(&writer, &writer_layouts[0], "test-plugin");
    CHECK_EQUAL(ask(0, "watch"), 503);
    /* uStreamer may encode only for a reader: the unsuccessful watch must make one. */
    CHECK(wait_for_sink(true));
    int64_t end = writer_now() + WAIT_NS;
    while (!writer_reader_seen(&writer) && writer_now() < end)
        nap_ms(5);
    CHECK(writer_reader_seen(&writer) > 0);
    writer_put(&writer, "this is not H.264", 17, false);
    CHECK_EQUAL(ask(0, "watch"), 503);
    CHECK(strstr(error_text(0), "not H.264"));
    put(100, true);
    CHECK_EQUAL(ask(0, "watch"), 0);
    CHECK(*offer(0));
    detach(0);
    end_writer();
}

static void test_unknown_layout(void) {
    attach(0);
    use_writer(8);
    writer_publish(&writer, 9);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(ask(0, "watch"), 505);
        CHECK(strstr(error_text(0), "layout 9"));
        CHECK(strstr(error_text(0), "2-8 and 10"));
    }
    CHECK_EQUAL(times_logged("layout 9, this plugin knows 2-8 and 10"), 1);
    detach(0);
    end_writer();
}

static void test_layout_changes_while_watched(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    writer_publish(&writer, 11);
    put(100, true); /* what the reader stumbles over */
    int64_t end = writer_now() + WAIT_NS;
    while (!times_logged("layout 11,") && writer_now() < end)
        nap_ms(5);
    nap_ms(100);
    CHECK_EQUAL(times_logged("layout 11,"), 1);
    CHECK_EQUAL(count(0), 1);
    writer_publish(&writer, 2);
    put(100, true);
    CHECK(wait_for_count(0, 2));
    detach(0);
    end_writer();
}

static void test_offer(void) {
    use_writer(0);
    attach(0);
    CHECK_EQUAL(ask(0, "watch"), 0);
    CHECK(!strcmp(status(0), "started"));
    CHECK(!g_strcmp0(json_string_value(json_object_get(seen[0].jsep, "type")), "offer"));
    const char *fmtp = strstr(offer(0), "a=fmtp:");
    CHECK(fmtp && !strstr(fmtp + 1, "a=fmtp:"));
    CHECK(fmtp && strstr(fmtp, "profile-level-id=42E01F;packetization-mode=1"));
    CHECK(strstr(offer(0), "a=rtcp-fb:96 nack\r\n"));
    CHECK(strstr(offer(0), "a=rtcp-fb:96 nack pli\r\n"));
    CHECK(strstr(offer(0), "a=rtcp-fb:96 ccm fir\r\n"));
    CHECK(strstr(offer(0), "rtp-hdrext/playout-delay\r\n"));
    CHECK(strstr(offer(0), "a=sendonly\r\n"));
    detach(0);
    end_writer();
}

static void test_frames_flow(void) {
    use_writer(6);
    view(0);
    view(1);
    CHECK(wait_for_count(0, 1) && wait_for_count(1, 1));
    put(50000, true);
    CHECK(wait_for_count(0, 2) && wait_for_count(1, 2));
    size_t before = count(0);
    for (int i = 0; i < 30; i++) {
        put(20000, false);
        CHECK(wait_for_count(0, before + (size_t)i + 1));
    }
    CHECK(wait_for_count(1, before + 30));
    CHECK_EQUAL(frame(0, count(0) - 1).number, put_number);
    CHECK_EQUAL(frame(1, count(1) - 1).number, put_number);
    json_t *info = plugin->query_session(&seen[0].handle);
    CHECK_EQUAL(json_integer_value(json_object_get(info, "frames")), count(0));
    CHECK(json_is_true(json_object_get(info, "watching")));
    CHECK_EQUAL(json_integer_value(json_object_get(json_object_get(info, "sink"), "layout")), 7);
    CHECK_EQUAL(json_integer_value(json_object_get(json_object_get(info, "cache"), "frames")), 31);
    json_decref(info);
    struct statistics two = statistics(0);
    CHECK_EQUAL(two.viewers, 2);
    CHECK(two.sent >= count(0) + count(1));
    CHECK(two.timed >= 31);
    detach(1);
    /* What a viewer that left was sent still counts. */
    put(100, false);
    CHECK(wait_for_count(0, before + 31));
    struct statistics one = statistics(0);
    CHECK_EQUAL(one.viewers, 1);
    CHECK_EQUAL(one.sent, two.sent + 1);
    CHECK_EQUAL(one.read, two.read + 1);
    CHECK_EQUAL(one.timed, two.timed + 1);
    detach(0);
    end_writer();
}

static void test_cache_is_replayed_to_the_next_viewer(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    put(60000, true);
    CHECK(wait_for_count(0, 2));
    put_paced(20, 20000);
    CHECK(wait_for_count(0, 22));
    view(1);
    CHECK(wait_for_count(1, 21)); /* without another frame */
    CHECK(frame(1, 0).key);
    for (size_t i = 0; i < 21; i++)
        CHECK_EQUAL(frame(1, i).number, 2 + i);
    /* In a burst the receiver brings to the present at once, and not at a blow. */
    CHECK(frame(1, 20).timestamp - frame(1, 0).timestamp <= 21 * 90);
    CHECK(frame(1, 20).at - frame(1, 0).at >= 20 * 20000 * INT64_C(80) - 6000000);
    put(100, false);
    CHECK(wait_for_count(1, 22));
    CHECK_EQUAL(frame(1, 21).number, put_number);
    detach(0);
    detach(1);
    end_writer();
}

static void test_cache_outlives_the_last_viewer(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    put(1000, true);
    CHECK(wait_for_count(0, 2));
    detach(0);
    put_paced(10, 1000); /* read though nobody watches */
    view(0);
    CHECK(wait_for_count(0, 11));
    CHECK(frame(0, 0).key);
    CHECK_EQUAL(frame(0, 0).number, 2);
    CHECK_EQUAL(frame(0, 10).number, put_number);
    detach(0);
    end_writer();
}

static void test_sink_is_closed_after_lingering(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    CHECK(sink_is_open());
    int64_t left = writer_now();
    detach(0);
    CHECK(wait_for_sink(false));
    CHECK(writer_now() - left > LINGER_NS / 2);
    long double sign = writer_sign_of_life(&writer);
    nap_ms(700);
    CHECK(writer_sign_of_life(&writer) == sign);
    view(0);
    CHECK(wait_for_sink(true));
    detach(0);
    end_writer();
}

static void test_stop_and_watch_again(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    CHECK_EQUAL(ask(0, "stop"), 0);
    size_t before = count(0);
    nap_ms(50);
    put(1000, true); /* a viewer still there would take it up */
    nap_ms(50);
    put_paced(10, 1000);
    nap_ms(100);
    CHECK_EQUAL(count(0), before);
    CHECK_EQUAL(ask(0, "watch"), 0); /* the connection is still up */
    CHECK(strstr(offer(0), " 2 IN IP4"));
    CHECK_EQUAL(ask(0, "start"), 0);
    CHECK(wait_for_count(0, before + 11));
    CHECK(frame(0, before).key);
    detach(0);
    end_writer();
}

static void test_hangup(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    plugin->hangup_media(&seen[0].handle);
    plugin->hangup_media(&seen[0].handle);
    size_t before = count(0);
    put(1000, true);
    nap_ms(50);
    put_paced(5, 1000);
    nap_ms(50);
    CHECK_EQUAL(count(0), before);
    CHECK_EQUAL(ask(0, "watch"), 0);
    nap_ms(50);
    CHECK_EQUAL(count(0), before);
    plugin->setup_media(&seen[0].handle);
    CHECK(wait_for_count(0, before + 6));
    detach(0);
    end_writer();
}

static void test_recreated_sink(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    for (size_t layout = 0; layout < WRITER_LAYOUTS; layout++) {
        size_t before = count(0);
        writer_unlink(&writer);
        writer_open(&writer, &writer_layouts[layout], "test-plugin");
        int64_t since = writer_now();
        while (!writer_reader_seen(&writer) && writer_now() < since + WAIT_NS)
            nap_ms(1);
        CHECK(writer_reader_seen(&writer) - since < 100000000);
        put(100, false); /* continues nothing */
        nap_ms(20);
        put(100, true);
        CHECK(wait_for_count(0, before + 1));
        CHECK_EQUAL(frame(0, before).number, put_number);
    }
    writer_unlink(&writer);
    CHECK(wait_for_sink(false));
    CHECK_EQUAL(ask(0, "watch"), 503);
    use_writer(0);
    size_t before = count(0);
    put(100, true);
    CHECK(wait_for_count(0, before + 1));
    detach(0);
    end_writer();
}

static void test_lost_picture_where_no_key_can_be_asked_for(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    put_paced(9, 1000);
    CHECK(wait_for_count(0, 10));
    nap_ms(600); /* since the first burst */
    rtcp(0, false);
    CHECK(wait_for_count(0, 20));
    CHECK(frame(0, 10).key);
    CHECK_EQUAL(frame(0, 10).number, 1);
    CHECK_EQUAL(frame(0, 19).number, put_number);
    for (int i = 0; i < 20; i++) /* not for each */
        rtcp(0, i % 2);
    nap_ms(100);
    CHECK_EQUAL(count(0), 20);
    nap_ms(500);
    rtcp(0, true);
    CHECK(wait_for_count(0, 30));
    detach(0);
    end_writer();
}

static void test_lost_picture_where_a_key_can_be_asked_for(void) {
    use_writer(8);
    view(0);
    CHECK(wait_for_count(0, 1));
    put(100, true);
    CHECK(wait_for_count(0, 2));
    nap_ms(300); /* since the last request */
    put(100, true);
    CHECK(wait_for_count(0, 3));
    CHECK(!writer_key_requested(&writer));
    rtcp(0, false);
    int64_t end = writer_now() + WAIT_NS;
    while (!writer_key_requested(&writer) && writer_now() < end)
        nap_ms(1);
    CHECK(writer_key_requested(&writer));
    CHECK_EQUAL(count(0), 3);
    put(100, true);
    CHECK(wait_for_count(0, 4));
    CHECK(!writer_key_requested(&writer));
    rtcp(0, true); /* too soon: put off, not forgotten */
    nap_ms(20);
    end = writer_now() + WAIT_NS;
    while (!writer_key_requested(&writer) && writer_now() < end)
        nap_ms(1);
    CHECK(writer_key_requested(&writer));
    detach(0);
    end_writer();
}

static json_int_t figure(int number, const char *of, const char *name) {
    json_t *info = plugin->query_session(&seen[number].handle);
    json_int_t value = json_integer_value(json_object_get(json_object_get(info, of), name));
    json_decref(info);
    return value;
}

static void test_missed_frame_where_no_key_can_be_asked_for(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    put_paced(20, 1000);
    CHECK(wait_for_count(0, 21));
    json_int_t gaps = figure(0, "sink", "gaps");
    struct statistics before = statistics(0);
    miss();
    put_paced(5, 1000);
    CHECK_EQUAL(figure(0, "sink", "gaps"), gaps + 1);
    struct statistics after = statistics(0);
    CHECK_EQUAL(after.gaps, before.gaps + 1);
    CHECK_EQUAL(after.sent, before.sent);
    CHECK(after.held_back > before.held_back);
    CHECK_EQUAL(figure(0, "cache", "frames"), 0);
    size_t logged = times_logged("frames were missed");
    CHECK(logged > 0);
    view(1); /* who comes now is not shown damage either */
    nap_ms(600);
    rtcp(0, false); /* replays were allowed again */
    rtcp(1, true);
    miss();
    miss();
    put_paced(5, 1000);
    nap_ms(100);
    CHECK_EQUAL(count(0), 21);
    CHECK_EQUAL(count(1), 0);
    CHECK_EQUAL(figure(0, "sink", "gaps"), gaps + 2);
    CHECK_EQUAL(times_logged("frames were missed"), logged);
    put(1000, true);
    CHECK(wait_for_count(0, 22) && wait_for_count(1, 1));
    uint32_t key = put_number;
    put_paced(20, 1000);
    CHECK(wait_for_count(0, 42) && wait_for_count(1, 21));
    CHECK(frame(0, 21).key && frame(1, 0).key);
    for (size_t i = 0; i < 21; i++) {
        CHECK_EQUAL(frame(0, 21 + i).number, key + i);
        CHECK_EQUAL(frame(1, i).number, key + i);
    }
    CHECK_EQUAL(figure(0, "sink", "gaps"), gaps + 2);
    miss(); /* the last before a key frame: nothing refers to it */
    put(1000, true);
    CHECK(wait_for_count(0, 43));
    CHECK_EQUAL(figure(0, "sink", "gaps"), gaps + 2);
    detach(0);
    detach(1);
    end_writer();
}

static bool wait_for_key_request(void) {
    int64_t end = writer_now() + WAIT_NS;
    while (!writer_key_requested(&writer) && writer_now() < end)
        nap_ms(1);
    return writer_key_requested(&writer);
}

static void test_missed_frame_where_a_key_can_be_asked_for(void) {
    for (size_t layout = 1; layout < WRITER_LAYOUTS; layout++) {
        use_writer(layout);
        view(0);
        CHECK(wait_for_count(0, 1));
        nap_ms(300); /* since the last request */
        put(1000, true);
        CHECK(wait_for_count(0, 2));
        put_paced(2, 1000);
        CHECK(wait_for_count(0, 4));
        CHECK(!writer_key_requested(&writer));
        miss();
        put(1000, false); /* nothing comes behind it: the request must not wait for that */
        CHECK(wait_for_key_request());
        CHECK_EQUAL(count(0), 4);
        put(1000, true);
        CHECK(wait_for_count(0, 5));
        CHECK(frame(0, 4).key);
        CHECK(!writer_key_requested(&writer));
        miss();
        put(1000, false); /* too soon for another: put off, not forgotten */
        CHECK(wait_for_key_request());
        CHECK_EQUAL(count(0), 5);
        detach(0);
        end_writer();
    }
}

static void test_refused_data(void) {
    use_writer(0);
    view(0);
    CHECK(wait_for_count(0, 1));
    size_t logged = times_logged("refused data");
    for (int i = 0; i < 5; i++) {
        writer_put(&writer, "\0\0\2\1garbage", 11, false);
        nap_ms(10);
    }
    CHECK_EQUAL(count(0), 1);
    CHECK_EQUAL(times_logged("refused data"), logged + 1);
    put(100, true);
    CHECK(wait_for_count(0, 2));
    detach(0);
    end_writer();
}

static void test_writer_stopped_with_the_lock(void) {
    use_writer(6);
    view(0);
    CHECK(wait_for_count(0, 1));
    int other = open(writer.path, O_RDWR);
    CHECK_EQUAL(flock(other, LOCK_EX), 0);
    rtcp(0, false); /* asks for the lock */
    nap_ms(100);
    CHECK_EQUAL(ask(0, "stop"), 0); /* answered all the same */
    CHECK_EQUAL(ask(0, "watch"), 0);
    close(other);
    size_t before = count(0);
    put(100, true);
    CHECK(wait_for_count(0, before + 1));
    detach(0);
    end_writer();
}

static bool storm_over;

static void *storm_of_frames(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&storm_over, __ATOMIC_RELAXED)) {
        put(30000, put_number % 20 == 0);
        nap_ms(2);
    }
    return NULL;
}

static void *storm_of_viewers(void *argument) {
    int number = (int)(intptr_t)argument;
    for (int i = 0; i < 60; i++) {
        attach(number);
        ask(number, "watch");
        plugin->setup_media(&seen[number].handle);
        nap_ms(i % 7);
        rtcp(number, i % 2);
        json_decref(plugin->query_session(&seen[number].handle));
        if (i % 3 == 0)
            plugin->hangup_media(&seen[number].handle);
        if (i % 3 == 1)
            ask(number, "stop");
        detach(number);
    }
    return NULL;
}

/* ---- Sound ---- */

static int watch_with_sound(int number, bool sound) {
    return ask_json(number,
                    json_pack("{s:s, s:{s:b}}", "request", "watch", "params", "audio", sound));
}

static void deliver_sound(int64_t captured_ns) {
    uint8_t packet[64] = {[12] = 1, 2, 3};
    sound_stand_in.deliver(packet, 15, captured_ns);
}

static size_t media_in_offer(int number) {
    size_t n = 0;
    for (const char *at = offer(number); (at = strstr(at, "m=")); at += 2)
        n++;
    return n;
}

static void test_sound_is_for_who_asks(void) {
    use_writer(1);
    CHECK(!strcmp(sound_stand_in.device, "hw:CARD=test"));
    CHECK_EQUAL(sound_stand_in.header_length, 12);
    view(0);
    CHECK_EQUAL(ask(0, "watch"), 0);
    CHECK_EQUAL(media_in_offer(0), 1);
    CHECK(!sound_stand_in.wanted);
    attach(1);
    CHECK_EQUAL(watch_with_sound(1, true), 0);
    CHECK_EQUAL(media_in_offer(1), 2);
    CHECK(strstr(offer(1), "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
    CHECK(strstr(offer(1), "a=rtpmap:111 opus/48000/2\r\n"));
    CHECK(g_str_has_suffix(offer(1), "a=sendonly\r\n"));
    /* Nobody can hear anything yet. */
    CHECK(!sound_stand_in.wanted);
    plugin->setup_media(&seen[1].handle);
    CHECK(sound_stand_in.wanted);
    int64_t captured = INT64_C(100) * 1000000000;
    deliver_sound(captured);
    CHECK_EQUAL(seen[0].sound.packets, 0);
    CHECK_EQUAL(seen[1].sound.packets, 1);
    CHECK(seen[1].sound.marked);
    CHECK_EQUAL(seen[1].sound.timestamp, (uint32_t)((100 + atoll(AHEAD)) * 48000));
    deliver_sound(captured + 20000000);
    CHECK_EQUAL(seen[1].sound.timestamp, (uint32_t)((100 + atoll(AHEAD)) * 48000 + 960));
    CHECK(!seen[1].sound.marked);
    CHECK_EQUAL(ask(0, "statistics"), 0);
    const json_t *said = json_object_get(json_object_get(seen[0].event, "result"), "statistics");
    const json_t *sound = json_object_get(said, "sound");
    CHECK_EQUAL(json_integer_value(json_object_get(sound, "listeners")), 1);
    CHECK_EQUAL(json_integer_value(json_object_get(sound, "packets")), 3);
    detach(1);
    CHECK(!sound_stand_in.wanted);
    detach(0);
    end_writer();
}

/* A medium that was offered once stays in the offers of this connection. */
static void test_sound_comes_and_goes_in_a_connection(void) {
    use_writer(1);
    view(0);
    CHECK_EQUAL(watch_with_sound(0, true), 0);
    CHECK_EQUAL(media_in_offer(0), 2);
    CHECK(sound_stand_in.wanted);
    deliver_sound(1);
    CHECK_EQUAL(seen[0].sound.packets, 1);
    CHECK_EQUAL(watch_with_sound(0, false), 0);
    CHECK_EQUAL(media_in_offer(0), 2);
    CHECK(g_str_has_suffix(offer(0), "a=inactive\r\n"));
    CHECK(!sound_stand_in.wanted);
    deliver_sound(2);
    CHECK_EQUAL(seen[0].sound.packets, 1);
    CHECK_EQUAL(watch_with_sound(0, true), 0);
    CHECK(sound_stand_in.wanted);
    CHECK_EQUAL(ask(0, "stop"), 0);
    CHECK(!sound_stand_in.wanted);
    CHECK_EQUAL(watch_with_sound(0, true), 0);
    plugin->hangup_media(&seen[0].handle);
    CHECK(!sound_stand_in.wanted);
    CHECK_EQUAL(ask(0, "watch"), 0);
    CHECK_EQUAL(media_in_offer(0), 1);
    detach(0);
    end_writer();
}

static void test_wrong_params_of_watch(void) {
    use_writer(1);
    attach(0);
    CHECK_EQUAL(ask_json(0, json_pack("{s:s, s:s}", "request", "watch", "params", "audio")), 0);
    CHECK_EQUAL(media_in_offer(0), 1);
    CHECK_EQUAL(
        ask_json(0, json_pack("{s:s, s:{s:s}}", "request", "watch", "params", "audio", "yes")), 0);
    CHECK_EQUAL(media_in_offer(0), 1);
    detach(0);
    end_writer();
}

/* A device that is set up without: nothing of it is offered, counted or begun. */
static void test_no_sound(void) {
    use_writer(1);
    view(0);
    CHECK(!sound_stand_in.device);
    CHECK_EQUAL(watch_with_sound(0, true), 0);
    CHECK_EQUAL(media_in_offer(0), 1);
    CHECK(!sound_stand_in.wanted);
    CHECK_EQUAL(ask(0, "features"), 0);
    const json_t *result = json_object_get(seen[0].event, "result");
    CHECK(json_is_false(json_object_get(json_object_get(result, "features"), "audio")));
    CHECK_EQUAL(ask(0, "statistics"), 0);
    result = json_object_get(seen[0].event, "result");
    CHECK(!json_object_get(json_object_get(result, "statistics"), "sound"));
    detach(0);
    end_writer();
}

static void test_handles_come_and_go_while_frames_flow(void) {
    pthread_t frames, viewers[4];
    use_writer(0);
    storm_over = false;
    pthread_create(&frames, NULL, storm_of_frames, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&viewers[i], NULL, storm_of_viewers, (void *)(intptr_t)(i + 1));
    for (int i = 0; i < 4; i++)
        pthread_join(viewers[i], NULL);
    __atomic_store_n(&storm_over, true, __ATOMIC_RELAXED);
    pthread_join(frames, NULL);
    end_writer();
}

static void test_config(void) {
    config_sink = config_object = NULL;
    CHECK(plugin->init(&callbacks, "/etc") < 0);
    config_sink = "a/b";
    CHECK(plugin->init(&callbacks, "/etc") < 0);
    config_sink = "name";
    config_linger = "soon";
    CHECK(plugin->init(&callbacks, "/etc") < 0);
    CHECK(times_logged("video.linger_seconds is soon"));
    config_linger = "1";
    config_ahead = "47722";
    CHECK(plugin->init(&callbacks, "/etc") < 0);
    CHECK(times_logged("video.rtp_ahead_seconds is 47722"));
    config_ahead = AHEAD;
}

/* With an argument: without sound. */
int main(int count, char **arguments) {
    (void)arguments;
    char name[64];
    config_sound = count > 1 ? NULL : "hw:CARD=test";
    plugin = create();
    snprintf(name, sizeof name, "/test-plugin-%d.h264", (int)getpid());
    CHECK_EQUAL(plugin->get_api_compatibility(), JANUS_PLUGIN_API_VERSION);
    CHECK(!strcmp(plugin->get_package(), "janus.plugin.ustreamer"));
    RUN(test_config);
    config_sink = NULL;
    config_object = name;
    if (plugin->init(&callbacks, "/etc") < 0)
        return EXIT_FAILURE;
    if (!config_sound) {
        RUN(test_no_sound);
        plugin->destroy();
        return summary();
    }
    RUN(test_wrong_requests);
    RUN(test_small_requests);
    RUN(test_watch_without_sink);
    RUN(test_watch_retried_until_there_is_something);
    RUN(test_unknown_layout);
    RUN(test_layout_changes_while_watched);
    RUN(test_offer);
    RUN(test_frames_flow);
    RUN(test_cache_is_replayed_to_the_next_viewer);
    RUN(test_cache_outlives_the_last_viewer);
    RUN(test_sink_is_closed_after_lingering);
    RUN(test_stop_and_watch_again);
    RUN(test_hangup);
    RUN(test_recreated_sink);
    RUN(test_lost_picture_where_no_key_can_be_asked_for);
    RUN(test_lost_picture_where_a_key_can_be_asked_for);
    RUN(test_missed_frame_where_no_key_can_be_asked_for);
    RUN(test_missed_frame_where_a_key_can_be_asked_for);
    RUN(test_refused_data);
    RUN(test_writer_stopped_with_the_lock);
    RUN(test_sound_is_for_who_asks);
    RUN(test_sound_comes_and_goes_in_a_connection);
    RUN(test_wrong_params_of_watch);
    RUN(test_handles_come_and_go_while_frames_flow);
    plugin->destroy();
    return summary();
}
