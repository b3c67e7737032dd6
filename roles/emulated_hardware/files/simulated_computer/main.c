// SPDX-License-Identifier: MIT
// simulated_computer FOLDER WIDTHxHEIGHT GADGET: the computer that a virtual Pi controls. In the
// folder are its USB sockets, its screen (desk.h), the file `control`, which takes commands, and
// `reports`, a line for each report that came; and the wires to its front panel (panel.h). GADGET
// is the program that makes the product's USB gadget: it tells the report descriptors.
#include "computer.h"
#include "gadget.h"
#include "panel.h"
#include "publish.h"
#include "usb.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REPORTS_MAX = 4 << 20 }; // bytes of the file, which then begins anew

struct world {
    struct computer *computer;
    struct gadget gadget;
    struct usb_port port;
    struct panel panel;
    struct desk *shared;
    int control;
    char line[256];
    size_t line_length;
    FILE *reports;
};

static volatile sig_atomic_t ended;

static void end(int signal) {
    (void)signal;
    ended = 1;
}

static uint64_t clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void take(void *context, enum device device, const uint8_t *report, size_t size,
                 uint64_t written_us) {
    struct world *world = context;

    if (!computer_take(world->computer, device, report, size, written_us))
        return;
    if (ftell(world->reports) > REPORTS_MAX && ftruncate(fileno(world->reports), 0) == 0)
        rewind(world->reports);
    fprintf(world->reports, "%llu %d", (unsigned long long)clock_us(CLOCK_REALTIME), device);
    for (size_t i = 0; i < size; i++)
        fprintf(world->reports, " %02x", report[i]);
    fputc('\n', world->reports);
    fflush(world->reports);
}

static void obey(struct world *world) {
    char bytes[256], complaint[320];
    ssize_t got;

    while ((got = read(world->control, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] != '\n') {
                if (world->line_length < sizeof world->line - 1)
                    world->line[world->line_length++] = bytes[i];
                continue;
            }
            world->line[world->line_length] = '\0';
            world->line_length = 0;
            if (world->line[0] &&
                !computer_command(world->computer, world->line, clock_us(CLOCK_MONOTONIC),
                                  complaint, sizeof complaint))
                fprintf(stderr, "simulated_computer: %s.\n", complaint);
        }
}

static void live(struct world *world) {
    struct pollfd fds[USB_FDS + PANEL_FDS + 1];
    sigset_t none;

    sigemptyset(&none);
    while (!ended) {
        uint64_t now_us = clock_us(CLOCK_MONOTONIC);
        uint64_t until_us = computer_tick(world->computer, now_us);
        if (gadget_changed(&world->gadget, world->computer))
            usb_switch(&world->port, USB_GONE);
        usb_switch(&world->port, computer_usb(world->computer));
        usb_set_leds(&world->port, computer_desk(world->computer)->leds);
        publish(world->shared, computer_desk(world->computer));

        if (!world->gadget.changed.tv_sec && now_us + GADGET_LOOK_US < until_us)
            until_us = now_us + GADGET_LOOK_US;
        int count = usb_wait_for(&world->port, fds, now_us, &until_us);
        count += panel_wait_for(&world->panel, fds + count);
        fds[count++] = (struct pollfd){.fd = world->control, .events = POLLIN};
        uint64_t wait_us = until_us > now_us ? until_us - now_us : 0;
        struct timespec wait = {(time_t)(wait_us / 1000000), (long)(wait_us % 1000000 * 1000)};
        ppoll(fds, (nfds_t)count, until_us == UINT64_MAX ? NULL : &wait, &none);
        usb_serve(&world->port, clock_us(CLOCK_MONOTONIC), take, world);
        panel_serve(&world->panel, world->computer, clock_us(CLOCK_MONOTONIC));
        obey(world);
    }
    usb_switch(&world->port, USB_GONE);
}

// Opened for writing too, so that it never ends when a writer goes.
static int open_control(const char *folder) {
    char path[256];

    snprintf(path, sizeof path, "%s/control", folder);
    return mkfifo(path, 0600) < 0 && errno != EEXIST ? -1
                                                     : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int main(int count, char *arguments[]) {
    struct world world = {0};
    char path[256];
    uint32_t width, height;
    sigset_t signals;

    if (count != 4 || sscanf(arguments[2], "%4ux%4u", &width, &height) != 2) {
        fprintf(stderr, "simulated_computer: FOLDER, WIDTHxHEIGHT and GADGET are needed.\n");
        return 2;
    }
    // They arrive in ppoll() alone.
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = end}, NULL);

    const char *folder = arguments[1];
    world.gadget.program = arguments[3];
    world.computer = computer_create(width, height);
    if (!world.computer)
        return 1;
    world.control = open_control(folder);
    snprintf(path, sizeof path, "%s/desk", folder);
    world.shared = publish_open(path);
    snprintf(path, sizeof path, "%s/reports", folder);
    world.reports = fopen(path, "we");
    if (world.control < 0 || !world.shared || !world.reports ||
        !panel_start(&world.panel, folder)) {
        fprintf(stderr, "simulated_computer: %s: %s.\n", folder, strerror(errno));
        return 1;
    }
    usb_start(&world.port, folder);
    live(&world);
    fclose(world.panel.edges);
    fclose(world.reports);
    close(world.control);
    computer_free(world.computer);
    return 0;
}
