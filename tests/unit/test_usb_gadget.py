# SPDX-License-Identifier: MIT
"""The USB gadget: what is written into configfs, and what the descriptors tell the attached computer."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location(
    "usb_gadget", ROOT / "roles/tinypilot/files/usb_gadget.py"
)
usb_gadget = importlib.util.module_from_spec(spec)
sys.modules["usb_gadget"] = usb_gadget
spec.loader.exec_module(usb_gadget)

NAMES = {
    "USB_VENDOR_ID": "0x1d6b",
    "USB_PRODUCT_ID": "0x0104",
    "USB_MANUFACTURER": "TinyPilot",
    "USB_PRODUCT": "KVM keyboard and mouse",
    "USB_SERIAL": "1",
}


def parse(descriptor: bytes) -> dict:
    """Bits of all inputs and outputs, and whether the collections are closed."""
    sizes = {"input": 0, "output": 0}
    size = count = depth = at = 0
    while at < len(descriptor):
        tag = descriptor[at] & 0xFC
        length = (0, 1, 2, 4)[descriptor[at] & 3]
        value = int.from_bytes(descriptor[at + 1 : at + 1 + length], "little")
        at += 1 + length
        match tag:
            case 0x74:
                size = value
            case 0x94:
                count = value
            case 0x80:
                sizes["input"] += size * count
            case 0x90:
                sizes["output"] += size * count
            case 0xA0:
                depth += 1
            case 0xC0:
                depth -= 1
    assert depth == 0 and at == len(descriptor)
    return sizes


@pytest.mark.parametrize("function", usb_gadget.FUNCTIONS, ids=lambda function: function.name)
def test_descriptors_describe_reports_of_their_length(function):
    sizes = parse(function.descriptor)
    assert sizes["input"] == 8 * function.report_bytes
    assert sizes["output"] == (8 if function is usb_gadget.KEYBOARD else 0)


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
    gadget = gadgets / "tinypilot"
    assert (gadget / "UDC").read_text() == "fe980000.usb"
    assert (gadget / "idVendor").read_text() == "0x1d6b"
    assert (gadget / "strings/0x409/product").read_text() == "KVM keyboard and mouse"
    for function in usb_gadget.FUNCTIONS:
        linked = gadget / "configs/c.1" / function.name
        assert linked.resolve() == (gadget / "functions" / function.name).resolve()
        assert (linked / "report_desc").read_bytes() == function.descriptor
        assert (linked / "report_length").read_text() == str(function.report_bytes)


def test_without_a_controller_it_says_so(gadgets, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match="no USB device controller"):
        usb_gadget.start(NAMES, gadgets, tmp_path / "none")


def test_stopping_undoes_starting_and_does_no_harm_twice(gadgets, controllers, monkeypatch):
    # In configfs a folder's own files go with it, unlike here.
    def rmdir(folder):
        for file in folder.iterdir():
            if file.is_file() and not file.is_symlink():
                file.unlink()
        for left in ("strings", "functions", "configs"):
            if (folder / left).is_dir() and not any((folder / left).iterdir()):
                real(folder / left)
        real(folder)

    real = Path.rmdir
    monkeypatch.setattr(Path, "rmdir", rmdir)
    usb_gadget.start(NAMES, gadgets, controllers)
    usb_gadget.start(NAMES, gadgets, controllers)  # as after an end without stop
    usb_gadget.stop(gadgets)
    assert list(gadgets.iterdir()) == []
    usb_gadget.stop(gadgets)
