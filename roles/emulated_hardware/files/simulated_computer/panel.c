// SPDX-License-Identifier: MIT
#include "panel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EDGES_MAX = 1 << 20 }; // bytes of the file, which then begins anew

bool panel_start(struct panel *panel, const char *folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[sizeof address.sun_path];

    *panel = (struct panel){.listener = -1};
    for (int i = 0; i < PANEL_CLIENTS; i++)
        panel->clients[i].fd = -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/gpiochip", folder);
    snprintf(path, sizeof path, "%s/edges", folder);
    unlink(address.sun_path);
    panel->edges = fopen(path, "we");
    panel->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Whoever may open the chip is not the computer's business.
    return panel->edges && panel->listener >= 0 &&
           bind(panel->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           chmod(address.sun_path, 0666) == 0 && listen(panel->listener, PANEL_CLIENTS) == 0;
}

int panel_wait_for(const struct panel *panel, struct pollfd fds[PANEL_FDS]) {
    int count = 0;

    fds[count++] = (struct pollfd){.fd = panel->listener, .events = POLLIN};
    for (int i = 0; i < PANEL_CLIENTS; i++)
        if (panel->clients[i].fd >= 0)
            fds[count++] = (struct pollfd){.fd = panel->clients[i].fd, .events = POLLIN};
    return count;
}

static void settle(struct panel *panel, struct computer *computer, uint64_t at_us) {
    static const struct {
        int line;
        enum button button;
    } buttons[] = {{POWER_BUTTON_LINE, BUTTON_POWER}, {RESET_BUTTON_LINE, BUTTON_RESET}};
    uint64_t levels = panel->left;

    for (int i = 0; i < PANEL_CLIENTS; i++)
        if (panel->clients[i].fd >= 0)
            levels |= panel->clients[i].drive.levels & panel->clients[i].drive.outputs;
    uint64_t changed = levels ^ panel->levels;
    panel->levels = levels;
    if (changed && ftell(panel->edges) > EDGES_MAX && ftruncate(fileno(panel->edges), 0) == 0)
        rewind(panel->edges);
    for (int line = 0; line < BOARD_LINES; line++)
        if (changed >> line & 1)
            fprintf(panel->edges, "%llu %d %d\n", (unsigned long long)at_us, line,
                    (int)(levels >> line & 1));
    fflush(panel->edges);
    for (size_t i = 0; i < sizeof buttons / sizeof *buttons; i++)
        if (changed >> buttons[i].line & 1)
            computer_press(computer, buttons[i].button, levels >> buttons[i].line & 1, at_us);
}

static uint64_t seen(const struct panel *panel, const struct computer *computer) {
    uint8_t lights = computer_lights(computer);

    return panel->levels | (uint64_t) !!(lights & LIGHT_POWER) << POWER_LED_LINE |
           (uint64_t) !!(lights & LIGHT_DISK) << DISK_LED_LINE;
}

static bool is_taken(const struct panel *panel, const struct panel_client *by, uint64_t lines) {
    for (int i = 0; i < PANEL_CLIENTS; i++)
        if (&panel->clients[i] != by && panel->clients[i].fd >= 0 &&
            panel->clients[i].drive.requested & lines)
            return true;
    return false;
}

static void hear(struct panel *panel, struct panel_client *client, struct computer *computer,
                 uint64_t now_us) {
    struct gpio_drive drive;
    ssize_t size;

    while ((size = recv(client->fd, &drive, sizeof drive, 0)) == sizeof drive) {
        bool is_refused = is_taken(panel, client, drive.requested);
        if (!is_refused) {
            client->drive = drive;
            panel->left &= ~drive.outputs;
            settle(panel, computer, drive.driven_us);
        }
        struct gpio_seen answer = {.levels = seen(panel, computer),
                                   .error = is_refused ? EBUSY : 0};
        send(client->fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (size < 0 && errno == EAGAIN)
        return;
    close(client->fd);
    // As a Raspberry Pi's kernel has it: an output keeps its level until somebody requests it
    // again.
    panel->left |= client->drive.levels & client->drive.outputs;
    *client = (struct panel_client){.fd = -1};
    settle(panel, computer, now_us);
}

static void accept_client(struct panel *panel) {
    int fd = accept4(panel->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int place = 0;

    if (fd < 0)
        return;
    while (place < PANEL_CLIENTS && panel->clients[place].fd >= 0)
        place++;
    if (place == PANEL_CLIENTS)
        close(fd);
    else
        panel->clients[place] = (struct panel_client){.fd = fd};
}

void panel_serve(struct panel *panel, struct computer *computer, uint64_t now_us) {
    // Those who have gone first: another may want their lines.
    for (int i = 0; i < PANEL_CLIENTS; i++)
        if (panel->clients[i].fd >= 0)
            hear(panel, &panel->clients[i], computer, now_us);
    accept_client(panel);
}
