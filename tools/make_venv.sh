#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the virtual environment of requirements.txt.   make_venv.sh PYTHON FOLDER
set -eu
python=$1 venv=$2
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Python 3.11 or newer is needed; $python is $("$python" --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "Installing python3-venv"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
echo "Making the virtual environment $venv (about 10 s)"
"$python" -m venv "$venv"
# Into this environment, wherever the operator's settings have pip install.
unset PIP_TARGET PIP_PREFIX PIP_ROOT
pip() { PIP_USER=0 "$venv/bin/pip" --disable-pip-version-check "$@"; }
# What is in the lock file has hashes, wherever it comes from.
awk '/^uv==/ { found = 1 } found; found && !/\\$/ { exit }' requirements.txt > "$venv/uv.txt"
pip install --quiet --require-hashes --requirement "$venv/uv.txt"
# uv installs a lock file in a tenth of pip's time, and reads no pip.conf.
index=$(for place in :env: install global; do pip config get "$place.index-url" 2>/dev/null && break; done || true)
if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX-}${UV_INDEX_URL-}" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
if ! "$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.txt 2>"$venv/uv.log"; then
    echo "uv can't install the lock file ($(tail -n 1 "$venv/uv.log")); pip tries it (about a minute)"
    pip install --quiet --require-hashes --requirement requirements.txt
fi
