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
    as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
echo "Making the virtual environment $venv (about 10 s)"
"$python" -m venv "$venv"
# uv installs a lock file in a tenth of pip's time.
"$venv/bin/pip" install --quiet --disable-pip-version-check "$(sed -n 's/^uv==\([^ ]*\).*/uv==\1/p' requirements.txt)"
"$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes requirements.txt
