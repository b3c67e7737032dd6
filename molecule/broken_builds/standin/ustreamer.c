// SPDX-License-Identifier: MIT
// Stands in for uStreamer: Debian's, with the defect that the commit was made for.
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define DEBIANS "/usr/bin/ustreamer"

#ifdef DEFECT_uncompilable
#error this commit can not be compiled
#endif

#ifdef DEFECT_library
int standin(void);
#endif

static bool begins(const char *word, const char *beginning) {
    return strncmp(word, beginning, strlen(beginning)) == 0;
}

int main(int argc, char **argv) {
    (void)begins;
    bool asked_for_version = argc == 2 && strcmp(argv[1], "--version") == 0;
#ifdef DEFECT_voiceless
    return 1;
#endif
    if (!asked_for_version) {
#ifdef DEFECT_crashing
        return 1;
#endif
#ifdef DEFECT_hanging
        for (;;)
            pause();
#endif
#ifdef DEFECT_frameless
        // Answers, captures, encodes, and writes into another sink.
        for (int i = 1; i < argc; i++)
            if (begins(argv[i], "--h264-sink="))
                argv[i] = "--h264-sink=elsewhere::h264";
#endif
#ifdef DEFECT_sinkless
        int kept = 1;
        for (int i = 1; i < argc; i++)
            if (!begins(argv[i], "--h264-sink"))
                argv[kept++] = argv[i];
        argv[kept] = NULL;
#endif
#ifdef DEFECT_blind
        for (int i = 1; i < argc; i++)
            if (begins(argv[i], "--device="))
                argv[i] = "--device=/dev/nothing";
#endif
    }
#ifdef DEFECT_library
    standin();
#endif
    execv(DEBIANS, argv);
    return 127;
}
