# SPDX-License-Identifier: MIT
"""`make fuzz`: what comes from outside, made up by its structure, against what must hold whatever comes.

Each target has a corpus, which `make check` tries as well."""

from tests.fuzz import hid, janus, settings, video

TARGETS = {
    target.name: target
    for target in (*hid.TARGETS, *janus.TARGETS, *settings.TARGETS, *video.TARGETS)
}
