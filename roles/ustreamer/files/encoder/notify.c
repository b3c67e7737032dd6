// SPDX-License-Identifier: MIT
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <unistd.h>

/* Shorter than the supervisor's patience with a stream that stands still: who hangs is ended first.
 */
#define WATCHDOG_SECONDS 4
/* Of processes that want a processor, for each processor: with more all takes longer. */
#define BUSY_LOAD        5
#define LONGEST_SLOWNESS 6

static void send_line(const char *line) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!path || strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    sendto(fd, line, strlen(line), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
    close(fd);
}

void notify_is_ready(void) {
    send_line("READY=1");
}

static double slowness(void) {
    struct sysinfo machine;
    if (sysinfo(&machine) < 0)
        return 1;
    double load = (double)machine.loads[0] / (1 << SI_LOAD_SHIFT);
    double found = load / (double)sysconf(_SC_NPROCESSORS_ONLN) / BUSY_LOAD;
    return found < 1 ? 1 : found > LONGEST_SLOWNESS ? LONGEST_SLOWNESS : found;
}

void notify_is_alive(void) {
    char line[64];
    snprintf(line, sizeof line, "WATCHDOG_USEC=%.0f\nWATCHDOG=1",
             slowness() * WATCHDOG_SECONDS * 1e6);
    send_line(line);
}
