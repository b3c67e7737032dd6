// SPDX-License-Identifier: MIT
// gadget PROGRAM: writes and reads /dev/hidgN as a product does, with the library preloaded, while
// the simulated computer runs as a program of its own.
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

static const uint8_t nothing_pressed[8];
static char control_path[256], program_path[256];

static void tell(const char *line) {
    int fd = open(control_path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line));
    close(fd);
}

// The gadget as it says it is: each function has reports of so many bytes, a digit.
static void make_gadget(const char *report_bytes) {
    char path[264];

    snprintf(path, sizeof path, "%s.new", program_path);
    FILE *program = fopen(path, "w");
    CHECK(program);
    fprintf(program, "#!/bin/sh\n[ $1 = describe ]\n");
    for (; *report_bytes; report_bytes++)
        fprintf(program, "echo 7508950%c8101\n", *report_bytes);
    CHECK(fclose(program) == 0 && chmod(path, 0755) == 0 && rename(path, program_path) == 0);
}

// Opens the keyboard anew until writing a report ends with `error` (0: success).
static int open_until(int error) {
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        int fd = open("/dev/hidg0", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == error)
            return -1;
        if (fd >= 0) {
            ssize_t sent = write(fd, nothing_pressed, sizeof nothing_pressed);
            if (error ? sent < 0 && errno == error : sent == sizeof nothing_pressed)
                return fd;
            close(fd);
        }
        usleep(1000);
    }
    CHECK(!"the port never behaved as it was told to");
    return -1;
}

static bool is_ready(int fd, short events, int patience_ms) {
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return poll(&poll_fd, 1, patience_ms) == 1 && poll_fd.revents & events;
}

static void test_leds_are_read(int fd) {
    uint8_t leds = 0;

    CHECK(is_ready(fd, POLLIN, PATIENCE_MS) && read(fd, &leds, 1) == 1 && leds == 0);
    CHECK(read(fd, &leds, 1) < 0 && errno == EAGAIN);
    tell("leds caps num\n");
    CHECK(is_ready(fd, POLLIN, PATIENCE_MS) && read(fd, &leds, 1) == 1 && leds == 3);
}

static void test_a_host_that_does_not_fetch_holds_the_writer_back(int fd) {
    int taken = 0;

    tell("usb stuck\n");
    // Until the computer has read the command it may fetch a few.
    while (is_ready(fd, POLLOUT, 200) && taken < PATIENCE_MS)
        taken += write(fd, nothing_pressed, sizeof nothing_pressed) > 0;
    CHECK(!is_ready(fd, POLLOUT, 0));
    CHECK(write(fd, nothing_pressed, sizeof nothing_pressed) < 0 && errno == EAGAIN);
    tell("usb connected\n");
    CHECK(is_ready(fd, POLLOUT, PATIENCE_MS));
    CHECK(write(fd, nothing_pressed, sizeof nothing_pressed) == sizeof nothing_pressed);
}

static void test_a_host_that_goes_shows(int fd) {
    uint8_t leds;

    tell("usb disconnected\n");
    CHECK(is_ready(fd, POLLIN, PATIENCE_MS));
    while (read(fd, &leds, 1) == 1)
        ;
    CHECK(errno == ESHUTDOWN);
    CHECK(write(fd, nothing_pressed, sizeof nothing_pressed) < 0 && errno == ESHUTDOWN);
    close(fd);
    close(open_until(ESHUTDOWN)); // it can be opened without a host
    tell("usb gone\n");
    open_until(ENOENT);
    tell("usb connected\n");
    close(open_until(0));
    tell("power off\n");
    close(open_until(ESHUTDOWN));
}

static void test_a_gadget_that_changed_or_went_is_asked_anew(void) {
    tell("power on\n");
    int fd = open_until(0);

    make_gadget("875");
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        if (write(fd, nothing_pressed, sizeof nothing_pressed) < 0 && errno != EAGAIN)
            break;
        usleep(1000);
    }
    CHECK(errno == ESHUTDOWN); // it was unplugged
    close(fd);
    close(open_until(0));
    CHECK(unlink(program_path) == 0);
    open_until(ENOENT);
    make_gadget("8x5"); // not understood
    usleep(500000);
    open_until(ENOENT);
    make_gadget("875");
    close(open_until(0));
}

static void test_other_files_are_left_alone(void) {
    int pipes[2];
    char byte = 0;

    CHECK(pipe(pipes) == 0 && write(pipes[1], "x", 1) == 1 && read(pipes[0], &byte, 1) == 1);
    CHECK(byte == 'x' && close(pipes[0]) == 0 && close(pipes[1]) == 0);
    CHECK(open("/nowhere", O_RDONLY) < 0 && errno == ENOENT);
}

int main(int count, char *arguments[]) {
    const char *folder = getenv("SIMULATED_COMPUTER");

    CHECK(count == 2 && folder);
    mkdir(folder, 0755);
    snprintf(control_path, sizeof control_path, "%s/control", folder);
    snprintf(program_path, sizeof program_path, "%s/gadget", folder);
    unlink(program_path);
    unsetenv("LD_PRELOAD"); // not for the computer itself
    pid_t computer = fork();
    CHECK(computer >= 0);
    if (computer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // it does not outlive a test that failed
        execl(arguments[1], arguments[1], folder, "1280x720", program_path, (char *)NULL);
        _exit(127);
    }
    open_until(ENOENT);
    make_gadget("875");
    int fd = open_until(0);
    test_leds_are_read(fd);
    test_a_host_that_does_not_fetch_holds_the_writer_back(fd);
    test_a_host_that_goes_shows(fd);
    test_a_gadget_that_changed_or_went_is_asked_anew();
    test_other_files_are_left_alone();
    int status;
    CHECK(kill(computer, SIGTERM) == 0 && waitpid(computer, &status, 0) == computer);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    puts("gadget tests passed");
    return 0;
}
