# SPDX-License-Identifier: MIT
"""What root's program is asked over its socket, by a web app that somebody may have taken over."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from tinypilot import audit, healing
from tinypilot.config import Config
from tinypilot.settings import apply
from tinypilot.settings.model import Settings

from tests.fuzz.inputs import bytes_of, json_texts, lines_of
from tests.fuzz.target import Target
from tests.unit.conftest import (
    declared_by_gateway,
    declared_by_tinypilot,
    declared_by_ustreamer,
    role_file,
)

# In memory: each change is flushed to the disk, several times.
FOLDER = "/dev/shm"
EDIDS = (
    st.sampled_from(["00ffffffffffff00" + "0" * 240, "00ffffffffffff00" + "f" * 240]) | st.text()
)
# What has a meaning in an EnvironmentFile=.
ODD_TEXTS = st.sampled_from(
    ["\n", "a\nB=1", "a\\", '"a', "'", "#", " a", "a ", "$a", "\r", "\0", "ä", "\ud800"]
)


@functools.cache
def _declared() -> dict[str, dict]:
    return {
        **declared_by_ustreamer(Path("/nowhere")),
        **declared_by_tinypilot(),
        **declared_by_gateway(),
        "host-name": {
            **role_file("gateway/vars/main.yml")["__gateway_host_name_settings"],
            "environment_file": "/nowhere",
            "restart_after": ["gateway-certificate.service"],
            "fixed": [],
        },
    }


def _values(schema: dict) -> st.SearchStrategy:
    """Mostly what the schema allows, and what is just beside it."""
    match schema["type"]:
        case "integer":
            least, most = schema["minimum"], schema["maximum"]
            return st.integers(least, most) | st.sampled_from(
                [least - 1, most + 1, float(least), True, 10**30]
            )
        case "array":
            return st.lists(_values(schema["items"]), max_size=schema["maxItems"] + 1)
    # Without fullmatch an end of the line may follow it.
    patterns = (st.from_regex(schema["pattern"], fullmatch=whole) for whole in (True, False))
    return st.one_of(*patterns, ODD_TEXTS)


def _changes() -> st.SearchStrategy:
    settings = {
        name: st.none() | (EDIDS | ODD_TEXTS if "edid" in name else _values(each["schema"]))
        for declared in _declared().values()
        for name, each in declared["settings"].items()
    }
    return st.fixed_dictionaries({}, optional=settings)


REQUESTS = st.one_of(
    st.fixed_dictionaries({"by": st.sampled_from(["ann", "", "\n"]), "set": st.deferred(_changes)}),
    st.fixed_dictionaries(
        {
            "by": st.just("ann"),
            "power": st.sampled_from(["restart", "reboot", "poweroff", "halt", [], {}]),
        }
    ),
    st.fixed_dictionaries(
        {
            "by": st.just("ann"),
            "heal": st.sampled_from([*sorted(apply.HEALABLE), "ssh.service", [], "../x.service"]),
            "reason": st.sampled_from(["does not answer for 5 s", "", "\n", "%n", "x" * 201, 5]),
        }
    ),
    st.fixed_dictionaries({"by": st.just("ann"), "log": st.booleans()}),
)


class _Systemd:
    """Runs what it is told to, with every environment."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str) -> str:
        assert all(re.fullmatch(r"[\w@.=-]+", each) for each in arguments), arguments
        self.asked.append(arguments)
        return "active" if "--property=ActiveState" in arguments else "7"


def check_requests(data: bytes) -> None:
    systemd = _Systemd()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=FOLDER)))
        for owner, name, replacement in (
            (apply, "_systemctl", systemd),
            (apply, "_journal", lambda units: ""),
            (apply, "MIN_UPTIME_SECONDS", 0),
            (audit, "note", mock.Mock()),
            (healing, "note", mock.Mock()),
        ):
            stack.enter_context(mock.patch.object(owner, name, replacement))
        declarations = folder / "declarations"
        declarations.mkdir()
        for name, declared in _declared().items():
            if "environment_file" in declared:
                declared = {**declared, "environment_file": str(folder / f"{name}.env")}
            (declarations / f"{name}.json").write_text(json.dumps(declared))
        applier = apply.Applier(
            Settings.from_config(
                Config(name="pi", settings_declarations=declarations, settings_dir=folder)
            )
        )
        for line in data.split(b"\n"):
            _check_request(applier, line[: apply.LONGEST_REQUEST_BYTES], folder)
        before = _environments(folder), applier.settings.overrides()
        applier.reconcile()
        assert (_environments(folder), applier.settings.overrides()) == before


def _check_request(applier: apply.Applier, line: bytes, folder: Path) -> None:
    before, environments = applier.settings.overrides(), _environments(folder)
    told, then = apply.answer(applier, ["janus.service"], line, ["gateway-*"])
    json.dumps(told)
    assert all(re.fullmatch(r"[\w@.-]+", each) for each in then)
    after = applier.settings.overrides()
    if told:
        assert (after, _environments(folder)) == (before, environments)
    for name, value in after.items():
        applier.settings.check({name: value})
    for file in folder.glob("*.env"):
        declared = _declared()[file.stem]["settings"]
        wanted = {name: str(after[name]) for name in declared if name in after}
        assert _as_systemd_reads(file.read_text()) == wanted


def _environments(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.glob("*.env")}


def _as_systemd_reads(text: str) -> dict[str, str]:
    """An EnvironmentFile=, of which what has a meaning to systemd (systemd.exec(5)) must not be in a value."""
    assert not re.search(r"""["'\\#;$\r\0]|[^\x20-\x7e\n]""", text), text
    lines = [line.partition("=") for line in text.split("\n") if line]
    assert len({name for name, _, _ in lines}) == len(lines)
    assert all(value == value.strip() for _, _, value in lines)
    return {name: value for name, _, value in lines}


TARGETS = [
    Target(
        "settings",
        "Root's program refuses a request in a sentence and changes nothing; or what is set is within its schema, "
        "systemd reads the same from the environment files, and the next start finds nothing to do.",
        check_requests,
        lines_of(bytes_of(json_texts(REQUESTS)), most=6),
    )
]
