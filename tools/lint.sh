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
say ansible-lint "roles and playbooks, production profile"
ansible-lint -q --nocolor
say ruff "Python"
ruff check --quiet .
ruff format --check --quiet .
say shellcheck "shell"
files '*.sh' .ci/run | xargs shellcheck
say clang-format "C"
files '*.c' '*.h' | xargs clang-format --dry-run --Werror
