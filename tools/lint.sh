#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Style and static checks. Each says what it finds; the first that finds something ends the run.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
# Ansible passes over an ansible.cfg that anybody may write to, unless it is named.
export ANSIBLE_CONFIG=$PWD/ansible.cfg

say() { printf '  %-14s %s\n' "$1" "$2"; }
files() { git ls-files --cached --others --exclude-standard -- "$@"; }

say yamllint "YAML"
yamllint --strict .
# It takes longer than all others together, so it looks only at what it has not seen good.
seen=build/ansible-lint
# A file that was deleted, and git still knows of, has no checksum; that it is gone counts.
linted=$({ files '*.yml' '*.yaml' '*.j2' '*.sh' plugins roles requirements.txt | sort -u | xargs sha256sum 2>&1 || true; } | sha256sum)
if [ "$linted" = "$(cat $seen 2>/dev/null)" ]; then
    say ansible-lint "roles and playbooks: as they were when they were good"
else
    say ansible-lint "roles and playbooks, production profile"
    ansible-lint -q --nocolor
    mkdir -p build && echo "$linted" >$seen
fi
say ruff "Python"
ruff check --quiet .
ruff format --check --quiet .
say mypy "types"
mypy --no-error-summary
say codespell "spelling"
# Words of C, of German and of protocols that look like slips.
files | grep -vE 'requirements.txt|/layouts/|/locale/|/corpus/|\.(webp|png|hex)$|font\.c$|^changelogs/' |
    xargs codespell --ignore-words-list=parm,ue,oder,ist,caf,clos,positionof,debians,iif
say biome "JavaScript and CSS"
# What it found is on its standard output, between words of its own.
found=$(biome ci --colors=off --error-on-warnings --log-level=error 2>&1) || { printf '%s\n' "$found"; exit 1; }
say shellcheck "shell"
files '*.sh' .ci/run | xargs shellcheck
say clang-format "C"
files '*.c' '*.h' | xargs clang-format --dry-run --Werror
