// SPDX-License-Identifier: MIT
/* The least a test needs: named cases, checks that say what they found, a summary. */
#ifndef TESTING_H
#define TESTING_H

#include <stdio.h>
#include <stdlib.h>

static int tests_passed, tests_failed, checks_failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("  %s:%d: %s\n", __FILE__, __LINE__, #condition);                               \
            checks_failed++;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_EQUAL(got, expected)                                                                 \
    do {                                                                                           \
        long long got_ = (long long)(got), expected_ = (long long)(expected);                      \
        if (got_ != expected_) {                                                                   \
            printf("  %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_, expected_);  \
            checks_failed++;                                                                       \
        }                                                                                          \
    } while (0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        checks_failed = 0;                                                                         \
        test();                                                                                    \
        printf("%s %s\n", checks_failed ? "FAIL" : "ok  ", #test);                                 \
        fflush(stdout);                                                                            \
        *(checks_failed ? &tests_failed : &tests_passed) += 1;                                     \
    } while (0)

static inline int summary(void) {
    printf("%d passed, %d failed\n", tests_passed, tests_failed);
    return tests_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
