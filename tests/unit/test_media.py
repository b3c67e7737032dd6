# SPDX-License-Identifier: MIT
"""Virtual media: images that arrive in pieces, and the drives that they are put into."""

import errno
import gzip
import hashlib
import http.client
import json
import lzma
import os
import random
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from tinypilot.errors import ApiError
from tinypilot.media import drives as drives_module
from tinypilot.media import images as images_module
from tinypilot.media import server
from tinypilot.media.drives import Drives
from tinypilot.media.images import MIB, Images, UnpackingError, check_name
from tinypilot.media.unpacking import DECODERS, DamagedError, Unpacker

from .auth_helpers import refused

WHOLE = random.Random(15).randbytes(3 * MIB + 512)
SHA256 = hashlib.sha256(WHOLE).hexdigest()


@pytest.fixture
def images(tmp_path):
    (tmp_path / "media").mkdir()
    return Images(tmp_path / "media", 64 * MIB, MIB)


@pytest.fixture
def start_again(tmp_path):
    """The service, after its end in any moment."""
    return lambda: Images(tmp_path / "media", 64 * MIB, MIB)


def arrive(images, name="a.iso", whole=WHOLE, **options):
    upload = images.begin(name, len(whole), **options)
    upload.append(whole[upload.offset :])
    return images.finish(name)


# --- Names ---


@pytest.mark.parametrize(
    "name",
    ["a", "debian-13.1.0-amd64-netinst.iso", "Windows 11 (de).iso", "Überblick.img", "日本語.iso"],
)
def test_names_of_files_are_taken(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            ".hidden",
            "/etc/passwd",
            "a/b",
            "../a",
            "a\\b",
            "a\0",
            "a\n",
            "a\x7f",
            "-a",
            " a",
        ),
        *(
            "a.",
            "a ",
            "a" * 101,
            "日" * 90,
            "a\u202egpj.iso",
            "u\u0308.iso",
            "a\u200b",
            # Letters that have no picture.
            "\u3164",
            "a\u115f\u1160",
            "\uffa0.iso",
            "%2e%2e",
            7,
            None,
            ["a"],
        ),
    ],
)
def test_no_path_nothing_hidden_and_nothing_unseen_is_a_name(images, name):
    for act in (
        lambda: images.begin(name, 512),
        lambda: images.path_of(name),
        lambda: images.delete(name),
        lambda: images.make_disk(name, MIB),
    ):
        assert refused(act).status == 400
    assert images.images() == images.uploads() == []


# --- Uploads ---


def test_what_arrives_in_pieces_is_whole(images):
    upload = images.begin("a.iso", len(WHOLE))
    for start in range(0, len(WHOLE), 700_001):
        upload.append(WHOLE[start : start + 700_001])
    assert images.finish("a.iso") == SHA256
    assert images.path_of("a.iso").read_bytes() == WHOLE
    assert images.images() == [{"name": "a.iso", "size": len(WHOLE), "sha256": SHA256}]
    assert images.uploads() == []


@pytest.mark.parametrize("is_restarted_at_the_end", [False, True])
def test_an_upload_goes_on_after_a_restart_and_is_whole(
    images, start_again, is_restarted_at_the_end
):
    images.begin("a.iso", len(WHOLE), tag="1").append(WHOLE[:1_000_000])
    images = start_again()
    assert images.uploads() == [{"name": "a.iso", "size": len(WHOLE), "offset": 1_000_000}]
    upload = images.begin("a.iso", len(WHOLE), tag="1")
    assert upload.offset == 1_000_000
    upload.append(WHOLE[1_000_000:2_000_000])
    images = start_again()
    images.begin("a.iso", len(WHOLE), tag="1").append(WHOLE[2_000_000:])
    if is_restarted_at_the_end:
        images = start_again()
    assert images.finish("a.iso") == SHA256


def test_another_file_of_the_same_name_is_not_mixed_in(images):
    images.begin("a.iso", len(WHOLE), tag="1").append(WHOLE[:1000])
    for size, tag in ((len(WHOLE), "2"), (len(WHOLE) + 1, "1")):
        refusal = refused(images.begin, "a.iso", size, "", tag)
        assert refusal.status == 409 and "Another file called a.iso" in str(refusal)
    images.cancel("a.iso")
    assert arrive(images, tag="2") == SHA256
    assert refused(images.begin, "a.iso", 512).status == 409


def test_what_did_not_arrive_as_it_was_sent_is_deleted(images):
    refusal = refused(lambda: arrive(images, sha256="0" * 64))
    assert refusal.status == 409 and SHA256 in str(refusal)
    assert images.images() == images.uploads() == []
    assert arrive(images, sha256=SHA256) == SHA256


@pytest.mark.parametrize(
    "size", [0, -1, 2**63, 2**63 - 1, 2**64, 64 * MIB + 1, True, 1.5, "7", None]
)
def test_sizes_without_reason_are_refused(images, size):
    refusal = refused(images.begin, "a.iso", size)
    assert refusal.status == 400 and str(64 * MIB) in str(refusal)
    assert images.uploads() == []


@pytest.mark.parametrize(
    "options", [{"sha256": "A" * 64}, {"sha256": 7}, {"tag": "a" * 101}, {"tag": "\n"}]
)
def test_wrong_facts_of_an_upload_are_refused(images, options):
    assert refused(lambda: images.begin("a.iso", 512, **options)).status == 400


def test_the_room_of_an_upload_is_taken_when_it_begins(images, tmp_path):
    images.begin("a.iso", 40 * MIB)
    file = tmp_path / "media/incoming/a.iso"
    assert file.stat().st_size == 0
    assert file.stat().st_blocks * 512 >= 40 * MIB
    refusal = refused(images.begin, "b.iso", 30 * MIB)
    assert refusal.status == 507
    assert "30 MiB do not fit: images may have 64 MiB together, and have 40" in str(refusal)
    assert images.room()["left"] == 24 * MIB
    assert arrive(images, "c.iso")
    images.cancel("a.iso")
    images.begin("b.iso", 30 * MIB)


def test_what_must_stay_free_stays_free(tmp_path, images):
    status = os.statvfs(tmp_path)
    free = status.f_bavail * status.f_frsize
    full = Images(tmp_path / "media", 64 * MIB, free - 10 * MIB)
    refusal = refused(full.begin, "a.iso", 40 * MIB)
    assert refusal.status == 507 and "no room for 40 MiB more" in str(refusal)
    assert full.uploads() == [] and list((tmp_path / "media/incoming").iterdir()) == []


def test_where_blocks_can_not_be_taken_in_advance_they_are_counted(tmp_path, images, monkeypatch):
    status = os.statvfs(tmp_path)
    free = status.f_bavail * status.f_frsize
    monkeypatch.setattr(images_module._libc, "fallocate", lambda *_: 0)
    images = Images(tmp_path / "media", 64 * MIB, free - 50 * MIB)
    images.begin("a.iso", 40 * MIB)
    assert refused(images.begin, "b.iso", 20 * MIB).status == 507


def test_a_disk_that_is_full_all_the_same_leaves_nothing(images, tmp_path, monkeypatch):
    def fallocate(*_):
        images_module.ctypes.set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(images_module._libc, "fallocate", fallocate)
    assert refused(images.begin, "a.iso", 512).status == 507
    assert list((tmp_path / "media/incoming").iterdir()) == []


def test_uploads_that_are_not_complete_have_a_bound(images):
    for number in range(images_module.UPLOADS_MAX):
        images.begin(f"{number}", 512)
    assert refused(images.begin, "more", 512).status == 409
    assert images.begin("0", 512).offset == 0


def test_images_have_a_bound(images, monkeypatch):
    monkeypatch.setattr(images_module, "IMAGES_MAX", 2)
    arrive(images, "a")
    images.begin("b", 512)
    assert refused(images.begin, "c", 512).status == 507


def test_a_power_cut_while_an_upload_begins_leaves_no_half(images, tmp_path, start_again):
    images._take_room(tmp_path / "media/incoming/a.iso", 512)
    (tmp_path / "media/facts/b.iso.json").write_text("{")
    (tmp_path / "media/incoming/b.iso").touch()
    assert start_again().uploads() == []
    assert list((tmp_path / "media/incoming").iterdir()) == []


def test_a_power_cut_at_the_end_of_an_upload_leaves_it_or_the_image(
    images, start_again, monkeypatch
):
    """In any moment: with the checksum that was asked for, which it had, or none."""
    for number, sha256 in enumerate(("", SHA256)):
        name = f"{number}.iso"
        images.begin(name, len(WHOLE), sha256, "tag").append(WHOLE)
        for broken in ("os.replace", "tinypilot.media.images.Images._write_facts"):
            with monkeypatch.context() as patch:
                patch.setattr(broken, power_cut)
                with pytest.raises(PowerCutError):
                    images.finish(name)
            images = start_again()
            if broken == "os.replace":
                assert images.begin(name, len(WHOLE), sha256, "tag").offset == len(WHOLE)
        assert {"name": name, "size": len(WHOLE), "sha256": sha256} in images.images()
        assert images.path_of(name).read_bytes() == WHOLE


class PowerCutError(Exception):
    pass


def power_cut(*_, **__):
    raise PowerCutError


def test_what_is_known_of_an_image_that_was_deleted_by_hand_is_not_told_of_another(
    images, mkfs, start_again
):
    arrive(images, "a.img")
    images.path_of("a.img").unlink()
    images.make_disk("a.img", len(WHOLE))
    assert images.images() == [{"name": "a.img", "size": len(WHOLE), "sha256": ""}]
    arrive(images, "b.img")
    images.path_of("b.img").write_bytes(WHOLE[:-1])
    assert images.images()[1]["sha256"] == ""


def test_links_that_somebody_put_there_are_no_images(images, tmp_path):
    for folder in ("images", "incoming"):
        (tmp_path / "media" / folder / "passwd").symlink_to("/etc/passwd")
        (tmp_path / "media" / folder / "folder").mkdir()
    assert images.images() == images.uploads() == []
    assert refused(images.path_of, "passwd").status == 404
    assert refused(images.delete, "passwd").status == 404
    assert refused(images.upload, "passwd").status == 404


# --- Empty disks ---


@pytest.fixture
def mkfs(monkeypatch):
    """Debian's dosfstools need not be on the workstation."""
    asked: list[Path] = []
    monkeypatch.setattr(images_module, "_format", asked.append)
    return asked


def test_an_empty_disk_is_formatted_and_has_all_its_blocks(images, mkfs):
    images.make_disk("files.img", 4 * MIB)
    path = images.path_of("files.img")
    assert path.stat().st_size == 4 * MIB <= path.stat().st_blocks * 512
    assert mkfs == [path.parents[1] / "incoming/files.img"]
    assert images.images() == [{"name": "files.img", "size": 4 * MIB, "sha256": ""}]
    assert refused(images.make_disk, "files.img", 4 * MIB).status == 409


@pytest.mark.parametrize("size", [0, 512, MIB + 1, 2**63, 65 * MIB, True, None])
def test_disks_without_reason_are_refused(images, mkfs, size):
    assert refused(images.make_disk, "files.img", size).status == 400
    assert mkfs == []


def test_a_disk_that_can_not_be_formatted_leaves_nothing(images, tmp_path, monkeypatch):
    def run(_):
        raise FileNotFoundError

    monkeypatch.setattr(images_module, "_format", run)
    assert "dosfstools" in str(refused(images.make_disk, "files.img", MIB))
    assert list((tmp_path / "media/incoming").iterdir()) == []


def test_an_image_that_may_be_written_to_has_no_checksum_and_all_its_blocks(images, tmp_path):
    arrive(images)
    path = images.path_of("a.iso")
    path.unlink()
    with path.open("wb") as sparse:
        sparse.truncate(MIB)
    images.will_change("a.iso")
    assert path.stat().st_blocks * 512 >= MIB
    assert images.images() == [{"name": "a.iso", "size": MIB, "sha256": ""}]


# --- Drives ---


@pytest.fixture
def drives(luns, tmp_path):
    return Drives(luns, tmp_path / "controllers")


def test_drives_say_what_is_in_them(drives, luns):
    assert [(drive.number, drive.kind, drive.image) for drive in drives.all()] == [
        (0, "cdrom", ""),
        (1, "disk", ""),
    ]
    # As the kernel tells it: the sandbox in which it was put in is gone.
    (luns / "lun.1/file").write_text("/images/a b.img\n")
    assert drives.drive(1).image == "a b.img"
    assert drives.of("a b.img").number == 1
    assert drives.of("a") is None


def test_a_disk_is_written_to_only_if_that_was_asked_for(drives, luns):
    drives.insert(1, Path("/media/images/a.img"), True)
    assert (luns / "lun.1/ro").read_text() == "0"
    assert (luns / "lun.1/file").read_text() == "/media/images/a.img"
    drives.eject(1)
    assert drives.drive(1).image == ""
    drives.insert(1, Path("/media/images/a.img"), False)
    assert (luns / "lun.1/ro").read_text() == "1"
    drives.insert(0, Path("/media/images/a.iso"), False)
    assert (luns / "lun.0/ro").read_text() == "1"


def test_where_there_are_no_drives_it_says_why(tmp_path):
    controllers = tmp_path / "udc"
    nothing = Drives(tmp_path / "none", controllers)
    assert "no USB controller" in str(refused(nothing.check_there_are_any))
    controllers.mkdir()
    assert "no USB controller" in str(refused(nothing.drive, 0))
    (controllers / "fe980000.usb").mkdir()
    assert "usb_f_mass_storage" in str(refused(nothing.drive, 0))


def test_more_drives_than_there_are_are_refused_in_a_sentence(drives):
    refusal = refused(drives.drive, 2)
    assert refusal.status == 404 and "there are 2" in str(refusal)


def kernel_says(monkeypatch, number, *names):
    """What configfs answers to a write to these files."""
    real = drives_module._write

    def write(file, value):
        if file.name in names:
            raise OSError(number, os.strerror(number))
        real(file, value)

    monkeypatch.setattr(drives_module, "_write", write)


def test_a_drive_that_the_computer_has_locked_is_ejected_by_force_alone(drives, luns, monkeypatch):
    (luns / "lun.1/file").write_text("/images/a.img\n")
    kernel_says(monkeypatch, errno.EBUSY, "file")
    assert "has locked the drive" in str(refused(drives.eject, 1))
    drives.eject(1, is_forced=True)
    assert (luns / "lun.1/forced_eject").read_text() == "1"
    (luns / "lun.1/forced_eject").unlink()
    assert "this kernel can't" in str(refused(drives.eject, 1, True))


def test_what_the_kernel_does_not_take_is_said(drives, monkeypatch):
    kernel_says(monkeypatch, errno.EINVAL, "file")
    refusal = refused(drives.insert, 0, Path("/images/a.iso"), False)
    assert str(refusal) == "The drive does not take a.iso: Invalid argument."


# --- The service and the web app ---


def piece(config, name, offset, body, length=None):
    """What nginx passes on. length: what is announced."""
    connection = http.client.HTTPConnection("media", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(str(config.media_socket))
    headers = {"Content-Length": str(len(body) if length is None else length)}
    connection.request("PUT", f"/api/media/uploads/{quote(name)}/{offset}", body, headers)
    if length is not None:
        connection.close()
        return None
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_an_admin_uploads_an_image_and_an_operator_puts_it_in(
    config, media_service, logged_in, luns, audited
):
    admin, operator = logged_in("admin"), logged_in("operator")
    begun = admin.ask("POST", "/api/media/uploads", {"name": "a b.iso", "size": len(WHOLE)})
    assert begun.get_json() == {
        **{"name": "a b.iso", "image": "a b.iso"},
        **{"size": len(WHOLE), "offset": 0, "sha256": ""},
    }
    status, told = piece(config, "a b.iso", 0, WHOLE[: 2 * MIB])
    assert (status, told["offset"], told["sha256"]) == (200, 2 * MIB, "")
    status, told = piece(config, "a b.iso", 2 * MIB, WHOLE[2 * MIB :])
    assert (status, told["sha256"]) == (200, SHA256)

    (image,) = operator.ask("GET", "/api/media").get_json()["images"]
    assert image == {"name": "a b.iso", "size": len(WHOLE), "sha256": SHA256}
    wanted = {"image": "a b.iso", "is_writable": False}
    assert operator.ask("PUT", "/api/media/drives/0", wanted).status_code == 200
    assert Path((luns / "lun.0/file").read_text()).read_bytes() == WHOLE
    drives = operator.ask("GET", "/api/media").get_json()["drives"]
    assert drives[0] == {"number": 0, "kind": "cdrom", "image": "a b.iso", "is_writable": False}

    for method, path in (("DELETE", "images/a%20b.iso"), ("PUT", "drives/1")):
        answer = admin.ask(method, f"/api/media/{path}", wanted)
        assert answer.status_code == 409
        assert answer.get_json()["error"] == "a b.iso is in use: eject it from drive 0 first."
    assert (
        operator.ask("POST", "/api/media/drives/0/eject", {"is_forced": False}).status_code == 200
    )
    assert admin.ask("DELETE", "/api/media/images/a%20b.iso").status_code == 200
    assert admin.ask("GET", "/api/media").get_json()["images"] == []

    events = [event for event, _ in audited if event.startswith("media")]
    assert events == [
        *("media_upload", "media_arrived", "media_inserted", "media_ejected", "media_deleted"),
    ]


def test_a_line_that_breaks_loses_nothing(config, media_service, logged_in):
    admin = logged_in("admin")
    wanted = {"name": "a.iso", "size": len(WHOLE), "tag": "1"}
    admin.ask("POST", "/api/media/uploads", wanted)
    offset, chance = 0, random.Random(7)
    for _ in range(10):
        sent = chance.randrange(1, 300_000)
        piece(config, "a.iso", offset, WHOLE[offset : offset + sent], length=MIB)
        # The next piece waits until what came of the one before is on the disk.
        offset = admin.ask("POST", "/api/media/uploads", wanted).get_json()["offset"]
        status, told = piece(config, "a.iso", offset, b"")
        if status == 409:
            offset = admin.ask("POST", "/api/media/uploads", wanted).get_json()["offset"]
    assert offset > 0
    status, told = piece(config, "a.iso", offset, WHOLE[offset:])
    assert (status, told["sha256"]) == (200, SHA256)


def test_pieces_that_do_not_fit_are_refused(config, media_service, logged_in, monkeypatch):
    monkeypatch.setattr(server, "PIECE_BYTES", 1000)
    logged_in("admin").ask("POST", "/api/media/uploads", {"name": "a.iso", "size": 1500})
    assert piece(config, "a.iso", 7, b"x")[0] == 409
    assert piece(config, "b.iso", 0, b"x")[0] == 404
    assert piece(config, "a.iso", 0, b"x" * 1001)[0] == 413
    assert piece(config, "a.iso", 0, b"x" * 1000)[1]["offset"] == 1000
    assert piece(config, "a.iso", 1000, b"x" * 501)[0] == 413
    assert media_service._images.uploads() == [{"name": "a.iso", "size": 1500, "offset": 1000}]


def test_more_than_was_announced_is_left_out(config, media_service, logged_in):
    logged_in("admin").ask("POST", "/api/media/uploads", {"name": "a.iso", "size": 1500})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(config.media_socket))
        connection.sendall(
            b"PUT /api/media/uploads/a.iso/0 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(b"7d0\r\n" + bytes(2000) + b"\r\n0\r\n\r\n")
        assert b" 413 " in connection.recv(4096)
    assert media_service._images.uploads() == [{"name": "a.iso", "size": 1500, "offset": 1500}]


def test_a_piece_that_takes_too_long_ends_and_what_came_is_kept(
    config, media_service, logged_in, monkeypatch
):
    monkeypatch.setattr(server, "PIECE_SECONDS", 0.2)
    logged_in("admin").ask("POST", "/api/media/uploads", {"name": "a.iso", "size": 1500})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(config.media_socket))
        connection.sendall(
            b"PUT /api/media/uploads/a.iso/0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1500\r\n\r\n"
            + bytes(700)
        )
        assert b'"offset": 700' in connection.recv(4096)


def test_two_senders_of_one_name_do_not_mix(config, media_service, logged_in):
    logged_in("admin").ask("POST", "/api/media/uploads", {"name": "a.iso", "size": len(WHOLE)})
    answers = []
    senders = [
        threading.Thread(target=lambda: answers.append(piece(config, "a.iso", 0, WHOLE[:MIB])))
        for _ in range(4)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    assert piece(config, "a.iso", MIB, WHOLE[MIB:])[1]["sha256"] == SHA256


def test_what_the_computer_ejects_is_noticed(config, media_service, logged_in, luns, audited):
    (config.media_dir / "images/a.iso").write_bytes(WHOLE)
    operator = logged_in("operator")
    assert (
        operator.ask(
            "PUT", "/api/media/drives/0", {"image": "a.iso", "is_writable": False}
        ).status_code
        == 200
    )
    (luns / "lun.0/file").write_text("")  # as the kernel does
    media_service.note_ejects()
    assert audited[-1][1]["sentence"] == "the computer ejected a.iso from drive 0"
    media_service.note_ejects()
    assert [event for event, _ in audited].count("media_ejected") == 1


def test_a_disk_is_exchanged_in_one_step_and_a_cdrom_never_written_to(
    config, media_service, logged_in, luns
):
    for name in ("a.img", "b.img"):
        (config.media_dir / "images" / name).write_bytes(WHOLE)
    operator = logged_in("operator")
    for name in ("a.img", "b.img"):
        wanted = {"image": name, "is_writable": True}
        assert operator.ask("PUT", "/api/media/drives/1", wanted).status_code == 200
        assert Path((luns / "lun.1/file").read_text()).name == name
    wanted = {"image": "a.img", "is_writable": True}
    answer = operator.ask("PUT", "/api/media/drives/0", wanted)
    assert (answer.status_code, "is a CD-ROM" in answer.get_json()["error"]) == (400, True)
    answer = operator.ask("PUT", "/api/media/drives/5", wanted)
    assert (answer.status_code, "There is no drive 5" in answer.get_json()["error"]) == (404, True)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "uploads", {"name": "a"}),
        ("POST", "uploads", {"name": "a", "size": 1, "more": 1}),
        ("POST", "uploads", {"name": "../a", "size": 1}),
        ("POST", "uploads", {"name": "a" * 5000, "size": 1}),
        ("POST", "uploads", {"name": "日" * 2000, "size": 1}),
        ("POST", "uploads", {"name": ["日" * 2000], "size": 1}),
        ("POST", "uploads", {"name": "a", "size": 10**4200}),
        ("POST", "disks", {"name": "a", "size": "1"}),
        ("PUT", "drives/1", {"image": "a"}),
        ("PUT", "drives/1", {"image": "a", "is_writable": 1}),
        ("POST", "drives/1/eject", {"is_forced": "yes"}),
        ("DELETE", "images/.hidden", None),
        ("DELETE", "uploads/%2e%2e", None),
        ("PUT", "uploads/.hidden/0", None),
    ],
)
def test_wrong_requests_are_refused_in_a_sentence(media_service, logged_in, method, path, body):
    answer = logged_in("admin").ask(method, f"/api/media/{path}", body)
    assert (answer.status_code, answer.get_json()["error"][-1]) == (400, ".")


def test_a_service_that_is_gone_is_said(logged_in):
    answer = logged_in("operator").ask("GET", "/api/media")
    assert (answer.status_code, "tinypilot-media" in answer.get_json()["error"]) == (503, True)


def test_why_there_are_no_drives_is_said_in_the_readers_language(media_service, logged_in, luns):
    luns.rename(luns.with_name("gone"))
    answer = logged_in("operator").ask("GET", "/api/media", headers={"Accept-Language": "de"})
    assert "USB-Controller" in answer.get_json()["problem"]


def test_refusals_of_the_service_have_sentences():
    refusal = ApiError(409, "{name} is in use.", name="a")
    told = server._refusal(refusal)
    again = ApiError.of_another_program(409, told["sentence"], told["values"])
    assert str(again) == str(refusal) == told["error"]


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("operator", True), ("admin", True)])
def test_who_may_only_watch_is_not_shown_the_drives(logged_in, role, may):
    page = logged_in(role).ask("GET", "/").get_data(as_text=True)
    assert ('id="open-media"' in page) is may


def test_the_dialog_fetches_its_words_in_the_language_of_the_page(logged_in):
    german = {"Accept-Language": "de"}
    words = logged_in("operator").ask("GET", "/words/media", headers=german).get_json()
    assert words["Eject"] == "Auswerfen"
    assert logged_in("operator").ask("GET", "/words/media").get_json() == {}


# --- Compressed images ---


def zstd(whole, *options):
    command = ["zstd", "--stdout", "--quiet", *options]
    return subprocess.run(command, input=whole, check=True, capture_output=True).stdout


PACKED = {
    "a.iso.xz": lzma.compress(WHOLE),
    "a.iso.XZ": lzma.compress(WHOLE),
    "a.iso.gz": gzip.compress(WHOLE),
    "a.iso.zst": zstd(WHOLE),
}
# As parallel compressors write them: several streams, and zeros behind.
SEVERAL = {
    "a.iso.xz": lzma.compress(WHOLE[:MIB]) + bytes(8) + lzma.compress(WHOLE[MIB:]) + bytes(4),
    "a.iso.gz": gzip.compress(WHOLE[:MIB]) + gzip.compress(WHOLE[MIB:]),
    "a.iso.zst": zstd(WHOLE[:MIB]) + zstd(WHOLE[MIB:]),
}


@pytest.mark.parametrize(("name", "packed"), [*PACKED.items(), *SEVERAL.items()])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_is_compressed_is_unpacked_while_it_arrives(
    images, start_again, tmp_path, name, packed, is_restarted
):
    upload = images.begin(name, len(packed), hashlib.sha256(packed).hexdigest())
    for start in range(0, len(packed), 300_001):
        upload.append(packed[start : start + 300_001])
        assert start < MIB or (tmp_path / "media/unpacked/a.iso").stat().st_size > MIB // 2
        if is_restarted and start == 600_002:
            images = start_again()
            assert not (tmp_path / "media/unpacked/a.iso").exists()
            upload = images.begin(name, len(packed), hashlib.sha256(packed).hexdigest())
            # As the service does it before the next piece.
            upload.sha256()
    assert images.finish(name) == SHA256
    assert images.path_of("a.iso").read_bytes() == WHOLE
    assert images.images() == [{"name": "a.iso", "size": len(WHOLE), "sha256": SHA256}]
    assert images.uploads() == [] and images.room()["used"] == len(WHOLE)
    files = {file.name for file in (tmp_path / "media").rglob("*") if file.is_file()}
    assert files == {"a.iso", "a.iso.json"}


@pytest.mark.parametrize("name", [*PACKED])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda packed: WHOLE[:5000],
        lambda packed: packed[:-9],
        lambda packed: packed[:5000] + b"\xff" * 40 + packed[5040:],
        lambda packed: packed + b"what follows",
        lambda packed: bytes(12) + packed,
    ],
    ids=["not compressed", "cut", "changed", "more behind", "zeros before"],
)
def test_what_is_damaged_is_refused(images, tmp_path, name, spoil):
    packed = spoil(PACKED[name])
    upload = images.begin(name, len(packed))
    refusal = refused(lambda: (upload.append(packed), images.finish(name)))
    assert isinstance(refusal, UnpackingError) and "can't be unpacked" in str(refusal)
    # It stays so, whatever follows.
    assert str(refused(images.finish, name)) == str(refusal)
    images.cancel(name)
    assert [file for file in (tmp_path / "media").rglob("*") if file.is_file()] == []


NOTHING_YET = b"\0" * (70 * MIB)


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        ("a.xz", lzma.compress(NOTHING_YET, preset=0)),
        ("a.gz", gzip.compress(NOTHING_YET, 1)),
        ("a.zst", zstd(NOTHING_YET)),
    ],
)
def test_a_bomb_ends_where_the_room_does(images, tmp_path, name, bomb):
    assert len(bomb) < MIB
    arrive(images, "there.iso")
    upload = images.begin(name, len(bomb))
    refusal = refused(upload.append, bomb)
    assert (refusal.status, "has no room" in str(refusal)) == (507, True)
    assert images.room()["used"] <= 64 * MIB
    images.cancel(name)
    assert images.room()["used"] == len(WHOLE)
    assert images.path_of("there.iso").read_bytes() == WHOLE
    assert list((tmp_path / "media/unpacked").iterdir()) == []


def test_one_block_at_a_time_is_in_memory():
    for ending, packed in ((".xz", lzma.compress), (".gz", gzip.compress), (".zst", zstd)):
        blocks = Unpacker(DECODERS[ending]).feed(packed(bytes(8 * MIB)))
        assert max(len(block) for block in blocks) <= MIB


@pytest.mark.parametrize(
    ("ending", "packed"),
    [
        (".xz", lzma.compress(b"a", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}])),
        (".zst", zstd(WHOLE, "--ultra", "--long=28")),
        (".xz", lzma.compress(b"") * 1100),
        (".gz", gzip.compress(b"") * 1100),
        (".zst", zstd(b"", "--no-check") * 1100),
    ],
    ids=["memory of xz", "memory of zstd", "streams of xz", "of gzip", "of zstd"],
)
def test_what_costs_more_memory_or_time_than_it_is_worth_is_refused(ending, packed):
    with pytest.raises(DamagedError):
        list(Unpacker(DECODERS[ending]).feed(packed))


@pytest.mark.parametrize("name", ["a.zip", "a.7z", "a.ISO.ZIP", "a.tar", "a.rar"])
def test_archives_are_refused_with_what_to_do(images, name):
    refusal = refused(images.begin, name, 512)
    assert (refusal.status, "send the image that is in it" in str(refusal)) == (400, True)


def test_two_uploads_do_not_become_one_image(images, mkfs):
    images.begin("a.iso.xz", 512)
    for act in (
        lambda: images.begin("a.iso", 512),
        lambda: images.begin("a.iso.gz", 512),
        lambda: images.make_disk("a.iso", MIB),
    ):
        refusal = refused(act)
        assert refusal.status == 409 and "a.iso.xz becomes a.iso, too" in str(refusal)
    assert "one is unpacked at a time" in str(refused(images.begin, "b.iso.gz", 512))
    images.cancel("a.iso.xz")
    arrive(images, "a.iso")
    assert "There is an image called a.iso" in str(refused(images.begin, "a.iso.zst", 512))
    assert refused(images.begin, "a..xz", 512).status == 400


def test_a_power_cut_at_the_end_of_unpacking_leaves_the_upload_or_the_image(
    images, start_again, monkeypatch
):
    packed = PACKED["a.iso.xz"]
    for broken in ("os.replace", "pathlib.Path.unlink"):
        images.begin("a.iso.xz", len(packed)).append(packed)
        with monkeypatch.context() as patch:
            patch.setattr(broken, power_cut)
            with pytest.raises(PowerCutError):
                images.finish("a.iso.xz")
        images = start_again()
        if broken == "os.replace":
            assert images.uploads()[0]["offset"] == len(packed) and images.images() == []
            images.finish("a.iso.xz")
            assert images.path_of("a.iso").read_bytes() == WHOLE
            images.delete("a.iso")
    assert images.uploads() == []
    assert images.path_of("a.iso").read_bytes() == WHOLE


def test_a_disk_that_fails_while_it_is_unpacked_costs_nothing(images, monkeypatch):
    packed = PACKED["a.iso.gz"]
    upload = images.begin("a.iso.gz", len(packed))
    upload.append(packed[:500_000])

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Images, "room", fail)
        with pytest.raises(OSError, match="Input/output"):
            upload.append(packed[500_000:])
    assert upload.offset == len(packed)
    assert images.finish("a.iso.gz") == SHA256


def test_the_service_unpacks_and_gives_up_what_is_of_no_use(config, media_service, logged_in):
    admin = logged_in("admin")
    packed = PACKED["a.iso.xz"]
    admin.ask("POST", "/api/media/uploads", {"name": "a.iso.xz", "size": len(packed)})
    status, told = piece(config, "a.iso.xz", 0, packed)
    assert (status, told["image"], told["sha256"]) == (200, "a.iso", SHA256)
    admin.ask("POST", "/api/media/uploads", {"name": "b.iso.xz", "size": 5000})
    status, told = piece(config, "b.iso.xz", 0, WHOLE[:4000])
    assert (status, "can't be unpacked" in told["error"]) == (400, True)
    told = admin.ask("GET", "/api/media").get_json()
    assert [each["name"] for each in told["images"]] == ["a.iso"] and told["uploads"] == []
