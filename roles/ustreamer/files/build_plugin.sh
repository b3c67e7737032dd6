#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Janus plugin unless the one in place was made from the same inputs and can still be loaded.
# Prints "built", "current", or with --check "outdated" instead of building.
#   build_plugin.sh SOURCE_DIR SOURCE_CHECKSUM HEADERS_DIR PLUGIN_DIR [--check]
set -eu
source=$1 checksum=$2 headers=$3 target=$4/libjanus_ustreamer.so check=${5:-}

inputs="source $checksum, headers $(cat "$headers"/*.h "$headers"/*/*.h 2>/dev/null | sha256sum | cut -c1-64)"
if [ "$(cat "$target.built-from" 2>/dev/null)" = "$inputs" ] && [ -r "$target" ] &&
    ! ldd "$target" | grep -q 'not found'; then
    echo current
    exit
fi
if [ -n "$check" ]; then
    echo outdated
    exit
fi

build=$(mktemp --directory --tmpdir=/var/tmp)
trap 'rm -rf "$build"' EXIT
chown nobody "$build"
setpriv --reuid=nobody --regid=nogroup --clear-groups \
    make --silent -C "$source" BUILD="$build" WERROR= JANUS_CFLAGS="-I$headers"
install -m 0644 "$build/libjanus_ustreamer.so" "$target.new"
mv "$target.new" "$target"
echo "$inputs" >"$target.built-from"
echo built
