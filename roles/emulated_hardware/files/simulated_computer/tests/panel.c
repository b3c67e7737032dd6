// SPDX-License-Identifier: MIT
// panel PROGRAM: presses buttons by a GPIO chip as a product does, with the library preloaded,
// while the simulated computer runs as a program of its own.
#include "check.h"
#include "gpio_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, POWER = 17, RESET = 27, LED = 22 };

static char edges_path[256];

// The lines as the product requests them: two buttons and a light.
static int request(int chip, uint64_t button_flags, uint64_t first_values) {
    struct gpio_v2_line_request lines = {
        .offsets = {POWER, RESET, LED},
        .consumer = "panel",
        .config = {.flags = GPIO_V2_LINE_FLAG_INPUT,
                   .num_attrs = 2,
                   .attrs = {{.attr = {.id = GPIO_V2_LINE_ATTR_ID_FLAGS, .flags = button_flags},
                              .mask = 3},
                             {.attr = {.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES,
                                       .values = first_values},
                              .mask = 3}}},
        .num_lines = 3,
    };
    return ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &lines) < 0 ? -1 : lines.fd;
}

static bool set(int lines, uint64_t bits, uint64_t mask) {
    struct gpio_v2_line_values values = {.bits = bits, .mask = mask};
    return ioctl(lines, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) == 0;
}

static bool light(int lines) {
    struct gpio_v2_line_values values = {.mask = 4};
    CHECK(ioctl(lines, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) == 0);
    return values.bits;
}

// The edges so far: "17+17-" is a press of the power button.
static const char *edges(void) {
    static char text[1024];
    FILE *file = fopen(edges_path, "r");
    int line, level;

    *text = '\0';
    while (file && fscanf(file, "%*u %d %d", &line, &level) == 2)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d%c", line, level ? '+' : '-');
    if (file)
        fclose(file);
    return text;
}

// Whoever had them before has just gone.
static int request_until_free(int chip, uint64_t button_flags) {
    int lines = -1;

    for (int waited = 0; waited < PATIENCE_MS && lines < 0; waited++) {
        lines = request(chip, button_flags, 0);
        usleep(1000);
    }
    CHECK(lines >= 0);
    return lines;
}

static void test_the_chip_is_described(int chip) {
    struct gpiochip_info info;
    CHECK(ioctl(chip, GPIO_GET_CHIPINFO_IOCTL, &info) == 0);
    CHECK(info.lines == BOARD_LINES && strcmp(info.name, "gpiochip0") == 0);
    CHECK(ioctl(chip, GPIO_V2_GET_LINEINFO_IOCTL, &info) < 0 && errno == ENOTTY);
}

static void test_a_press_is_felt(int chip) {
    int lines = request(chip, GPIO_V2_LINE_FLAG_OUTPUT, 0);

    CHECK(lines >= 0 && light(lines));
    CHECK(strcmp(edges(), "") == 0); // nothing moves when lines are requested
    CHECK(request(chip, GPIO_V2_LINE_FLAG_OUTPUT, 0) < 0 && errno == EBUSY);
    CHECK(!set(lines, 4, 4) && errno == EPERM);
    CHECK(set(lines, 1, 1));
    usleep(60000);
    CHECK(light(lines));
    CHECK(set(lines, 0, 1) && !light(lines));
    CHECK(strcmp(edges(), "17+17-") == 0);
    // Given back in the middle of a press, the line keeps its level until it is requested again.
    CHECK(set(lines, 2, 2) && close(lines) == 0);
    CHECK(strcmp(edges(), "17+17-27+") == 0);
    lines = request_until_free(chip, GPIO_V2_LINE_FLAG_OUTPUT);
    CHECK(strcmp(edges(), "17+17-27+27-") == 0);
    CHECK(close(lines) == 0);
}

static void test_the_end_of_a_process_frees_its_lines(int chip) {
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        CHECK(set(request_until_free(chip, GPIO_V2_LINE_FLAG_OUTPUT), 1, 1));
        raise(SIGKILL);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(strcmp(edges(), "17+17-27+27-17+") == 0);
    int lines = request_until_free(chip, GPIO_V2_LINE_FLAG_OUTPUT);
    CHECK(strcmp(edges(), "17+17-27+27-17+17-") == 0);
    CHECK(close(lines) == 0);
}

static void test_active_low_is_turned_round(int chip) {
    int lines = request_until_free(chip, GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_ACTIVE_LOW);

    CHECK(strcmp(edges(), "17+17-27+27-17+17-17+27+") == 0);
    CHECK(set(lines, 1, 1));
    CHECK(strcmp(edges(), "17+17-27+27-17+17-17+27+17-") == 0);
    CHECK(close(lines) == 0);
}

static void test_what_no_chip_takes_is_refused(int chip) {
    struct gpio_v2_line_request lines = {.offsets = {BOARD_LINES}, .num_lines = 1};

    lines.config.flags = GPIO_V2_LINE_FLAG_INPUT;
    CHECK(ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &lines) < 0 && errno == EINVAL);
    CHECK(request(chip, 0, 0) < 0 && errno == EINVAL);
    CHECK(request(chip, GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_EDGE_RISING, 0) < 0);
}

int main(int count, char *arguments[]) {
    const char *folder = getenv("SIMULATED_COMPUTER");

    CHECK(count == 2 && folder);
    mkdir(folder, 0755);
    snprintf(edges_path, sizeof edges_path, "%s/edges", folder);
    char socket_path[256];
    snprintf(socket_path, sizeof socket_path, "%s/gpiochip", folder);
    unlink(socket_path);
    CHECK(open("/dev/gpiochip0", O_RDWR) < 0 && errno == ENOENT);
    unsetenv("LD_PRELOAD"); // not for the computer itself
    pid_t computer = fork();
    CHECK(computer >= 0);
    if (computer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // it does not outlive a test that failed
        execl(arguments[1], arguments[1], folder, "1280x720", "/bin/false", (char *)NULL);
        _exit(127);
    }
    int chip = -1;
    for (int waited = 0; waited < PATIENCE_MS && chip < 0; waited++) {
        chip = open("/dev/gpiochip0", O_RDWR | O_CLOEXEC);
        usleep(1000);
    }
    CHECK(chip >= 0);
    usleep(1000); // it binds, and then listens
    test_the_chip_is_described(chip);
    test_a_press_is_felt(chip);
    test_the_end_of_a_process_frees_its_lines(chip);
    test_active_low_is_turned_round(chip);
    test_what_no_chip_takes_is_refused(chip);
    int status;
    CHECK(kill(computer, SIGTERM) == 0 && waitpid(computer, &status, 0) == computer);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    puts("panel tests passed");
    return 0;
}
