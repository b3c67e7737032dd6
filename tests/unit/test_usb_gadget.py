# SPDX-License-Identifier: MIT
"""The USB gadget: what is written into configfs, and what the descriptors tell the attached computer."""

import contextlib
import errno
import grp
import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import yaml
from hidtools.hid import ReportDescriptor
from tinypilot.hid import reports
from tinypilot.hid.keycodes import USAGES
from tinypilot.hid.outputs import CAPS_LOCK_LED

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location(
    "usb_gadget", ROOT / "roles/usb_gadget/files/usb_gadget.py"
)
usb_gadget = importlib.util.module_from_spec(spec)
sys.modules["usb_gadget"] = usb_gadget
spec.loader.exec_module(usb_gadget)

PATIENCE_SECONDS = 10
NAMES = {
    "USB_VENDOR_ID": "0x1d6b",
    "USB_PRODUCT_ID": "0x0104",
    "USB_MANUFACTURER": "TinyPilot",
    "USB_PRODUCT": "KVM keyboard and mouse",
    "USB_SERIAL": "1",
}


KEYBOARD, POINTER, RELATIVE_MOUSE = usb_gadget.FUNCTIONS
MOUSE_FIELDS = [
    *(f"B{number}" for number in range(1, reports.BUTTONS + 1)),
    "X",
    "Y",
    "Wheel",
    "AC Pan",
]


# --- Descriptors, as hid-tools reads them, and the reports of the HID service ---


def input_report(function):
    (report,) = ReportDescriptor.from_bytes(function.descriptor).input_reports.values()
    return report


def values(function, report: bytes) -> dict:
    """What the attached computer reads in a report."""
    described = input_report(function)
    assert len(report) == described.size == function.report_bytes
    read = {}
    for field in described:
        if not field.is_const:
            found = field.get_values(list(report))
            read[field.usage_name] = found if field.is_array else found[0]
    return read


def ranges(function) -> dict:
    return {
        field.usage_name: (field.logical_min, field.logical_max)
        for field in input_report(function)
        if not field.is_const
    }


def reports_of(queue) -> list[bytes]:
    found = []
    while report := queue.next_report():
        found.append(report)
        queue.pop()
    return found


def test_a_keyboard_report_says_which_keys_are_down():
    keyboard = reports.Keyboard()
    names = ["LeftControl", "LeftShift", "LeftAlt", "Left GUI"]
    names += ["RightControl", "RightShift", "RightAlt", "Right GUI"]
    codes = [
        f"{key}{side}" for side in ("Left", "Right") for key in ("Control", "Shift", "Alt", "Meta")
    ]
    for name, code in zip(names, codes, strict=True):
        keyboard.change(code, True)
        (report,) = reports_of(keyboard)
        assert values(KEYBOARD, report) == {
            **dict.fromkeys(names, 0),
            name: 1,
            "Keyboard": [0] * reports.KEYS_AT_ONCE,
        }
        keyboard.change(code, False)
        reports_of(keyboard)
    for code in ("KeyA", "KeyB", "KeyC", "KeyD", "KeyE", "F24"):
        keyboard.change(code, True)
    down = values(KEYBOARD, reports_of(keyboard)[-1])["Keyboard"]
    assert down == [0x04, 0x05, 0x06, 0x07, 0x08, 0x73]
    keyboard.tap(0x04, 0x22)
    tapped = values(KEYBOARD, reports_of(keyboard)[1])
    assert tapped["LeftShift"] and tapped["RightShift"] and tapped["Keyboard"][0] == 0x04


def test_a_keyboard_has_every_usage_that_the_page_may_send():
    (keys,) = (field for field in input_report(KEYBOARD) if field.is_array and not field.is_const)
    assert set(USAGES.values()) <= {usage & 0xFFFF for usage in keys.usages}
    assert (keys.logical_min, keys.logical_max) == (0, 255)


def test_a_computer_sends_leds_in_one_byte():
    (report,) = ReportDescriptor.from_bytes(KEYBOARD.descriptor).output_reports.values()
    assert report.size == 1
    leds = [field.usage_name for field in report if not field.is_const]
    assert leds[:3] == ["Num Lock", "Caps Lock", "Scroll Lock"]
    assert 1 << leds.index("Caps Lock") == CAPS_LOCK_LED
    for mouse in (POINTER, RELATIVE_MOUSE):
        assert not ReportDescriptor.from_bytes(mouse.descriptor).output_reports


def mouse_values(**others: int) -> dict:
    return dict.fromkeys(MOUSE_FIELDS, 0) | others


@pytest.mark.parametrize("button", range(reports.BUTTONS))
@pytest.mark.parametrize(
    ("function", "mouse"),
    [(POINTER, reports.AbsoluteMouse), (RELATIVE_MOUSE, reports.RelativeMouse)],
    ids=["absolute", "relative"],
)
def test_each_button_of_a_mouse_comes_out(function, mouse, button):
    mouse = mouse()
    mouse.press(button, True)
    (report,) = reports_of(mouse)
    pressed = {name: value for name, value in values(function, report).items() if name[0] == "B"}
    assert pressed == {f"B{number + 1}": int(number == button) for number in range(reports.BUTTONS)}


def test_an_absolute_mouse_report_says_where_the_pointer_is():
    pointer = reports.AbsoluteMouse()
    pointer.move(0x1234, reports.POINTER_MAX)
    assert values(POINTER, *reports_of(pointer)) == mouse_values(X=0x1234, Y=reports.POINTER_MAX)
    pointer.scroll(-3, 127)
    assert values(POINTER, *reports_of(pointer)) == mouse_values(
        X=0x1234, Y=reports.POINTER_MAX, Wheel=-3, **{"AC Pan": 127}
    )
    assert ranges(POINTER) == mouse_ranges((0, reports.POINTER_MAX))


def test_a_relative_mouse_report_says_how_far_it_went():
    mouse = reports.RelativeMouse()
    mouse.move(-5, 6)
    mouse.scroll(-127, 2)
    assert values(RELATIVE_MOUSE, *reports_of(mouse)) == mouse_values(
        X=-5, Y=6, Wheel=-127, **{"AC Pan": 2}
    )
    mouse.move(1000, -1000)  # several reports, none beyond the range
    moves = [values(RELATIVE_MOUSE, report) for report in reports_of(mouse)]
    assert sum(move["X"] for move in moves) == 1000
    assert sum(move["Y"] for move in moves) == -1000
    assert ranges(RELATIVE_MOUSE) == mouse_ranges((-127, 127))
    assert max(move["X"] for move in moves) == 127


def mouse_ranges(position: tuple[int, int]) -> dict:
    small = (-127, 127)
    others = {"X": position, "Y": position, "Wheel": small, "AC Pan": small}
    return dict.fromkeys(MOUSE_FIELDS, (0, 1)) | others


def test_describe_prints_the_descriptors_in_the_order_of_the_devices():
    program = [sys.executable, usb_gadget.__file__, "describe"]
    lines = subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()
    assert lines == [function.descriptor.hex() for function in usb_gadget.FUNCTIONS]


# --- The simulated computer reads the descriptors ---


@pytest.fixture(scope="module")
def simulated_computer():
    """The program of the virtual Pi."""
    program = ROOT / "build/simulated_computer/simulated_computer"
    source = ROOT / "roles/emulated_hardware/files/simulated_computer"
    program.parent.mkdir(parents=True, exist_ok=True)
    # pytest-xdist makes this fixture in several processes, and one program cannot be started while another links it.
    made = subprocess.run(
        [
            *("flock", program.parent),
            *("make", "--silent", "-C", source, f"BUILD={program.parent}", program),
        ],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return program


class Desk(NamedTuple):
    """The mouse's part of struct desk (desk.h)."""

    buttons: int
    x: int
    y: int
    wheel: int
    pan: int

    @classmethod
    def of(cls, file: bytes) -> "Desk":
        return cls(*struct.unpack_from("11I4096H6B3B4i", file)[-5:])


class Attached:
    """The simulated computer, running, with the end of its cable in this process."""

    def __init__(self, program: Path, folder: Path, gadget: Path):
        self._folder = folder
        self.journal = folder / "journal"
        with self.journal.open("w") as journal:
            self.process = subprocess.Popen([program, folder, "1280x720", gadget], stderr=journal)

    def send(self, device: int, report: bytes) -> list[str]:
        """Returns what the computer has noted of all that came, the newest line last."""
        address = str(self._folder / f"hidg{device}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as cable:
            self._until(lambda: cable.connect_ex(address) == 0, "the gadget is found")
            seen = len(self._lines())
            # As wire.h has it.
            cable.send(struct.pack("=Q", time.monotonic_ns() // 1000) + report)
            self._until(lambda: len(self._lines()) > seen, "the report is taken or refused")
        return [line.split(maxsplit=1)[1] for line in self._noted()]

    def desk(self) -> bytes:
        return (self._folder / "desk").read_bytes()

    def wait_for_desk(self, desk: "Desk") -> None:
        """It is shown when all that came at once was noted."""
        with contextlib.suppress(AssertionError):
            self._until(lambda: Desk.of(self.desk()) == desk, "the desk is as expected")
        assert Desk.of(self.desk()) == desk

    def _noted(self) -> list[str]:
        return (self._folder / "reports").read_text().splitlines()

    def _lines(self) -> list[str]:
        return self._noted() + self.journal.read_text().splitlines()

    def _until(self, done, what: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} s: {what}"
            time.sleep(0.005)


@pytest.fixture
def attached(simulated_computer, tmp_path):
    gadget = tmp_path / "gadget"
    gadget.write_text(f'#!/bin/sh\nexec {sys.executable} {usb_gadget.__file__} "$@"\n')
    gadget.chmod(0o755)
    computer = Attached(simulated_computer, tmp_path, gadget)
    yield computer
    computer.process.terminate()
    computer.process.wait(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("device", range(3))
def test_the_simulated_computer_takes_only_reports_as_long_as_their_descriptor_says(
    attached, device
):
    length = input_report(usb_gadget.FUNCTIONS[device]).size
    for wrong in (length - 1, length + 1):
        assert attached.send(device, bytes(wrong)) == []
        assert f"hidg{device}: {wrong} bytes, reports have {length}" in attached.journal.read_text()
    assert attached.send(device, bytes(length)) == [f"{device} " + " ".join(["00"] * length)]


def report_of(function, **fields: int) -> bytes:
    """Made by hid-tools: it knows nothing but the descriptor."""
    data = SimpleNamespace(**fields)
    return bytes(input_report(function).create_report([data], None))


def test_the_simulated_computer_finds_each_field_where_hid_tools_puts_it(attached):
    attached.send(1, report_of(POINTER, b1=1, b5=1, x=0x1234, y=0x4321, wheel=-3, acpan=5))
    attached.wait_for_desk(Desk(buttons=0b10001, x=0x1234, y=0x4321, wheel=-3, pan=5))
    attached.send(1, report_of(POINTER, x=0, y=0))
    attached.send(2, report_of(RELATIVE_MOUSE, b2=1, x=127, y=64, wheel=4, acpan=-6))
    attached.wait_for_desk(
        Desk(buttons=0b10, x=127 * 32767 // 1279, y=64 * 32767 // 719, wheel=1, pan=-1)
    )


# --- What is written into configfs ---


@pytest.fixture
def controllers(tmp_path):
    (tmp_path / "udc" / "fe980000.usb").mkdir(parents=True)
    return tmp_path / "udc"


@pytest.fixture
def gadgets(tmp_path):
    (tmp_path / "gadgets").mkdir()
    return tmp_path / "gadgets"


def test_the_gadget_is_made_and_bound_last(gadgets, controllers):
    usb_gadget.start(NAMES, gadgets, controllers)
    gadget = gadgets / "kvm"
    assert (gadget / "UDC").read_text() == "fe980000.usb"
    assert (gadget / "idVendor").read_text() == "0x1d6b"
    assert (gadget / "strings/0x409/product").read_text() == "KVM keyboard and mouse"
    for function in usb_gadget.FUNCTIONS:
        linked = gadget / "configs/c.1" / function.name
        assert linked.resolve() == (gadget / "functions" / function.name).resolve()
        assert (linked / "report_desc").read_bytes() == function.descriptor
        assert (linked / "report_length").read_text() == str(function.report_bytes)


DRIVES = {
    **NAMES,
    "USB_DRIVES": "cdrom disk",
    "USB_DRIVES_GROUP": grp.getgrgid(os.getgid()).gr_name,
}


def test_the_drives_are_empty_of_their_kind_and_open_to_their_group_alone(gadgets, controllers):
    usb_gadget.start(DRIVES, gadgets, controllers)
    gadget = gadgets / "kvm"
    linked = gadget / "configs/c.1/mass_storage.media"
    assert linked.resolve() == (gadget / "functions/mass_storage.media").resolve()
    luns = sorted(linked.iterdir())
    assert [lun.name for lun in luns] == ["lun.0", "lun.1"]
    for lun, cdrom in zip(luns, "10", strict=True):
        assert (lun / "cdrom").read_text() == cdrom
        assert (lun / "removable").read_text() == "1"
        assert (lun / "ro").read_text() == "1"
        assert not (lun / "file").exists()  # nothing was put in
        assert (lun / "ro").stat().st_mode & 0o777 == 0o660
        assert (lun / "cdrom").stat().st_mode & 0o022 == 0  # nobody else turns a disk into a CD-ROM


@pytest.fixture
def rmdir(monkeypatch):
    """In configfs a folder's own files go with it, unlike here."""

    def rmdir(folder):
        for file in folder.iterdir():
            if file.is_file() and not file.is_symlink():
                file.unlink()
        if folder.name == usb_gadget.DRIVES:
            rmdir(folder / "lun.0")
        for left in ("strings", "functions", "configs"):
            if (folder / left).is_dir() and not any((folder / left).iterdir()):
                real(folder / left)
        real(folder)

    real = Path.rmdir
    monkeypatch.setattr(Path, "rmdir", rmdir)


def without_mass_storage(monkeypatch):
    real = Path.mkdir

    def mkdir(folder, *arguments, **options):
        if folder.name == usb_gadget.DRIVES:
            raise OSError(errno.ENOENT, "No such file or directory")
        real(folder, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


def without_the_right_to_the_group(monkeypatch):
    def chown(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(usb_gadget.shutil, "chown", chown)


def without_endpoints_for_it(monkeypatch):
    real = usb_gadget.write

    def write(file, value):
        if file.name == "UDC" and (file.parent / "configs/c.1" / usb_gadget.DRIVES).exists():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(file, value)

    monkeypatch.setattr(usb_gadget, "write", write)


@pytest.mark.parametrize(
    "trouble", [without_mass_storage, without_the_right_to_the_group, without_endpoints_for_it]
)
def test_whatever_becomes_of_the_drives_there_are_keyboard_and_mice(
    gadgets, controllers, rmdir, monkeypatch, capsys, trouble
):
    trouble(monkeypatch)
    usb_gadget.start(DRIVES, gadgets, controllers)
    gadget = gadgets / "kvm"
    assert (gadget / "UDC").read_text() == "fe980000.usb"
    names = sorted(function.name for function in usb_gadget.FUNCTIONS)
    for folder in ("configs/c.1", "functions"):
        found = [path.name for path in (gadget / folder).iterdir() if path.is_dir()]
        assert sorted(found) == names
    assert capsys.readouterr().err.startswith("There are no USB drives: ")


def test_without_a_controller_it_says_so(gadgets, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match="no USB device controller"):
        usb_gadget.start(NAMES, gadgets, tmp_path / "none")


def test_stopping_undoes_starting_and_does_no_harm_twice(gadgets, controllers, rmdir):
    usb_gadget.start(DRIVES, gadgets, controllers)
    usb_gadget.start(DRIVES, gadgets, controllers)  # as after an end without stop
    usb_gadget.stop(gadgets)
    assert list(gadgets.iterdir()) == []
    usb_gadget.stop(gadgets)


# --- The role ---


def test_the_old_gadget_is_gone_before_the_new_one_is_made():
    """Only one can have the controller. systemd_units takes away what is absent first, and stops units for it."""
    role = ROOT / "roles/usb_gadget"
    absent = yaml.safe_load((role / "vars/main.yml").read_text())["__usb_gadget_absent"]
    assert {"/etc/systemd/system/tinypilot-usb.service", "/usr/local/sbin/tinypilot-usb"} <= set(
        absent
    )
    units = yaml.safe_load((role / "tasks/service.yml").read_text())[0]["systemd_units"]
    assert units["absent"] == "{{ __usb_gadget_absent }}"
    assert units["groups"][0]["units"] == ["usb-gadget.service"]


@pytest.mark.parametrize(("name", "there"), [("root", True), ("no-such-group", False)])
def test_the_facts_tell_whether_the_old_group_is_there(tmp_path, name, there):
    program = [sys.executable, ROOT / "roles/usb_gadget/files/usb_facts.py"]
    said = subprocess.check_output([*program, tmp_path / "config.txt", name], text=True)
    assert json.loads(said)["old_group"] is there
    assert json.loads(said)["boot_config"] is False
