#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles Janus for native_build: from the tarball $TARBALL, or with $COMMIT from the repository that pinned_source
# keeps. From the environment: PREFIX, CONFIGURE_FLAGS, CFLAGS, LDFLAGS.
set -eu
cd "$CACHE_DIRECTORY"
rm -rf tree stage destination
mkdir tree
echo "1 of 4: unpacking"
if [ -n "$COMMIT" ]; then
    git --git-dir=repository.git archive "$COMMIT" | tar -x -C tree
else
    tar -x --strip-components=1 -C tree -f "$TARBALL"
fi
cd tree
# One compiler per core, but no more than memory bears: the largest file takes about 400 MiB.
jobs=$(awk -v cores="$(nproc)" '/MemAvailable/ { j = int($2 / 409600); print j < 1 ? 1 : j < cores ? j : cores }' /proc/meminfo)
echo "2 of 4: configuring"
sh autogen.sh
# shellcheck disable=SC2086 # a list of flags
./configure --prefix="$PREFIX" $CONFIGURE_FLAGS
echo "3 of 4: compiling"
make -j "$jobs"
echo "4 of 4: installing"
make install DESTDIR="$CACHE_DIRECTORY/destination"
# The demo pages come along whatever is configured; only the library is wanted.
rm -rf "$CACHE_DIRECTORY/destination$PREFIX/share/janus/demos" "$CACHE_DIRECTORY/destination$PREFIX/share/doc" \
    "$CACHE_DIRECTORY/destination$PREFIX/etc"
mv "$CACHE_DIRECTORY/destination$PREFIX" "$CACHE_DIRECTORY/stage"
rm -r "$CACHE_DIRECTORY/destination"
