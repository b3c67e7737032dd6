#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles uStreamer, its Janus plugin and the software encoder for native_build. From the environment:
#   COMMIT         of the repository that pinned_source keeps; empty: uStreamer is Debian's package
#   PLUGIN_SOURCE  folder with this project's plugin; empty: the plugin that comes with uStreamer
#   ENCODER_SOURCE folder with the software encoder; empty: none is wanted
#   ENCODER_SHARED folder with this project's plugin, of which the encoder has a part
#   SOUND          1: this project's plugin is built with sound
#   JANUS_HEADERS  folder with Janus' headers
#   CFLAGS, LDFLAGS
set -eu
cd "$CACHE_DIRECTORY"
rm -rf tree stage
mkdir -p tree stage/bin stage/plugins
steps=$([ -n "$ENCODER_SOURCE" ] && echo 3 || echo 2)
# One compiler per core, but no more than memory bears.
jobs=$(awk -v cores="$(nproc)" '/MemAvailable/ { j = int($2 / 204800); print j < 1 ? 1 : j < cores ? j : cores }' /proc/meminfo)

if [ -n "$COMMIT" ]; then
    echo "1 of $steps: compiling uStreamer"
    git --git-dir=repository.git archive "$COMMIT" | tar -x -C tree
    # Janus' and glib's headers for its plugin: some versions ask pkg-config for a Janus that has no file there.
    glib=$(pkg-config --cflags glib-2.0)
    make -C tree -j "$jobs" WITH_JANUS="$([ -n "$PLUGIN_SOURCE" ] || echo 1)" \
        CFLAGS="$CFLAGS -I$JANUS_HEADERS -I${JANUS_HEADERS%/janus} $glib" \
        LDFLAGS="$LDFLAGS $(pkg-config --libs glib-2.0)"
    install -m 0755 tree/ustreamer stage/bin/ustreamer
else
    ln -s /usr/bin/ustreamer stage/bin/ustreamer
fi

echo "2 of $steps: compiling the plugin"
if [ -n "$PLUGIN_SOURCE" ]; then
    make -C "$PLUGIN_SOURCE" -j "$jobs" BUILD="$PWD/tree/plugin" WERROR= SOUND="$SOUND" JANUS_CFLAGS="-I$JANUS_HEADERS"
    install -m 0644 tree/plugin/libjanus_ustreamer.so stage/plugins/
else
    install -m 0644 tree/janus/libjanus_ustreamer.so stage/plugins/
fi

if [ -n "$ENCODER_SOURCE" ]; then
    echo "3 of $steps: compiling the encoder"
    make -C "$ENCODER_SOURCE" -j "$jobs" BUILD="$PWD/tree/encoder" SHARED="$ENCODER_SHARED" WERROR=
    install -m 0755 tree/encoder/ustreamer-encoder stage/bin/
fi
