#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the Janus tarball in the folder $SOURCE into $CACHE_DIRECTORY/stage. Runs as a user of its own without
# network (tasks/install.yml). From the environment: PREFIX, CONFIGURE_FLAGS, CFLAGS, LDFLAGS.
set -eu
cd "$CACHE_DIRECTORY"
rm -rf tree stage
mkdir tree
tar -x --strip-components=1 -C tree -f "$SOURCE"/janus_*.orig.tar.*
cd tree
# One compiler per core, but no more than memory bears: the largest file takes about 400 MiB.
jobs=$(awk -v cores="$(nproc)" '/MemAvailable/ { j = int($2 / 409600); print j < 1 ? 1 : j < cores ? j : cores }' /proc/meminfo)
sh autogen.sh
# shellcheck disable=SC2086 # a list of flags
./configure --prefix="$PREFIX" $CONFIGURE_FLAGS
make -j "$jobs"
make install DESTDIR="$CACHE_DIRECTORY/stage"
# The demo pages come along whatever is configured; only the library is wanted.
rm -rf "$CACHE_DIRECTORY/stage$PREFIX/share/janus/demos" "$CACHE_DIRECTORY/stage$PREFIX/share/doc" "$CACHE_DIRECTORY/stage$PREFIX/etc"
