// SPDX-License-Identifier: MIT
#include "gadget.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { DESCRIPTOR_MAX = 512 }; // bytes

// One line of hexadecimal digits. 0 if it is none.
static size_t read_descriptor(FILE *lines, uint8_t bytes[DESCRIPTOR_MAX]) {
    size_t size = 0;
    int end = 0;

    while (size < DESCRIPTOR_MAX && fscanf(lines, "%2hhx", &bytes[size]) == 1) {
        size++;
        end = fgetc(lines);
        if (end == '\n')
            return size;
        ungetc(end, lines);
    }
    return 0;
}

static bool describe(const struct gadget *gadget, struct computer *computer) {
    char command[256];
    uint8_t bytes[DESCRIPTOR_MAX];
    bool understood = true;

    snprintf(command, sizeof command, "%s describe", gadget->program);
    FILE *lines = popen(command, "re");
    if (!lines)
        return false;
    for (int i = 0; i < DEVICES && understood; i++) {
        size_t size = read_descriptor(lines, bytes);
        understood = size > 0 && computer_attach(computer, (enum device)i, bytes, size);
    }
    return pclose(lines) == 0 && understood;
}

bool gadget_changed(struct gadget *gadget, struct computer *computer) {
    struct stat program = {0};

    if (stat(gadget->program, &program) < 0)
        program.st_ctim = (struct timespec){0};
    if (program.st_ctim.tv_sec == gadget->changed.tv_sec &&
        program.st_ctim.tv_nsec == gadget->changed.tv_nsec)
        return false;
    gadget->changed = program.st_ctim;
    computer_detach(computer);
    if (gadget->changed.tv_sec && !describe(gadget, computer)) {
        computer_detach(computer);
        fprintf(stderr, "simulated_computer: %s describe: no report descriptors.\n",
                gadget->program);
    }
    return true;
}
