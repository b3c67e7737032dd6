# SPDX-License-Identifier: MIT
"""The power fails at each system call by which something lasting is written: strace kills the program there, before the
first of each kind, then before the second, and so on. Whatever is there then must be whole, old or new.

(What a disk has of it is for fsync, whose order test_settings.py asserts.)"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tinypilot.auth import copies, stand_in
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import ClientInfo
from tinypilot.auth.store import SCHEMA_VERSION, make_database
from tinypilot.settings.model import Settings

from .conftest import PASSWORD

ROOT = Path(__file__).parents[2]
# strace counts each kind by itself.
CALLS = (
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "link",
    "unlink",
)
# SQLite knows what to do about its own writes.
AROUND_SQLITE = ("fdatasync", "rename", "link", "unlink")
# Without systemd, and with no journal.
BEGIN = """
import sys
from pathlib import Path
from tinypilot import audit
from tinypilot.auth import copies, stand_in
from tinypilot.settings import apply
audit.note = lambda *_, **__: None
apply._systemctl = lambda *arguments: "active" if "--property=ActiveState" in arguments else "7"
apply.MIN_UPTIME_SECONDS = 0
stand_in.FOLDER = Path(sys.argv[2])
"""
CHANGE = f"{BEGIN}\napply.main()"
RESTORE = f"{BEGIN}\ncopies.restore_if_damaged(Path(sys.argv[3]), {SCHEMA_VERSION})"
BACK_TO_DISK = f"{BEGIN}\nstand_in.end(Path(sys.argv[3]))"
BITRATE = "ustreamer_h264_bitrate_kbps"


def interrupted(program, *arguments, prepare, calls=CALLS, **options):
    """Runs the program again and again, prepared each time, with another end. Yields after each."""
    times = 0
    for call in calls:
        number = 1
        while True:
            prepare()
            is_done = run(program, *arguments, killed_at=(call, number), **options)
            yield
            if is_done:
                break
            number += 1
            times += 1
    assert times > 5


def run(program, *arguments, killed_at, folders, config_file="", given=""):
    """Whether it came to its end before that call. Only calls that concern these folders count."""
    call, number = killed_at
    traced = subprocess.run(
        [
            *("strace", "-f", "-o", os.devnull, "-e", f"trace={call}"),
            *("-e", f"inject={call}:signal=KILL:when={number}"),
            *(f"--trace-path={path}" for folder in folders for path in (folder, *names(folder))),
            *(sys.executable, "-c", program, *map(str, arguments)),
        ],
        input=given,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "TINYPILOT_CONFIG": str(config_file),
            "PYTHONPATH": f"{ROOT}/roles/tinypilot/files/app:{ROOT}/tests/unit/stand_ins",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    if traced.returncode == 0:
        return True
    assert traced.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), traced.stderr
    return False


def names(folder):
    """Also of what is not there yet."""
    files = [each.name for each in folder.iterdir() if each.is_file()]
    news = ["settings.new", "settings.json", "ustreamer.new", "ustreamer.env", "lock"]
    news += [
        f"auth.{end}"
        for end in (
            "new",
            "new-journal",
            "new-wal",
            "damaged",
            "sqlite3",
            "sqlite3-wal",
            "sqlite3-shm",
        )
    ]
    return [folder / name for name in {*files, *news}]


@pytest.fixture
def config_file(config, tmp_path):
    file = tmp_path / "web.json"
    file.write_text(
        json.dumps(
            {
                "settings_declarations": str(config.settings_declarations),
                "settings_dir": str(config.settings_dir),
            }
        )
    )
    return file


def test_a_change_of_settings_is_old_or_new_wherever_the_power_fails(
    config, config_file, applier, systemd, tmp_path
):
    seen = set()
    for _ in interrupted(
        *(CHANGE, "answer", tmp_path / "none"),
        prepare=lambda: applier.change({BITRATE: 5000}),
        folders=[config.settings_dir],
        config_file=config_file,
        given=json.dumps({"by": "ada", "set": {BITRATE: 8000}}) + "\n",
    ):
        found = Settings.from_config(config).overrides()
        assert found in ({BITRATE: 5000}, {BITRATE: 8000})
        seen.add(found[BITRATE])
        # The next start makes the rest of it.
        applier.reconcile()
        assert Settings.from_config(config).overrides() == found
        assert systemd.environment() == [f"{BITRATE}={found[BITRATE]}"]
    assert seen == {5000, 8000}


@pytest.fixture
def with_ada(auth, config):
    auth.set_up(auth.new_setup_code(), "ada", PASSWORD, ClientInfo("192.0.2.1"))
    copies.make_copy(config.auth_file, SCHEMA_VERSION)
    auth.store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    auth.store.database.close()
    return config.auth_file


def assert_ada_is_let_in(config):
    make_database(config.auth_file)
    auth = Auth.from_config(config)
    assert auth.log_in("ada", PASSWORD, "", ClientInfo("192.0.2.2")).session
    auth.store.database.close()


def test_a_damaged_database_is_restored_wherever_the_power_fails(with_ada, config, tmp_path):
    for _ in interrupted(
        *(RESTORE, "restore", tmp_path / "none", with_ada),
        prepare=lambda: with_ada.write_bytes(b"damaged" * 1000),
        calls=AROUND_SQLITE,
        folders=[with_ada.parent],
    ):
        assert_ada_is_let_in(config)


def test_what_was_kept_in_memory_comes_to_the_disk_wherever_the_power_fails(
    with_ada, config, tmp_path, monkeypatch
):
    """Killed alone, and not with the device: memory is still there."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(stand_in, "FOLDER", memory)
    for _ in interrupted(
        *(BACK_TO_DISK, "end", memory, with_ada),
        prepare=lambda: stand_in.begin(with_ada),
        calls=AROUND_SQLITE,
        folders=[with_ada.parent, memory],
    ):
        assert_ada_is_let_in(config)
        with contextlib.closing(sqlite3.connect(with_ada)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not stand_in.of(with_ada).exists()
