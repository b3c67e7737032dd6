// SPDX-License-Identifier: MIT
#include "trace.h"

#include "control.h"

#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REQUEST(name)                                                                              \
    { VIDIOC_##name, #name }

static const struct {
    unsigned long request;
    const char *name;
} requests[] = {
    REQUEST(QUERYCAP),         REQUEST(S_INPUT),    REQUEST(S_STD),    REQUEST(QUERYSTD),
    REQUEST(S_DV_TIMINGS),     REQUEST(G_FMT),      REQUEST(S_FMT),    REQUEST(G_PARM),
    REQUEST(S_PARM),           REQUEST(G_JPEGCOMP), REQUEST(S_CTRL),   REQUEST(S_JPEGCOMP),
    REQUEST(G_CTRL),           REQUEST(QUERYCTRL),  REQUEST(REQBUFS),  REQUEST(QUERYBUF),
    REQUEST(EXPBUF),           REQUEST(QBUF),       REQUEST(DQBUF),    REQUEST(STREAMON),
    REQUEST(STREAMOFF),        REQUEST(DQEVENT),    REQUEST(ENUM_FMT), REQUEST(SUBSCRIBE_EVENT),
    REQUEST(QUERY_DV_TIMINGS),
};

void trace(const char *format, ...) {
    char line[256];
    va_list arguments;

    if (!config()->trace)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "v4l2_emulator: %s\n", line);
}

void trace_ioctl(const char *device, unsigned long request, int result, int error) {
    char number[24];
    const char *name = number;

    if (!config()->trace)
        return;
    snprintf(number, sizeof number, "%#lx", request);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (requests[i].request == request)
            name = requests[i].name;
    trace("%s: %s = %s", device, name, result < 0 ? strerror(error) : "ok");
}
