# SPDX-License-Identifier: MIT
"""What people's monitors tell of themselves is taken, and what no computer could use is refused. The EDIDs are made
here, with the faults that such data has."""

import shutil
import subprocess
import sys
from itertools import product

import pytest
from tinypilot import edid as app

from .conftest import ROLES

PROGRAM = ROLES / "ustreamer/files/edid.py"
PRESETS = sorted((ROLES / "ustreamer/files").glob("edid_*.hex"))
HEADER = bytes.fromhex("00ffffffffffff00")
# Pixel clock in 10 kHz; active and blanking pixels and lines.
MODES = {
    "720p60": (7425, 1280, 370, 720, 30),
    "1080p60": (14850, 1920, 280, 1080, 45),
    "1366x768": (8550, 1366, 426, 768, 30),
    "1920x1200": (15400, 1920, 160, 1200, 35),
    "2160p30": (29700, 3840, 560, 2160, 90),
    "3840x1080p24": (10800, 3840, 160, 1080, 45),
    # Its clock looks like the beginning of a data block.
    "3440x1440p58": (0x78E2, 3440, 160, 1440, 41),
}
SRGB, NO_CHROMATICITIES = 0x04, bytes(10)
RANGE_TOO_NARROW = bytes.fromhex("000000fd00383d1e530f000a202020202020")
NAME_WITH_ODD_END = b"\0\0\0\xfc\0" + b"Monitor      "
SERIAL = b"\0\0\0\xff\0" + b"1234\n        "
UNUSED = bytes.fromhex("000000100000000000000000000000000000")


def timing(name: str) -> bytes:
    """A detailed timing descriptor."""
    clock, width, hblank, height, vblank = MODES[name]
    high = (width >> 8) << 4 | hblank >> 8, (height >> 8) << 4 | vblank >> 8
    middle = bytes([width & 255, hblank & 255, high[0], height & 255, vblank & 255, high[1]])
    return clock.to_bytes(2, "little") + middle + bytes([88, 44, 0x45, 0, 0, 0, 0, 0, 0, 0x1E])


def block(content: bytes) -> bytes:
    """128 bytes, with the checksum."""
    content = content.ljust(127, b"\0")
    return content + bytes([-sum(content) % 256])


def base(
    *descriptors,
    extensions=0,
    features=0x0A,
    established=b"\0\0\0",
    standard=b"",
    colours=NO_CHROMATICITIES,
):
    product_code = bytes.fromhex("31d8 3412 01000000 0a1e 0103 80341d78")
    begin = HEADER + product_code + bytes([features]) + colours
    timings = established + standard.ljust(16, b"\1")
    places = [*descriptors, *[UNUSED] * (4 - len(descriptors))]
    return block(begin + timings + b"".join(places) + bytes([extensions]))


def cta(*data_blocks: bytes, timings=(), flags=0x71, revision=3):
    collection = b"".join(data_blocks)
    detailed = b"".join(map(timing, timings))
    return block(bytes([2, revision, 4 + len(collection), flags]) + collection + detailed)


def video(*codes: int) -> bytes:
    return bytes([2 << 5 | len(codes), *codes])


AUDIO, HDMI = bytes.fromhex("230907 07"), bytes.fromhex("65030c001000")
MORE_EXTENSIONS = bytes([7 << 5 | 2, 0x78, 2])


def refusal(content: bytes) -> str:
    done = subprocess.run(
        [sys.executable, PROGRAM, "refusal", content.hex()],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


REAL_LIFE = {
    **{
        f"{mode}, {fault}": base(timing(mode), *descriptors, features=features)
        for mode, (fault, features, descriptors) in product(
            MODES,
            [
                ("without a fault", 0x0A, ()),
                ("sRGB without its chromaticities", SRGB | 0x0A, ()),
                ("ranges that its own mode exceeds", 0x0A, (RANGE_TOO_NARROW,)),
                ("a name with spaces behind it", 0x0A, (NAME_WITH_ODD_END, SERIAL)),
                ("no preferred mode", 0x00, ()),
            ],
        )
    },
    **{
        f"{codes} in CTA-861, {name}": base(timing("720p60"), extensions=1)
        + cta(video(*codes), *rest)
        for codes in ((16,), (4, 19, 31), (97, 16))
        for name, rest in [("and sound", (AUDIO, HDMI)), ("without a VCDB", (HDMI,))]
    },
    "a timing that looks like a data block": base(extensions=1) + cta(timings=["3440x1440p58"]),
    "modes in the extension alone": base(extensions=1) + cta(video(16)),
    "a detailed timing in the extension alone": base(extensions=1) + cta(timings=["720p60"]),
    "more native modes than there are": base(timing("720p60"), extensions=1) + cta(flags=0x0F),
    "an extension of an old revision": base(timing("720p60"), extensions=1) + cta(revision=1),
    "an extension of another kind": base(timing("1080p60"), extensions=1) + block(bytes([0x40, 1])),
    "modes in YCbCr 4:2:0 alone": base(extensions=1) + cta(bytes([7 << 5 | 2, 0x0E, 97])),
    "established timings III alone": base(b"\0\0\0\xf7\0\x0a\x7f" + bytes(11)),
    "a data block that runs over its end": base(extensions=1)
    + block(bytes([2, 3, 6, 0x70, 0x5F, 16])),
    "established timings alone": base(established=b"\x21\0\0"),
    "standard timings alone": base(standard=bytes([0x81, 0x80])),
    "unused standard timings as 0x0100": base(timing("720p60"), standard=b"\1\0" * 8),
    "CVT codes alone": base(b"\0\0\0\xf8\0\1" + bytes(12)),
    "Apple's 1152x870 alone": base(established=b"\0\0\x80"),
    "more standard timings alone": base(b"\0\0\0\xfa\0\x81\x80" + b"\1" * 11),
    "a mode that is liked best, alone": base(extensions=1) + cta(video(0x80 | 16)),
    "a late mode of CTA-861 alone": base(extensions=1) + cta(video(218)),
    "HDMI's own modes alone": base(extensions=1)
    + cta(bytes.fromhex("6b 030c00 1000 0000 20 00 20 01")),
    "HDMI's own modes behind latencies": base(extensions=1)
    + cta(bytes.fromhex("6f 030c00 1000 0000 e0 0a0b0c0d 00 20 01")),
    "video timings in a block of their own": base(extensions=1) + block(bytes([0x10, 1])),
    "DisplayID": base(extensions=1) + block(bytes([0x70, 0x12])),
    "four blocks": base(timing("720p60"), extensions=3) + cta(video(16)) + 2 * block(b"\x70\x12"),
    "two blocks that only HDMI 2.1 counts": base(timing("720p60"), extensions=1)
    + cta(MORE_EXTENSIONS, video(16))
    + block(b"\x70\x12"),
}
GOOD = base(timing("720p60"), extensions=1) + cta(video(16))


def damaged(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


USELESS = {
    **{
        f"damaged at byte {at}": (damaged(GOOD, at), "checksum")
        for at in (8, 20, 54, 127, 128, 140, 255)
    },
    **{f"another header at {at}": (damaged(GOOD, at), "begin") for at in (0, 1, 7)},
    "nothing": (b"", "begin"),
    "a text": (b"Not an EDID at all", "begin"),
    "half a block": (GOOD[:64], "64 bytes"),
    "a block and a half": (GOOD[:192], "192 bytes"),
    "five blocks": (base(timing("720p60"), extensions=4) + 4 * cta(video(16)), "640 bytes"),
    "its extension is missing": (GOOD[:128], "has 2 blocks, and it has 1"),
    "an extension too many": (
        base(timing("720p60")) + cta(video(16)),
        "has 1 blocks, and it has 2",
    ),
    "no mode": (base(), "no display mode"),
    "descriptors, and no mode": (
        base(SERIAL, NAME_WITH_ODD_END, RANGE_TOO_NARROW),
        "no display mode",
    ),
    "sound, and no mode": (base(extensions=1) + cta(AUDIO, HDMI), "no display mode"),
    "HDMI's block without its modes": (
        base(extensions=1) + cta(bytes.fromhex("6a 030c00 1000 0000 20 00 00")),
        "no display mode",
    ),
    "HDMI's modes in a block of another maker's": (
        base(extensions=1) + cta(bytes.fromhex("6b 030c01 1000 0000 20 00 20 01")),
        "no display mode",
    ),
    "colours in an extended block, and no mode": (
        base(extensions=1) + cta(bytes([7 << 5 | 3, 5, 0xC0, 0])),
        "no display mode",
    ),
    "timings that only their maker knows": (base(established=b"\0\0\x7f"), "no display mode"),
    "a timing without lines": (base(timing("720p60")[:5] + bytes(13)), "no display mode"),
    "a timing without pixels": (base(b"\1\x1d\0\x50\0\xd0\x1e\x20" + bytes(10)), "no display mode"),
    "established timings III without one": (
        base(b"\0\0\0\xf7\0\x0a" + bytes(12)),
        "no display mode",
    ),
    "more standard timings, all unused": (base(b"\0\0\0\xfa\0" + b"\1" * 13), "no display mode"),
    "codes that are no mode": (base(extensions=1) + cta(video(0, 128, 255)), "no display mode"),
    "an empty list of modes in YCbCr 4:2:0": (
        base(extensions=1) + cta(bytes([7 << 5 | 1, 0x0E])),
        "no display mode",
    ),
    "an empty list of modes": (base(extensions=1) + cta(video()), "no display mode"),
}


@pytest.mark.parametrize("content", REAL_LIFE.values(), ids=REAL_LIFE)
def test_what_monitors_tell_is_taken(content):
    assert refusal(content) == ""


PAIRS = GOOD.hex(" ")


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.hex().upper().encode(),
        b"\xef\xbb\xbf" + PAIRS.replace(" ", "\r\n").encode(),
        ", ".join(f"0x{each}" for each in PAIRS.split()).encode(),
        GOOD.hex(":").encode(),
    ],
    ids=["binary", "capital-letters", "byte-order-mark", "of-C", "colons"],
)
def test_the_play_takes_a_file_in_the_forms_that_the_page_takes(content, tmp_path):
    (tmp_path / "edid").write_bytes(content)
    command = [sys.executable, PROGRAM, "digits", tmp_path / "edid"]
    assert subprocess.check_output(command, text=True) == GOOD.hex()


@pytest.mark.parametrize("file", PRESETS, ids=lambda file: file.stem)
def test_each_edid_that_is_offered_is_taken_without_a_remark(file):
    assert refusal(bytes.fromhex(file.read_text())) == ""
    modes, complaints = app.describe(file.read_text())
    assert modes and complaints == []


@pytest.mark.parametrize("content, reason", USELESS.values(), ids=USELESS)
def test_what_no_computer_could_use_is_refused_in_a_sentence(content, reason):
    said = refusal(content)
    assert reason in said and said.endswith(".")


def test_modes_are_told_in_numbers_and_what_edid_decode_dislikes_in_words():
    content = base(timing("1080p60"), RANGE_TOO_NARROW, features=SRGB | 0x0A, extensions=1) + cta(
        video(5, 4)
    )
    modes, complaints = app.describe(content.hex())
    told = [(mode.width, mode.height, mode.rate_hz, mode.interlaced) for mode in modes]
    assert (1920, 1080, 60, False) in told and (1920, 1080, 60, True) in told
    assert (1280, 720, 60, False) in told and told == sorted(told, reverse=True)
    by_size = {(mode.height, mode.interlaced): round(mode.pixels_per_second) for mode in modes}
    assert by_size[1080, True] == 1920 * 1080 * 30
    assert any("sRGB" in each for each in complaints)


@pytest.mark.parametrize("program", ["/nowhere/edid-decode", shutil.which("false")])
def test_a_broken_edid_decode_is_no_verdict_on_the_file(monkeypatch, program):
    monkeypatch.setattr(app, "PROGRAM", program)
    assert app.describe(GOOD.hex()) == ([], [])


def test_an_edid_decode_that_aborts_is_no_verdict_on_the_file(monkeypatch, tmp_path):
    """Whatever it has said until then."""
    program = tmp_path / "edid-decode"
    program.write_text(
        "#!/bin/sh\necho '  DTD 1:  1920x1080  60.000 Hz'\necho\necho Failures:\necho\n"
        "echo '  Detailed: bad.'\nkill -ABRT $$\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(app, "PROGRAM", str(program))
    assert app.describe(GOOD.hex()) == ([], [])


def test_a_slow_edid_decode_is_no_verdict_on_the_file(monkeypatch):
    def run(*arguments, **options):
        raise subprocess.TimeoutExpired("edid-decode", options["timeout"])

    monkeypatch.setattr(app.subprocess, "run", run)
    assert app.describe(GOOD.hex()) == ([], [])


def test_the_page_is_told_what_fits(logged_in, root):
    admin = logged_in("admin")
    content = base(timing("1080p60"), extensions=1) + cta(video(34))
    answer = admin.ask("PATCH", "/api/settings", {"ustreamer_edid": content.hex()})
    assert answer.status_code == 200
    offered = admin.ask("GET", "/api/edid").get_json()
    fits = {(mode["height"], mode["rate_hz"]): mode["fits"] for mode in offered["modes"]}
    assert fits[1080, 60] is False and fits[1080, 30] is True


def test_a_mode_that_is_slow_and_wide_fits_no_encoder(logged_in, root):
    admin = logged_in("admin")
    content = base(timing("3840x1080p24"), timing("720p60"))
    answer = admin.ask("PATCH", "/api/settings", {"ustreamer_edid": content.hex()})
    assert answer.status_code == 200
    offered = admin.ask("GET", "/api/edid").get_json()
    assert {mode["width"]: mode["fits"] for mode in offered["modes"]} == {3840: False, 1280: True}


def test_what_edid_decode_dislikes_keeps_nobody_from_applying_it(logged_in, root, systemd):
    content = base(timing("720p60"), RANGE_TOO_NARROW, features=SRGB | 0x0A)
    admin = logged_in("admin")
    assert admin.ask("PATCH", "/api/settings", {"ustreamer_edid": content.hex()}).status_code == 200
    assert systemd.restarts == ["kvm-edid.service"]
    assert admin.ask("GET", "/api/edid").get_json()["complaints"]
