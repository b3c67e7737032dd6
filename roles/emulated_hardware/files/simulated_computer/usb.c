// SPDX-License-Identifier: MIT
#include "usb.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    INTERVAL_US = 1000, // as the gadget asks for
    SLOW_INTERVAL_US = 100000,
};

static void address_of(const struct usb_port *port, int device, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "%s/hidg%d", port->folder, device);
}

static void drop(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool listening(enum usb state) {
    return state == USB_CONNECTED || state == USB_SLOW || state == USB_STUCK || state == USB_BIOS;
}

// A name that nobody listens to stands for a gadget without a host.
static int make_socket(const struct usb_port *port, int device) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address_of(port, device, &address);
    unlink(address.sun_path);
    // Whoever may open the gadget is not the computer's business.
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(address.sun_path, 0666) < 0 ||
        (listening(port->state) && listen(fd, USB_CLIENTS) < 0))
        fprintf(stderr, "simulated_computer: %s: %s.\n", address.sun_path, strerror(errno));
    return fd;
}

void usb_start(struct usb_port *port, const char *folder) {
    *port = (struct usb_port){.folder = folder, .state = USB_GONE};
    memset(port->listeners, -1, sizeof port->listeners);
    memset(port->clients, -1, sizeof port->clients);
}

void usb_switch(struct usb_port *port, enum usb state) {
    struct sockaddr_un address;

    if (state == port->state)
        return;
    bool plugged = listening(state), was_plugged = listening(port->state);
    port->state = state;
    if (plugged && was_plugged)
        return;
    port->leds = -1;
    for (int i = 0; i < DEVICES; i++) {
        drop(&port->listeners[i]);
        for (int j = 0; j < USB_CLIENTS; j++)
            drop(&port->clients[i][j]);
        address_of(port, i, &address);
        if (state == USB_GONE)
            unlink(address.sun_path);
        else
            port->listeners[i] = make_socket(port, i);
    }
}

int usb_wait_for(const struct usb_port *port, struct pollfd fds[USB_FDS], uint64_t now_us,
                 uint64_t *until_us) {
    int count = 0;

    if (!listening(port->state))
        return 0;
    for (int i = 0; i < DEVICES; i++) {
        fds[count++] = (struct pollfd){.fd = port->listeners[i], .events = POLLIN};
        if (port->state == USB_STUCK)
            continue;
        if (port->next_us[i] > now_us) {
            *until_us = port->next_us[i] < *until_us ? port->next_us[i] : *until_us;
            continue;
        }
        for (int j = 0; j < USB_CLIENTS; j++)
            if (port->clients[i][j] >= 0)
                fds[count++] = (struct pollfd){.fd = port->clients[i][j], .events = POLLIN};
    }
    return count;
}

static void accept_client(struct usb_port *port, int device) {
    int fd = accept4(port->listeners[device], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int place = 0;

    if (fd < 0)
        return;
    while (place < USB_CLIENTS && port->clients[device][place] >= 0)
        place++;
    if (place == USB_CLIENTS) {
        close(fd);
        return;
    }
    port->clients[device][place] = fd;
    if (device == DEVICE_KEYBOARD)
        port->leds = -1; // the newcomer has not heard of any
}

void usb_serve(struct usb_port *port, uint64_t now_us, usb_take *take, void *context) {
    struct written_report report;

    if (!listening(port->state))
        return;
    for (int i = 0; i < DEVICES; i++) {
        accept_client(port, i);
        if (port->state == USB_STUCK || port->next_us[i] > now_us)
            continue;
        for (int j = 0; j < USB_CLIENTS; j++) {
            int *fd = &port->clients[i][j];
            if (*fd < 0)
                continue;
            ssize_t size = recv(*fd, &report, sizeof report, 0);
            if (size > WRITTEN_HEADER) {
                port->next_us[i] =
                    now_us + (port->state == USB_SLOW ? SLOW_INTERVAL_US : INTERVAL_US);
                take(context, (enum device)i, report.bytes, (size_t)size - WRITTEN_HEADER,
                     report.written_us);
                break;
            }
            if (size >= 0 || errno != EAGAIN)
                drop(fd);
        }
    }
}

void usb_set_leds(struct usb_port *port, uint8_t leds) {
    if (port->leds == leds || !listening(port->state))
        return;
    port->leds = leds;
    for (int i = 0; i < USB_CLIENTS; i++)
        if (port->clients[DEVICE_KEYBOARD][i] >= 0)
            send(port->clients[DEVICE_KEYBOARD][i], &leds, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
