// SPDX-License-Identifier: MIT
/* Janus plugin "janus.plugin.ustreamer": what uStreamer puts into its H.264 memsink, by WebRTC.
 *
 * Requests come in on Janus' threads and only change the state of viewers; one thread of our own,
 * the reader, does all the reading and all the sending. It sleeps, with the sink closed, while
 * nobody watches: uStreamer then stops encoding by itself.
 *
 * One lock guards all that both sides touch. It is held while packets are relayed, so that Janus
 * can't take a handle away under the reader: destroy_session() waits for it. That can't lock up,
 * as relay_rtp() only copies the packet into a queue and calls nobody. push_event() may call back
 * and is never called under the lock. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <jansson.h>

#include <plugins/plugin.h>

#include <config.h>
#include <debug.h>
#include <refcount.h>
#include <rtcp.h>

#include "frame_num.h"
#include "gop.h"
#include "h264.h"
#include "memsink.h"
#include "poll_clock.h"
#include "rtp.h"
#include "sound.h"
#include "viewer.h"

#define PACKAGE        "janus.plugin.ustreamer"
#define VERSION        1
#define VERSION_STRING "1.0.0"
#define LOG_PREFIX     "[ustreamer] "

#define PAYLOAD_TYPE 96

#define SOUND_PAYLOAD_TYPE 111
#define SOUND_CLOCK_HZ     48000

#define MS_NS 1000000
#define S_NS  1000000000

#define REOPEN_NS       (20 * MS_NS)  /* between two tries to open the sink */
#define CHECK_NS        (50 * MS_NS)  /* between two looks whether it was replaced */
#define SIGN_OF_LIFE_NS (500 * MS_NS) /* uStreamer forgets a reader after 1 s at the least */
#define KEY_REQUEST_NS  (250 * MS_NS) /* key frames are large: not one for every lost packet */
#define STALE_NS        S_NS          /* what lay in the sink for longer is not the present */
#define GAP_LOG_NS      ((int64_t)60 * S_NS) /* a busy machine is not to fill the journal */

/* The writer holds the lock for about as long as a copy takes, unless it was stopped there. */
#define BUSY_NS       (100 * 1000)
#define BUSY_LONG_NS  (20 * MS_NS)
#define BUSY_PAUSE_NS (5 * MS_NS)

/* With nobody watching frames are only cached, which is in no hurry: it must only not miss one. */
#define UNWATCHED_NS (4 * MS_NS)

/* After an unsuccessful watch the sink is read for as long, since uStreamer may encode only for a
 * reader; viewers try again each 250 ms. */
#define RETRY_NS ((int64_t)2 * S_NS)

#define LINGER_DEFAULT_S 30
#define RTP_AHEAD_MAX_S  47721 /* once around */
#define LINGER_MAX_S     86400

enum error_code {
    ERROR_BAD_REQUEST = 400,
    ERROR_UNKNOWN_REQUEST = 405,
    ERROR_NO_VIDEO = 503,
    ERROR_UNKNOWN_LAYOUT = 505
};

struct session {
    struct session *next;
    struct viewer viewer;
    uint64_t sdp_session, sdp_version;
    bool wants_sound;   /* as its last watch said */
    bool offered_sound; /* in this connection: a medium can't be taken out of one again */
    uint16_t sound_sequence;
    uint64_t sound_packets;
};

/* Only the reader's thread touches this. */
struct reader {
    struct memsink sink;
    struct memsink_frame frame;
    struct poll_clock clock;
    struct h264_params params;
    struct frame_num numbers;
    int64_t open_at, check_at, sign_at, ask_at, busy_since;
    bool first; /* no frame taken since the sink was opened */
};

static janus_callbacks *gateway;
static char *sink_name;
static char *sound_device; /* NULL: none */
static bool has_sound;
static int64_t linger_ns;
static int64_t rtp_ahead_ns; /* so that a test need not wait until the timestamps wrap */
static pthread_t reader_thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The rest is guarded by the lock. */
static pthread_cond_t wake;
static bool poked, stopping;
static struct session *sessions;
static struct gop gop;
static int64_t wanted_until; /* the sink is read until then though nobody watches */
static bool want_key;
static int64_t reader_due; /* when the reader was to look again; 0: not before it is poked */
static struct {
    enum memsink_state state;
    int error;
    uint32_t version;
    bool known, open, can_request_key, source_online, refusing;
    uint64_t frames, refused, gaps;
    int64_t gap_log_at; /* not before */
} sink_status;

/* From a frame's capture to its last packet's way into Janus: how many frames took so long at the
 * most, and how many took longer. */
static const int latency_bounds_ms[] = {5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000};
#define LATENCY_BOUNDS (sizeof latency_bounds_ms / sizeof *latency_bounds_ms)
static struct {
    uint64_t frames, held_back; /* of viewers that are gone */
    uint64_t latency_frames[LATENCY_BOUNDS + 1];
    int64_t latency_ns;
} totals;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * S_NS + now.tv_nsec;
}

/* A moment of CLOCK_MONOTONIC as packets carry it. */
static uint32_t rtp_time_at(int64_t moment_ns, int hz) {
    moment_ns += rtp_ahead_ns;
    return (uint32_t)(moment_ns / 1000 * (hz / 1000) / 1000);
}

static uint32_t rtp_time(int64_t moment_ns) {
    return rtp_time_at(moment_ns, RTP_CLOCK_HZ);
}

/* ---- Under the lock ---- */

static void poke_reader(void) {
    poked = true;
    int64_t now = now_ns();
    if (!reader_due || reader_due > now)
        reader_due = now;
    pthread_cond_signal(&wake);
}

static void request_key(void) {
    want_key = true;
    poke_reader();
}

/* The list decides which handles are alive, not what they point to: Janus may call for one again
 * after destroy_session(). */
static struct session *find_session(const janus_plugin_session *handle) {
    struct session *session = sessions;
    while (session && session->viewer.handle != handle)
        session = session->next;
    return session;
}

static bool anybody_watches(void) {
    for (const struct session *session = sessions; session; session = session->next) {
        if (session->viewer.watching)
            return true;
    }
    return false;
}

static bool listens(const struct session *session) {
    return session->wants_sound && viewer_active(&session->viewer);
}

/* To be called when that may have changed for one. */
static void count_listeners(void) {
    bool any = false;
    for (const struct session *session = sessions; session; session = session->next)
        any |= listens(session);
    if (has_sound)
        sound_want(any);
}

static void stop_watching(struct session *session) {
    session->viewer.watching = false;
    session->wants_sound = false;
    count_listeners();
    viewer_restart(&session->viewer);
    poke_reader();
}

static void relay(void *handle, uint8_t *packet, uint16_t length) {
    janus_plugin_rtp rtp;
    janus_plugin_rtp_reset(&rtp);
    rtp.mindex = 0; /* the offer's only medium */
    rtp.video = TRUE;
    rtp.buffer = (char *)packet;
    rtp.length = length;
    /* Show it at once: without this on each frame browsers hold frames back to play smoothly. */
    rtp.extensions.min_delay = 0;
    rtp.extensions.max_delay = 0;
    gateway->relay_rtp(handle, &rtp);
}

static void relay_sound(void *handle, uint8_t *packet, uint16_t length) {
    janus_plugin_rtp rtp;
    janus_plugin_rtp_reset(&rtp);
    rtp.mindex = 1;
    rtp.video = FALSE;
    rtp.buffer = (char *)packet;
    rtp.length = length;
    gateway->relay_rtp(handle, &rtp);
}

/* Whether anybody was sent it. */
static bool deliver(struct rtp_frame *frame) {
    bool cached = gop_add(&gop, frame), sent = false;
    if (frame->key)
        want_key = false;
    for (struct session *session = sessions; session; session = session->next)
        sent |= viewer_frame(&session->viewer, frame, relay);
    if (!cached)
        rtp_free(frame);
    return sent;
}

static void note_latency(int64_t ns) {
    size_t bound = 0;
    while (bound < LATENCY_BOUNDS && ns > (int64_t)latency_bounds_ms[bound] * MS_NS)
        bound++;
    totals.latency_frames[bound]++;
    totals.latency_ns += ns;
}

static int64_t catch_up(int64_t now) {
    int64_t again = INT64_MAX;
    for (struct session *session = sessions; session; session = session->next) {
        int64_t at = viewer_catch_up(&session->viewer, &gop, now, relay);
        if (at < again)
            again = at;
    }
    return again;
}

static void interrupt_stream(void) {
    gop_clear(&gop);
    for (struct session *session = sessions; session; session = session->next)
        viewer_restart(&session->viewer);
}

/* Both the reader and the request watch find out about the sink; the log has each change once. */
static void note_sink(const struct memsink *sink, enum memsink_state state) {
    char text[160];
    if (sink_status.known && state == sink_status.state && sink->version == sink_status.version &&
        sink->error == sink_status.error)
        return;
    sink_status.known = true;
    sink_status.state = state;
    sink_status.version = sink->version;
    sink_status.error = sink->error;
    memsink_describe(sink, state, text, sizeof text);
    if (state == MEMSINK_READY)
        JANUS_LOG(LOG_INFO, LOG_PREFIX "%s: %s\n", sink->path, text);
    else
        JANUS_LOG(LOG_WARN, LOG_PREFIX "%s: %s\n", sink->path, text);
}

static void note_data(const struct memsink *sink, bool refused) {
    sink_status.frames += !refused;
    sink_status.refused += refused;
    if (refused && !sink_status.refusing)
        JANUS_LOG(LOG_WARN,
                  LOG_PREFIX "%s: refused data that does not begin with a start code: it is not "
                             "H.264, or the sink is not of layout %u\n",
                  sink->path, sink->version);
    sink_status.refusing = refused;
}

/* The sink holds only the newest frame, so one is missed if the reader was kept from looking in
 * time, or the writer from writing. The rest of the group would be shown with damage: the last good
 * picture stands until the next key frame. */
static void note_gap(const struct memsink *sink, int64_t now) {
    sink_status.gaps++;
    interrupt_stream();
    request_key();
    if (now < sink_status.gap_log_at)
        return;
    sink_status.gap_log_at = now + GAP_LOG_NS;
    JANUS_LOG(LOG_INFO,
              LOG_PREFIX "%s: frames were missed (%" PRIu64 " times so far; is the machine too "
                         "busy?): the picture stands until the next key frame\n",
              sink->path, sink_status.gaps);
}

/* ---- Sound, called by its thread ---- */

/* The same packet for all who listen, but for its number. The first that one gets is marked: what
 * was before it is no loss (RFC 3551, 4.1). */
static void deliver_sound(uint8_t *packet, uint16_t length, int64_t captured_ns) {
    uint32_t timestamp = rtp_time_at(captured_ns, SOUND_CLOCK_HZ);
    pthread_mutex_lock(&lock);
    for (struct session *session = sessions; session; session = session->next) {
        if (!listens(session))
            continue;
        memset(packet, 0, RTP_HEADER_LENGTH);
        packet[0] = 2 << 6; /* the version of RTP */
        packet[1] = (uint8_t)(SOUND_PAYLOAD_TYPE | (session->sound_packets ? 0 : 0x80));
        rtp_stamp(packet, session->sound_sequence++, timestamp);
        relay_sound(session->viewer.handle, packet, length);
        session->sound_packets++;
    }
    pthread_mutex_unlock(&lock);
}

static void say_of_sound(bool good, const char *sentence) {
    if (good)
        JANUS_LOG(LOG_INFO, LOG_PREFIX "%s\n", sentence);
    else
        JANUS_LOG(LOG_WARN, LOG_PREFIX "%s\n", sentence);
}

/* ---- The reader ---- */

static void close_sink(struct reader *reader) {
    memsink_close(&reader->sink);
    reader->clock = (struct poll_clock){0};
    reader->busy_since = 0;
    h264_params_clear(&reader->params);
    reader->numbers = (struct frame_num){0};
    pthread_mutex_lock(&lock);
    interrupt_stream();
    sink_status.open = false;
    pthread_mutex_unlock(&lock);
}

static bool open_sink(struct reader *reader, int64_t now) {
    if (now < reader->open_at)
        return false;
    enum memsink_state state = memsink_open(&reader->sink);
    reader->open_at = now + REOPEN_NS;
    reader->check_at = now + CHECK_NS;
    reader->sign_at = reader->ask_at = now;
    reader->first = true;
    pthread_mutex_lock(&lock);
    note_sink(&reader->sink, state);
    sink_status.open = state == MEMSINK_READY;
    sink_status.can_request_key = memsink_can_request_key(&reader->sink);
    want_key = true;
    pthread_mutex_unlock(&lock);
    return state == MEMSINK_READY;
}

static void take_frame(struct reader *reader, int64_t now) {
    const struct memsink_frame *frame = &reader->frame;
    int64_t encoded = frame->encoded, captured = frame->captured;
    /* A writer with another idea of time is taken at the time of arrival. */
    if (encoded > now || encoded < now - STALE_NS)
        encoded = now;
    poll_clock_frame(&reader->clock, encoded);
    bool stale = captured >= 0 && captured < now - STALE_NS;
    bool known = captured >= 0 && captured <= now && !stale;
    if (!known)
        captured = now;
    if (reader->first && stale)
        return;
    reader->first = false;
    bool good = h264_is_annex_b(frame->data, frame->used);
    bool gap = good && frame_num_gap(&reader->numbers, frame->data, frame->used);
    struct rtp_frame *packets = NULL;
    if (good)
        packets =
            rtp_packetise(frame->data, frame->used, RTP_PACKET_MAX, PAYLOAD_TYPE, &reader->params);
    pthread_mutex_lock(&lock);
    note_data(&reader->sink, frame->used && !good);
    if (gap)
        note_gap(&reader->sink, now);
    sink_status.source_online = frame->source_online;
    if (packets) {
        packets->timestamp = rtp_time(captured);
        if (deliver(packets) && known)
            note_latency(now_ns() - captured);
    }
    pthread_mutex_unlock(&lock);
}

/* Reads what there is. The time to look again, in ns. */
static int64_t look(struct reader *reader, bool ask_key, int64_t now) {
    struct memsink *sink = &reader->sink;
    if (sink->fd < 0 && !open_sink(reader, now))
        return reader->open_at;
    if (now >= reader->check_at) {
        reader->check_at = now + CHECK_NS;
        if (memsink_replaced(sink)) {
            JANUS_LOG(LOG_INFO, LOG_PREFIX "%s: replaced or removed\n", sink->path);
            close_sink(reader);
            reader->open_at = now;
            return now;
        }
    }
    ask_key = ask_key && memsink_can_request_key(sink) && now >= reader->ask_at;
    if (!ask_key && now < reader->sign_at && !memsink_has_news(sink))
        return poll_clock_next(&reader->clock, now);
    enum memsink_result result = memsink_fetch(sink, &reader->frame, ask_key);
    if (result == MEMSINK_BROKEN) {
        close_sink(reader);
        return reader->open_at;
    }
    if (result == MEMSINK_BUSY) {
        if (!reader->busy_since)
            reader->busy_since = now;
        return now + (now - reader->busy_since < BUSY_LONG_NS ? BUSY_NS : BUSY_PAUSE_NS);
    }
    reader->busy_since = 0;
    reader->sign_at = now + SIGN_OF_LIFE_NS;
    if (ask_key)
        reader->ask_at = now + KEY_REQUEST_NS;
    if (result == MEMSINK_FRAME)
        take_frame(reader, now);
    return poll_clock_next(&reader->clock, now);
}

/* Under the lock. Returns early when poked. */
static void sleep_until(int64_t at) {
    struct timespec time = {.tv_sec = (time_t)(at / S_NS), .tv_nsec = (long)(at % S_NS)};
    while (!poked && pthread_cond_timedwait(&wake, &lock, &time) != ETIMEDOUT)
        ;
    poked = false;
}

/* Under the lock, which is left for closing the sink. */
static void sleep_until_wanted(struct reader *reader) {
    if (reader->sink.fd >= 0) {
        pthread_mutex_unlock(&lock);
        JANUS_LOG(LOG_INFO, LOG_PREFIX "%s: closed, nobody watches\n", reader->sink.path);
        close_sink(reader);
        pthread_mutex_lock(&lock);
    }
    reader->open_at = 0;
    if (!poked)
        reader_due = 0;
    while (!poked)
        pthread_cond_wait(&wake, &lock);
    poked = false;
}

static void *run_reader(void *argument) {
    struct reader *reader = argument;
    /* Sleeps are to end on time, not up to 50 us later as the kernel otherwise may. This needs no
     * privilege; if it fails, frames are met as much later. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    pthread_mutex_lock(&lock);
    while (!stopping) {
        int64_t now = now_ns();
        bool watched = anybody_watches(), ask_key = want_key;
        reader_due = now;
        if (watched && wanted_until < now + linger_ns)
            wanted_until = now + linger_ns;
        if (!watched && now >= wanted_until) {
            sleep_until_wanted(reader);
            continue;
        }
        pthread_mutex_unlock(&lock);
        int64_t again = look(reader, ask_key, now);
        if (again > reader->check_at && reader->sink.fd >= 0)
            again = reader->check_at;
        if (!watched && again < now + UNWATCHED_NS)
            again = now + UNWATCHED_NS;
        pthread_mutex_lock(&lock);
        int64_t burst = catch_up(now_ns());
        if (!poked)
            reader_due = burst < again ? burst : again;
        sleep_until(burst < again ? burst : again);
    }
    pthread_mutex_unlock(&lock);
    memsink_close(&reader->sink);
    h264_params_clear(&reader->params);
    free(reader->frame.data);
    free(reader);
    return NULL;
}

/* ---- Requests ---- */

static janus_plugin *this_plugin(void);

static void push(janus_plugin_session *handle, const char *transaction, json_t *event,
                 json_t *jsep) {
    gateway->push_event(handle, this_plugin(), transaction, event, jsep);
    json_decref(event);
    json_decref(jsep);
}

static void push_status(janus_plugin_session *handle, const char *transaction, const char *status,
                        json_t *jsep) {
    push(handle, transaction,
         json_pack("{s:s, s:{s:s}}", "ustreamer", "event", "result", "status", status), jsep);
}

static void push_error(janus_plugin_session *handle, const char *transaction, enum error_code code,
                       const char *text) {
    push(handle, transaction,
         json_pack("{s:s, s:i, s:s}", "ustreamer", "event", "error_code", (int)code, "error", text),
         NULL);
}

/* The second medium, for who asked for it; with no sound in it for who did before and does no
 * longer. */
static char *make_sound_offer(struct session *session) {
    session->offered_sound |= session->wants_sound;
    if (!session->offered_sound)
        return g_strdup("");
    return g_strdup_printf("m=audio 9 UDP/TLS/RTP/SAVPF %d\r\n"
                           "c=IN IP4 0.0.0.0\r\n"
                           "a=rtpmap:%d opus/%d/2\r\n"
                           "a=fmtp:%d minptime=20;stereo=1;sprop-stereo=1\r\n"
                           "a=%s\r\n",
                           SOUND_PAYLOAD_TYPE, SOUND_PAYLOAD_TYPE, SOUND_CLOCK_HZ,
                           SOUND_PAYLOAD_TYPE, session->wants_sound ? "sendonly" : "inactive");
}

/* Janus adds what belongs to the transport. All parameters of the format stand in one line, since
 * some receivers keep the last one only. 42E01F is level 3.1, which every browser offers and none
 * insists on; the stream's own SPS tells the true level. */
static char *make_offer(struct session *session) {
    char *sound = make_sound_offer(session);
    char *offer =
        g_strdup_printf("v=0\r\n"
                        "o=- %" PRIu64 " %" PRIu64 " IN IP4 127.0.0.1\r\n"
                        "s=uStreamer\r\n"
                        "t=0 0\r\n"
                        "m=video 9 UDP/TLS/RTP/SAVPF %d\r\n"
                        "c=IN IP4 0.0.0.0\r\n"
                        "a=rtpmap:%d H264/90000\r\n"
                        "a=fmtp:%d profile-level-id=42E01F;packetization-mode=1;"
                        "level-asymmetry-allowed=1\r\n"
                        "a=rtcp-fb:%d nack\r\n"
                        "a=rtcp-fb:%d nack pli\r\n"
                        "a=rtcp-fb:%d ccm fir\r\n"
                        "a=extmap:1 http://www.webrtc.org/experiments/rtp-hdrext/"
                        "playout-delay\r\n"
                        "a=sendonly\r\n"
                        "%s",
                        session->sdp_session, ++session->sdp_version, PAYLOAD_TYPE, PAYLOAD_TYPE,
                        PAYLOAD_TYPE, PAYLOAD_TYPE, PAYLOAD_TYPE, PAYLOAD_TYPE, sound);
    g_free(sound);
    return offer;
}

/* An offer goes out as soon as the sink holds H.264, without waiting for SPS, PPS and a key frame:
 * setting up the connection takes 60 to 100 ms, and meanwhile they are cached or asked for. If
 * nothing was ever put into the sink, or something else than H.264, no offer is made: it would
 * promise a picture that may never come, and the viewer would not learn why. */
static bool is_watchable(char *text, size_t length, enum error_code *code) {
    struct memsink sink;
    uint8_t start[4];
    size_t got;
    memsink_init(&sink, sink_name);
    enum memsink_state state = memsink_peek(&sink, start, sizeof start, &got);
    pthread_mutex_lock(&lock);
    note_sink(&sink, state);
    pthread_mutex_unlock(&lock);
    if (state == MEMSINK_READY && h264_is_annex_b(start, got))
        return true;
    *code = state == MEMSINK_UNKNOWN_LAYOUT ? ERROR_UNKNOWN_LAYOUT : ERROR_NO_VIDEO;
    if (state != MEMSINK_READY)
        memsink_describe(&sink, state, text, length);
    else if (got == 0)
        g_strlcpy(text, "uStreamer has not put a frame into its memsink yet", length);
    else
        g_strlcpy(text, "What is in uStreamer's memsink is not H.264", length);
    return false;
}

static void want_sink_for_retry(void) {
    int64_t until = now_ns() + RETRY_NS;
    pthread_mutex_lock(&lock);
    if (wanted_until < until)
        wanted_until = until;
    poke_reader();
    pthread_mutex_unlock(&lock);
}

/* As upstream's plugin takes it: {"request": "watch", "params": {"audio": true}}. */
static void handle_watch(janus_plugin_session *handle, const char *transaction,
                         const json_t *params) {
    bool wants_sound = has_sound && json_is_true(json_object_get(params, "audio"));
    enum error_code code;
    char text[160], *sdp = NULL;
    if (!is_watchable(text, sizeof text, &code)) {
        if (code == ERROR_NO_VIDEO)
            want_sink_for_retry();
        push_error(handle, transaction, code, text);
        return;
    }
    pthread_mutex_lock(&lock);
    struct session *session = find_session(handle);
    if (session) {
        session->viewer.watching = true;
        session->wants_sound = wants_sound;
        count_listeners();
        viewer_join(&session->viewer, &gop, now_ns());
        if (session->viewer.progress == VIEWER_WAITING)
            want_key = true;
        poke_reader();
        sdp = make_offer(session);
    }
    pthread_mutex_unlock(&lock);
    if (sdp)
        push_status(handle, transaction, "started",
                    json_pack("{s:s, s:s}", "type", "offer", "sdp", sdp));
    g_free(sdp);
}

/* Frames flow from watch on. A viewer whose connection is still coming up is near it now: a new
 * key frame makes what it has to catch up with short. */
static void handle_start(janus_plugin_session *handle, const char *transaction) {
    pthread_mutex_lock(&lock);
    const struct session *session = find_session(handle);
    if (session && session->viewer.watching && !session->viewer.connected)
        request_key();
    pthread_mutex_unlock(&lock);
    push_status(handle, transaction, "started", NULL);
}

static void handle_stop(janus_plugin_session *handle, const char *transaction) {
    pthread_mutex_lock(&lock);
    struct session *session = find_session(handle);
    if (session)
        stop_watching(session);
    pthread_mutex_unlock(&lock);
    push_status(handle, transaction, "stopped", NULL);
}

/* The same variable as upstream's, which the page may use as its STUN server; but without it none
 * is named: viewers are not to talk to somebody outside unasked. The clock is that of the frames'
 * RTP timestamps, which tell when they were captured: so a viewer learns their age. How late the
 * reader is tells whoever watches over this program that it hangs. */
static void handle_features(janus_plugin_session *handle, const char *transaction) {
    pthread_mutex_lock(&lock);
    int64_t late_ns = reader_due ? now_ns() - reader_due : 0;
    pthread_mutex_unlock(&lock);
    const char *url = getenv("JANUS_USTREAMER_WEB_ICE_URL");
    json_t *ice = json_pack("{s:s}", "url", url ? url : "");
    json_t *clock = json_pack("{s:I, s:i}", "rtp_timestamp", (json_int_t)rtp_time(now_ns()), "hz",
                              RTP_CLOCK_HZ);
    push(handle, transaction,
         json_pack("{s:s, s:{s:s, s:{s:b, s:b, s:o, s:o, s:I}}}", "ustreamer", "event", "result",
                   "status", "features", "features", "audio", has_sound, "mic", 0, "ice", ice,
                   "clock", clock, "reader_late_ms",
                   (json_int_t)(late_ns > 0 ? late_ns / MS_NS : 0)),
         NULL);
}

/* For who watches over this program: nothing that a page asks for. Totals since its start. */
static void handle_statistics(janus_plugin_session *handle, const char *transaction) {
    json_t *bounds = json_array(), *frames = json_array();
    json_int_t viewers = 0, listeners = 0;
    struct sound_statistics heard = sound_statistics();
    pthread_mutex_lock(&lock);
    uint64_t sent = totals.frames, held_back = totals.held_back;
    for (const struct session *session = sessions; session; session = session->next) {
        viewers += viewer_active(&session->viewer);
        listeners += listens(session);
        sent += session->viewer.frames;
        held_back += session->viewer.held_back;
    }
    for (size_t i = 0; i <= LATENCY_BOUNDS; i++) {
        if (i < LATENCY_BOUNDS)
            json_array_append_new(bounds, json_integer(latency_bounds_ms[i]));
        json_array_append_new(frames, json_integer((json_int_t)totals.latency_frames[i]));
    }
    json_t *latency = json_pack("{s:o, s:o, s:I}", "bounds_ms", bounds, "frames", frames, "sum_us",
                                (json_int_t)(totals.latency_ns / 1000));
    json_t *statistics = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "viewers", viewers,
                                   "frames_read", (json_int_t)sink_status.frames, "gaps",
                                   (json_int_t)sink_status.gaps, "frames_sent", (json_int_t)sent,
                                   "frames_held_back", (json_int_t)held_back, "latency", latency);
    if (has_sound)
        json_object_set_new(statistics, "sound",
                            json_pack("{s:I, s:b, s:I, s:I, s:I}", "listeners", listeners, "open",
                                      heard.open, "opened", (json_int_t)heard.opened, "packets",
                                      (json_int_t)heard.packets, "silent",
                                      (json_int_t)heard.silent));
    pthread_mutex_unlock(&lock);
    push(handle, transaction,
         json_pack("{s:s, s:{s:s, s:o}}", "ustreamer", "event", "result", "status", "statistics",
                   "statistics", statistics),
         NULL);
}

static void handle_key_required(void) {
    pthread_mutex_lock(&lock);
    request_key();
    pthread_mutex_unlock(&lock);
}

static struct janus_plugin_result *handle_message(janus_plugin_session *handle, char *transaction,
                                                  json_t *message, json_t *jsep) {
    const json_t *request = json_object_get(message, "request");
    const char *name = json_string_value(request);
    if (!request)
        push_error(handle, transaction, ERROR_BAD_REQUEST, "Request missing");
    else if (!name)
        push_error(handle, transaction, ERROR_BAD_REQUEST, "Request not a string");
    else if (!strcmp(name, "watch"))
        handle_watch(handle, transaction, json_object_get(message, "params"));
    else if (!strcmp(name, "start"))
        handle_start(handle, transaction);
    else if (!strcmp(name, "stop"))
        handle_stop(handle, transaction);
    else if (!strcmp(name, "features"))
        handle_features(handle, transaction);
    else if (!strcmp(name, "statistics"))
        handle_statistics(handle, transaction);
    else if (!strcmp(name, "key_required"))
        handle_key_required();
    else
        push_error(handle, transaction, ERROR_UNKNOWN_REQUEST, "Not implemented");
    g_free(transaction);
    json_decref(message);
    json_decref(jsep);
    return janus_plugin_result_new(JANUS_PLUGIN_OK_WAIT, NULL, NULL);
}

static json_t *handle_admin_message(json_t *message) {
    (void)message;
    return json_pack("{s:s}", "error", "Not implemented");
}

/* ---- What Janus tells about handles ---- */

/* Janus counts a reference of the plugin's to each handle, from here to destroy_session(). */
static void create_session(janus_plugin_session *handle, int *error) {
    (void)error;
    struct session *session = g_new0(struct session, 1);
    session->viewer.handle = handle;
    session->viewer.sequence = (uint16_t)g_random_int();
    session->sound_sequence = (uint16_t)g_random_int();
    session->sdp_session = (uint64_t)g_get_real_time();
    handle->plugin_handle = session;
    pthread_mutex_lock(&lock);
    session->next = sessions;
    sessions = session;
    pthread_mutex_unlock(&lock);
}

static void destroy_session(janus_plugin_session *handle, int *error) {
    pthread_mutex_lock(&lock);
    struct session **link = &sessions;
    while (*link && (*link)->viewer.handle != handle)
        link = &(*link)->next;
    struct session *session = *link;
    if (session) {
        *link = session->next;
        totals.frames += session->viewer.frames;
        totals.held_back += session->viewer.held_back;
        handle->plugin_handle = NULL;
        count_listeners();
        poke_reader();
    } else {
        *error = -2;
    }
    pthread_mutex_unlock(&lock);
    g_free(session);
    /* Last, as it may free the handle. Kept, each viewer would cost Janus an open file for ever. */
    if (session)
        janus_refcount_decrease(&handle->ref);
}

static void setup_media(janus_plugin_session *handle) {
    pthread_mutex_lock(&lock);
    struct session *session = find_session(handle);
    if (session) {
        session->viewer.connected = true;
        count_listeners();
        viewer_join(&session->viewer, &gop, now_ns());
        poke_reader();
    }
    pthread_mutex_unlock(&lock);
}

/* Called more than once for one hang-up, also before setup_media() or after destroy_session(). */
static void hangup_media(janus_plugin_session *handle) {
    pthread_mutex_lock(&lock);
    struct session *session = find_session(handle);
    if (session) {
        session->viewer.connected = false;
        session->offered_sound = false;
        session->sound_packets = 0;
        stop_watching(session);
    }
    pthread_mutex_unlock(&lock);
}

/* A decoder that lost something shows nothing right before the next key frame. */
static void incoming_rtcp(janus_plugin_session *handle, janus_plugin_rtcp *packet) {
    if (!janus_rtcp_has_pli(packet->buffer, packet->length) &&
        !janus_rtcp_has_fir(packet->buffer, packet->length))
        return;
    pthread_mutex_lock(&lock);
    struct session *session = find_session(handle);
    if (session) {
        session->viewer.key_requests++;
        if (sink_status.can_request_key)
            want_key = true;
        else
            viewer_replay(&session->viewer, &gop, now_ns());
        poke_reader();
    }
    pthread_mutex_unlock(&lock);
}

static json_t *query_session(janus_plugin_session *handle) {
    static const char *const progress[] = {"waiting", "catching up", "live"};
    static const char *const state[] = {"ready", "absent", "not ready", "unknown layout"};
    json_t *info = NULL;
    pthread_mutex_lock(&lock);
    const struct session *session = find_session(handle);
    if (session) {
        const struct viewer *viewer = &session->viewer;
        info = json_pack("{s:b, s:b, s:s, s:I, s:I, s:I, s:I, "
                         "s:{s:s, s:b, s:I, s:b, s:b, s:I, s:I, s:I}, s:{s:I, s:I}}",
                         "watching", viewer->watching, "connected", viewer->connected, "progress",
                         progress[viewer->progress], "frames", (json_int_t)viewer->frames,
                         "packets", (json_int_t)viewer->packets, "key_requests",
                         (json_int_t)viewer->key_requests, "replays", (json_int_t)viewer->replays,
                         "sink", "state", state[sink_status.state], "open", sink_status.open,
                         "layout", (json_int_t)sink_status.version, "key_on_demand",
                         sink_status.can_request_key, "source_online", sink_status.source_online,
                         "frames", (json_int_t)sink_status.frames, "refused",
                         (json_int_t)sink_status.refused, "gaps", (json_int_t)sink_status.gaps,
                         "cache", "frames", (json_int_t)gop.count, "bytes", (json_int_t)gop.bytes);
    }
    pthread_mutex_unlock(&lock);
    return info ? info : json_object();
}

/* ---- Life of the plugin ---- */

static const char *config_value(janus_config *config, const char *section, const char *key) {
    janus_config_category *category =
        janus_config_get(config, NULL, janus_config_type_category, section);
    janus_config_item *item =
        category ? janus_config_get(config, category, janus_config_type_item, key) : NULL;
    return item ? item->value : NULL;
}

static bool apply_config(janus_config *config, const char *path) {
    struct memsink sink;
    guint64 linger_s = LINGER_DEFAULT_S, ahead_s = 0;
    const char *ahead = config_value(config, "video", "rtp_ahead_seconds");
    const char *linger = config_value(config, "video", "linger_seconds");
    const char *name = config_value(config, "video", "sink");
    if (!name)
        name = config_value(config, "memsink", "object");
    if (!name || !memsink_init(&sink, name)) {
        JANUS_LOG(LOG_ERR,
                  LOG_PREFIX "%s: video.sink (or memsink.object) is %s%s, but must name "
                             "uStreamer's H.264 sink\n",
                  path, name ? "" : "missing", name ? name : "");
        return false;
    }
    if (linger && !g_ascii_string_to_unsigned(linger, 10, 0, LINGER_MAX_S, &linger_s, NULL)) {
        JANUS_LOG(LOG_ERR,
                  LOG_PREFIX "%s: video.linger_seconds is %s, but must be 0 to %d seconds\n", path,
                  linger, LINGER_MAX_S);
        return false;
    }
    if (ahead && !g_ascii_string_to_unsigned(ahead, 10, 0, RTP_AHEAD_MAX_S, &ahead_s, NULL)) {
        JANUS_LOG(LOG_ERR,
                  LOG_PREFIX "%s: video.rtp_ahead_seconds is %s, but must be 0 to %d seconds\n",
                  path, ahead, RTP_AHEAD_MAX_S);
        return false;
    }
    sink_name = g_strdup(name);
    sound_device = g_strdup(config_value(config, "audio", "device"));
    rtp_ahead_ns = (int64_t)ahead_s * S_NS;
    linger_ns = (int64_t)linger_s * S_NS;
    return true;
}

static bool read_config(const char *folder) {
    char *path = g_strdup_printf("%s/" PACKAGE ".jcfg", folder);
    janus_config *config = janus_config_parse(path);
    bool good = false;
    if (config)
        good = apply_config(config, path);
    else
        JANUS_LOG(LOG_ERR, LOG_PREFIX "%s: missing, or not to be read\n", path);
    if (config)
        janus_config_destroy(config);
    g_free(path);
    return good;
}

static bool start_reader(void) {
    struct reader *reader = calloc(1, sizeof *reader);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!reader)
        return false;
    memsink_init(&reader->sink, sink_name);
    if (pthread_create(&reader_thread, NULL, run_reader, reader) == 0)
        return true;
    free(reader);
    return false;
}

/* Without it there is still the picture. */
static void start_sound(void) {
    if (!sound_device)
        return;
    if (!sound_is_built_in)
        JANUS_LOG(LOG_ERR,
                  LOG_PREFIX "audio.device is %s, but this plugin was built without sound\n",
                  sound_device);
    else if (!sound_start(sound_device, RTP_HEADER_LENGTH, deliver_sound, say_of_sound))
        JANUS_LOG(LOG_ERR, LOG_PREFIX "can't start the thread for sound\n");
    else
        has_sound = true;
}

static int init(janus_callbacks *callbacks, const char *config_path) {
    if (!read_config(config_path))
        return -1;
    gateway = callbacks;
    if (!start_reader()) {
        JANUS_LOG(LOG_ERR, LOG_PREFIX "can't start the reader's thread\n");
        return -1;
    }
    start_sound();
    JANUS_LOG(LOG_INFO, LOG_PREFIX "will show memsink %s\n", sink_name);
    return 0;
}

static void destroy(void) {
    pthread_mutex_lock(&lock);
    stopping = true;
    poke_reader();
    pthread_mutex_unlock(&lock);
    pthread_join(reader_thread, NULL);
    if (has_sound)
        sound_stop();
    has_sound = false;
    pthread_mutex_lock(&lock);
    gop_clear(&gop);
    while (sessions) {
        struct session *session = sessions;
        sessions = session->next;
        g_free(session);
    }
    pthread_mutex_unlock(&lock);
    g_free(sink_name);
    g_free(sound_device);
    sound_device = NULL;
}

static int get_api_compatibility(void) {
    return JANUS_PLUGIN_API_VERSION;
}
static int get_version(void) {
    return VERSION;
}
static const char *get_version_string(void) {
    return VERSION_STRING;
}
static const char *get_description(void) {
    return "Shows uStreamer's H.264 memsink to viewers";
}
static const char *get_name(void) {
    return "ustreamer";
}
static const char *get_author(void) {
    return "the appliance's authors";
}
static const char *get_package(void) {
    return PACKAGE;
}

static janus_plugin *this_plugin(void) {
    static janus_plugin plugin = {
        .init = init,
        .destroy = destroy,
        .get_api_compatibility = get_api_compatibility,
        .get_version = get_version,
        .get_version_string = get_version_string,
        .get_description = get_description,
        .get_name = get_name,
        .get_author = get_author,
        .get_package = get_package,
        .create_session = create_session,
        .handle_message = handle_message,
        .handle_admin_message = handle_admin_message,
        .setup_media = setup_media,
        .hangup_media = hangup_media,
        .incoming_rtcp = incoming_rtcp,
        .destroy_session = destroy_session,
        .query_session = query_session,
    };
    return &plugin;
}

/* Janus looks this up by name in the shared object. */
__attribute__((visibility("default"))) janus_plugin *create(void);
janus_plugin *create(void) {
    return this_plugin();
}
