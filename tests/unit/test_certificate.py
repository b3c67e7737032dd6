# SPDX-License-Identifier: MIT
"""The certificate that nginx shows: which source it comes from, what the local CA signs, and for which names."""

import datetime
import importlib.util
import json
import os
import subprocess
import sys
import threading
from grp import getgrgid
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.waiting import wait_until

PROGRAM = Path(__file__).parents[2] / "roles/gateway/files/certificate.py"
spec = importlib.util.spec_from_file_location("own_certificate", PROGRAM)
program = importlib.util.module_from_spec(spec)
sys.modules["own_certificate"] = program
spec.loader.exec_module(program)

DAY = datetime.timedelta(days=1)
GROUP = getgrgid(os.getgid()).gr_name


def pem(key) -> str:
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded.decode()


def signed(subject, key, issuer, issuer_key, names=(), begin=-1, days=2) -> str:
    """A certificate whose validity begins and ends so many days from now."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begin * DAY)
        .not_valid_after(now + days * DAY)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def self_signed(key, **options) -> str:
    return signed("own", key.public_key(), "own", key, **options)


class Device:
    """A device's folder, on which the program is run as often as one likes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.settings = folder / "settings.json"
        self.request = folder / "request.pem"
        self.issued = folder / "issued.pem"
        self.acme_key = ec.generate_private_key(ec.SECP256R1())
        self.acme = signed("acme", self.acme_key.public_key(), "acme", self.acme_key)

    def run(self, *names, host="rack-7", is_check=False, restart="", **options) -> str:
        chosen = self.options(*names, host=host, **options)
        return program.check(chosen) if is_check else program.make(chosen, restart)

    def options(self, *names, **options):
        names = names or ("kvm.example.org",)
        values = {"group": GROUP, "days": 825, "renew_days": 30, "settings": self.settings}
        return program.Options(folder=self.folder, names=names, **{**values, **options})

    def run_with_acme(self, *names, **options) -> str:
        return self.run(*names, request=self.request, issued=self.issued, **options)

    def sign_request(self, **options) -> None:
        """What an ACME server does."""
        csr = x509.load_pem_x509_csr(self.request.read_bytes())
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        chain = signed("x", csr.public_key(), "acme", self.acme_key, names=names, **options)
        self.issued.write_text(chain + self.acme)

    def upload(self, chain: str, key: str, setting="gateway_certificate_and_key") -> None:
        self.settings.write_text(json.dumps({setting: chain + key}))

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def certificate(self, name="server.pem") -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.read(name).encode())

    def key(self) -> str:
        return program.KEY.search(self.read("server.pem"))[0]

    @property
    def issuer(self) -> str:
        common_name = x509.NameOID.COMMON_NAME
        return self.certificate().issuer.get_attributes_for_oid(common_name)[0].value

    def contents(self) -> dict[str, tuple[str, int]]:
        return {
            file.name: (file.read_text(), file.stat().st_mode & 0o777)
            for file in self.folder.iterdir()
        }

    def verify(self, *options, certificate="server.pem"):
        """By OpenSSL, as a browser does that trusts the CA."""
        command = ["openssl", "verify", "-CAfile", "ca.pem", *options, certificate]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def test_what_is_valid_is_left_alone(device):
    assert device.run() == "The device shows its own."
    before = device.contents()
    assert device.run() == "up to date"
    assert device.run(is_check=True) == "up to date"
    assert device.contents() == before


def test_a_check_changes_nothing(device):
    assert device.run(is_check=True) == "The device shows its own."
    assert device.contents() == {}


def test_keys_are_for_root_and_nginx_alone(device):
    device.run_with_acme()
    modes = {name: oct(mode) for name, (_, mode) in device.contents().items()}
    assert modes == {
        "ca.key": "0o600",
        "ca.pem": "0o644",
        "device.key": "0o600",
        "hosts.conf": "0o644",
        "request.pem": "0o644",
        "server.pem": "0o640",
    }
    assert device.read("ca.key") != device.read("device.key")


@pytest.mark.parametrize(
    ("file", "mode"), [("server.pem", 0o644), ("ca.key", 0o644), ("hosts.conf", 0o600)]
)
def test_a_mode_that_somebody_changed_is_set_again(device, file, mode):
    device.run()
    before = device.contents()
    (device.folder / file).chmod(mode)
    assert device.run() != "up to date"
    assert device.contents() == before


@pytest.mark.parametrize("file", ["server.pem", "ca.pem", "ca.key", "device.key", "hosts.conf"])
@pytest.mark.parametrize(
    "harm", [lambda text: text[: len(text) // 2], lambda text: ""], ids=["half", "empty"]
)
def test_a_harmed_file_is_made_again(device, file, harm):
    """A power cut leaves none, but an SD card may."""
    device.run()
    (device.folder / file).write_text(harm(device.read(file)))
    assert device.run() != "up to date"
    assert device.verify("-verify_hostname", "kvm.example.org").stdout.endswith("OK\n")
    assert not program.Pair(device.read("server.pem"), device.key()).defect(
        datetime.datetime.now(datetime.UTC)
    )
    assert '"rack-7" 0;' in device.read("hosts.conf")
    assert device.run() == "up to date"


@pytest.mark.parametrize(
    ("key", "certificate"), [("ca.key", "ca.pem"), ("device.key", "server.pem")]
)
def test_a_certificate_of_another_key_is_made_again(device, key, certificate):
    device.run()
    (device.folder / key).write_text(program.new_key())
    assert device.run() == "The device shows its own."
    assert program.has_key(device.certificate(certificate), device.read(key))
    assert device.verify().stdout.endswith("OK\n")
    assert device.run() == "up to date"


def test_what_a_power_cut_left_of_a_new_file_is_in_nobodys_way(device):
    (device.folder / ".server.pem.new").write_text("half")
    device.run()
    assert device.verify().stdout.endswith("OK\n")
    assert not (device.folder / ".server.pem.new").exists()


def test_a_file_is_on_disk_before_it_takes_the_place_of_the_old_one(device, monkeypatch):
    """So a power cut leaves the old or the new one. Nothing but the folder needs to be written after that."""
    did = []

    def note(name):
        real = getattr(os, name)

        def call(*arguments, **options):
            path = arguments[0]
            did.append(
                (
                    name,
                    Path(
                        os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path
                    ).name,
                )
            )
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "replace"):
        note(name)
    monkeypatch.setattr(Path, "replace", lambda self, other: os.replace(self, other))
    program.File(device.folder / "file", "text", 0o600).write()
    assert did == [
        ("fsync", ".file.new"),
        ("replace", ".file.new"),
        ("fsync", device.folder.name),
    ]


def test_a_file_is_whole_and_nobody_elses_before_others_may_read_it(device, monkeypatch):
    path = device.folder / "file"
    new = path.with_name(".file.new")
    did = []

    def note_mode(_, mode):
        did.append((oct(new.stat().st_mode & 0o777), oct(mode)))

    monkeypatch.setattr(os, "fchmod", note_mode)
    monkeypatch.setattr(os, "fchown", lambda _, user, group: did.append((user, group)))
    monkeypatch.setattr(program.File, "_group_id", lambda self, default: default + 1)
    open_before = os.listdir("/proc/self/fd")
    program.File(path, "text", 0o640, GROUP).write()
    assert os.listdir("/proc/self/fd") == open_before
    assert did[:2] == [(-1, os.getegid() + 1), ("0o600", "0o640")]
    did.clear()
    # In the sandbox of its unit the program may not give files away.
    monkeypatch.setattr(program.File, "_group_id", lambda self, default: default)
    program.File(path, "text", 0o640, GROUP).write()
    assert did[0] == ("0o600", "0o640")


def test_what_is_written_is_there_when_the_disk_is_waited_for(device, monkeypatch):
    new = device.folder / ".file.new"
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(new.read_text() if new.exists() else ""))
    program.File(device.folder / "file", "text", 0o600).write()
    assert seen == ["text", ""]


def test_old_and_new_versions_of_the_library_tell_the_same_moments():
    """Debian 12's has dates without a zone, others warn of these."""
    noon = datetime.datetime(2030, 1, 2, 12, tzinfo=datetime.UTC)
    naive = noon.replace(tzinfo=None)

    class Old:
        not_valid_before = naive
        not_valid_after = naive + DAY

    class New:
        not_valid_before_utc = noon
        not_valid_after_utc = noon + DAY

    for certificate in (Old, New):

        class Shown(program.Pair):
            certificate = None

        Shown.certificate = certificate
        pair = Shown("", "")
        assert (pair.begin, pair.end) == (noon, noon + DAY)


def test_two_that_come_at_once_make_one(device):
    """The playbook, the timer and a start may."""
    said = []
    threads = [
        threading.Thread(target=lambda: said.append(run_as_a_program(device))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["The device shows its own.", *["up to date"] * 3]
    assert device.verify().stdout.endswith("OK\n")


def test_who_comes_second_waits(device):
    device.run()
    before = device.read("server.pem")

    def waits() -> bool:
        locks = Path("/proc/locks").read_text().splitlines()
        return any({"->", "FLOCK", str(os.getpid())} <= set(lock.split()) for lock in locks)

    with program.locked(device.folder):
        (device.folder / "server.pem").unlink()
        second = threading.Thread(target=device.run)
        second.start()
        wait_until(waits, "the second waits")
        assert not (device.folder / "server.pem").exists()
    second.join()
    assert device.read("server.pem") != before


def run_as_a_program(device, *arguments) -> str:
    days = ["--days=825", "--renew-days=30", f"--group={GROUP}"]
    command = [sys.executable, PROGRAM, "make", device.folder, *arguments, *days]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_without_names_it_is_for_the_host_name(device):
    run_as_a_program(device)
    host = os.uname().nodename.partition(".")[0].lower()
    for name in (host, f"{host}.local"):
        assert device.verify("-verify_hostname", name).stdout.endswith("OK\n")
        assert f'"{name}" 0;' in device.read("hosts.conf")


def test_near_its_end_it_is_renewed_by_the_same_authority_with_the_same_key(device):
    device.run(days=60, renew_days=59)
    assert device.run(days=60, renew_days=59) == "up to date"
    before = device.contents()
    assert device.run(days=60, renew_days=60) == "The device shows its own."
    after = device.contents()
    assert {name for name in before if before[name] != after[name]} == {"server.pem"}
    assert device.key() in before["server.pem"][0]


def test_an_authority_that_ends_before_what_it_would_sign_is_made_again(device):
    device.run(days=60)
    before = device.contents()
    assert device.run(days=program.AUTHORITY_DAYS) == "The device shows its own."
    assert device.contents()["ca.pem"] != before["ca.pem"]
    assert device.verify().stdout.endswith("OK\n")


def test_other_names_have_another_authority(device):
    device.run("kvm.example.org")
    before = device.contents()
    device.run("other.example.org", "192.0.2.7", "2001:db8::7")
    after = device.contents()
    for name in ("ca.key", "ca.pem", "server.pem"):
        assert before[name] != after[name]
    assert device.verify("-verify_ip", "192.0.2.7").stdout.endswith("OK\n")
    assert device.verify("-verify_ip", "2001:db8::7").stdout.endswith("OK\n")
    assert device.run("other.example.org", "192.0.2.7", "2001:db8::7") == "up to date"


def test_another_host_name_alone_asks_nobody_to_trust_another_authority(device):
    device.run()
    authority = device.read("ca.pem")
    assert device.run(host="rack-8") == "The device shows its own."
    assert device.read("ca.pem") == authority
    assert device.read("hosts.conf") == '"rack-8" 0;\n"rack-8.local" 0;\n'


def test_the_operators_name_is_in_the_certificate_of_a_new_authority(device):
    device.run("rack-7", also=["kvm.lan", "rack-7"])
    assert device.verify("-verify_hostname", "kvm.lan").stdout.endswith("OK\n")
    assert device.run("rack-7", also=["kvm.lan", "rack-7"]) == "up to date"


def test_another_name_of_the_operators_asks_nobody_to_trust_another_authority(device):
    device.run("rack-7", also=["kvm.lan"])
    authority = device.read("ca.pem")
    assert device.run("rack-7", also=["other.lan"]) == "The device shows its own."
    assert device.read("ca.pem") == authority
    for name, is_for_it in (("rack-7", True), ("kvm.lan", False), ("other.lan", False)):
        assert device.verify("-verify_hostname", name).stdout.endswith("OK\n") == is_for_it
    device.run("rack-7", also=["kvm.lan"])
    assert device.verify("-verify_hostname", "kvm.lan").stdout.endswith("OK\n")
    assert device.read("ca.pem") == authority


def test_names_that_were_chosen_are_all_of_its_authority(device):
    """Whoever takes one away takes its authority away."""
    device.run("kvm.example.org", "old.example.org")
    authority = device.read("ca.pem")
    device.run("kvm.example.org")
    assert device.read("ca.pem") != authority
    run_as_a_program(device, "kvm.example.org", "--also=kvm.lan")
    assert device.verify("-verify_hostname", "kvm.lan").returncode != 0


# --- The clock ---


@pytest.fixture
def clock_is_set(monkeypatch, tmp_path):
    """Says whether the clock was set since the start."""
    file = tmp_path / "synchronized"
    monkeypatch.setattr(program, "CLOCK_IS_SET", file)
    return lambda is_set: file.touch() if is_set else file.unlink(missing_ok=True)


def at(monkeypatch, days):
    """The device's clock is so many days ahead."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, zone):
            return super().now(zone) + days * DAY

    monkeypatch.setattr(program, "datetime", Clock)


@pytest.mark.parametrize("days", [1, -1])
def test_what_was_made_while_the_clock_was_a_day_off_is_valid(device, monkeypatch, days):
    at(monkeypatch, days)
    device.run(days=60)
    assert device.verify().stdout.endswith("OK\n")
    at(monkeypatch, 0)
    assert device.run(days=60) == "up to date"


def test_what_was_made_while_the_clock_was_far_ahead_is_made_again(
    device, monkeypatch, clock_is_set
):
    clock_is_set(False)
    at(monkeypatch, 1000)
    device.run()
    at(monkeypatch, 0)
    # This clock may be the one that is wrong.
    assert device.run() == "up to date"
    assert device.verify().returncode != 0
    clock_is_set(True)
    assert device.run() == "The device shows its own."
    assert device.verify().stdout.endswith("OK\n")


def test_a_clock_that_is_late_changes_nothing(device, monkeypatch, clock_is_set):
    clock_is_set(False)
    device.run()
    at(monkeypatch, -1000)
    assert device.run() == "up to date"


def test_no_browser_minds_how_long_it_is_valid(device):
    device.run(days=825)
    own = program.Pair(device.read("server.pem"), "")
    assert own.end - own.begin <= 825 * DAY


def extensions(signed) -> dict:
    return {each.oid._name: (each.critical, each.value) for each in signed.extensions}


def usages(usage: x509.KeyUsage) -> set[str]:
    return {
        name
        for name in ("digital_signature", "key_cert_sign", "crl_sign", "key_encipherment")
        if getattr(usage, name)
    }


def test_what_authority_and_certificate_are_for_is_said_as_browsers_want_it(device):
    """As the profile of RFC 5280 and the rules of the browsers' makers have it."""
    device.run("first.example.org", "second.example.org")
    authority, own = extensions(device.certificate("ca.pem")), extensions(device.certificate())
    assert authority["basicConstraints"] == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert own["basicConstraints"] == (True, x509.BasicConstraints(ca=False, path_length=None))
    assert authority["keyUsage"][0] and usages(authority["keyUsage"][1]) == {"key_cert_sign"}
    assert own["keyUsage"][0] and usages(own["keyUsage"][1]) == {"digital_signature"}
    assert authority["nameConstraints"][0]
    assert not own["subjectAltName"][0]
    server = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    assert own["extendedKeyUsage"] == (False, server)
    (subject,) = device.certificate().subject
    assert subject.value == "first.example.org"
    assert device.issuer == "Authority of first.example.org"


def test_an_authority_for_an_address_of_one_kind_signs_for_none_of_the_other(device):
    device.run("192.0.2.7")
    constraints = extensions(device.certificate("ca.pem"))["nameConstraints"][1]
    assert [str(each.value) for each in constraints.permitted_subtrees[1:]] == ["192.0.2.7/32"]
    assert [str(each.value) for each in constraints.excluded_subtrees] == ["::/0"]


def test_all_names_of_a_domain(device):
    device.run("*.example.org")
    assert device.verify("-verify_hostname", "kvm.example.org").stdout.endswith("OK\n")
    assert device.run("*.example.org") == "up to date"
    # The same CA may sign for it, and has not.
    assert device.run("example.org") == "The device shows its own."
    assert device.verify("-verify_hostname", "example.org").stdout.endswith("OK\n")


@pytest.mark.parametrize(
    "names", [("kvm.example.org",), ("192.0.2.7",), ("2001:db8::7", "kvm.example.org")]
)
@pytest.mark.parametrize("other", ["bank.example", "198.51.100.1", "2001:db8::1"])
def test_the_authority_can_sign_for_no_other_name(device, names, other):
    """Whoever trusts it trusts it for this device alone, also when its key is stolen."""
    device.run(*names)
    key = program.load_key(device.read("ca.key"))
    authority = device.certificate("ca.pem").subject
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime.now(datetime.UTC) - DAY)
        .not_valid_after(datetime.datetime.now(datetime.UTC) + DAY)
        .add_extension(program.alternative_names([other]), critical=True)
        .sign(key, hashes.SHA256())
    )
    (device.folder / "forged.pem").write_bytes(forged.public_bytes(Encoding.PEM))
    verified = device.verify(certificate="forged.pem")
    assert verified.returncode != 0
    assert "subtree violation" in verified.stderr + verified.stdout


def test_what_an_acme_server_signed_is_shown_with_its_chain_and_left_alone(device):
    names = ("kvm.example.org", "Other.example.org")
    assert device.run_with_acme(*names) == "The device shows its own."
    assert device.issuer.startswith("Authority of")
    device.sign_request()
    assert device.run_with_acme(*names) == "The device shows the ACME server's."
    assert device.issuer == "acme"
    assert device.read("server.pem").count("BEGIN CERT") == 2
    assert device.run_with_acme(*names) == "up to date"


def harmed_by_a_letter(issued: str) -> str:
    at = issued.rindex("M")
    return issued[:at] + "\\0115" + issued[at + 1 :]


WEAK = rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        pytest.param(lambda device, issued: None, "", id="gone"),
        pytest.param(
            lambda device, issued: issued[: issued.rindex("-----END")], "loaded", id="half-a-chain"
        ),
        pytest.param(lambda device, issued: device.acme, "mismatch", id="another-key"),
        # nginx would not start with either.
        pytest.param(
            lambda device, issued: issued + self_signed(WEAK), "ca key too small", id="a-weak-link"
        ),
        pytest.param(
            lambda device, issued: harmed_by_a_letter(issued), "loaded", id="another-letter"
        ),
        pytest.param(lambda device, issued: "\ufffd\0", "loaded", id="no-certificate"),
    ],
)
def test_without_the_acme_servers_the_devices_own_is_shown(device, harm, why):
    device.run_with_acme()
    device.sign_request()
    device.run_with_acme()
    assert device.issuer == "acme"
    harmed = harm(device, device.issued.read_text())
    device.issued.unlink() if harmed is None else device.issued.write_text(harmed)
    said = device.run_with_acme()
    assert said.startswith("The device shows its own.")
    assert why in said.lower()
    assert (why != "") == (f"The one in {device.issued} is not used" in said)
    assert device.issuer.startswith("Authority of")


def test_an_acme_servers_of_the_past_is_not_shown(device):
    device.run_with_acme()
    device.sign_request()
    device.run_with_acme()
    device.sign_request(begin=-9, days=-1)
    said = device.run_with_acme()
    assert "its own" in said and "it expired on" in said


def test_an_acme_servers_of_tomorrow_is_shown(device):
    """It is the clock that is late, until a Pi has asked for the time."""
    device.run_with_acme()
    device.sign_request(begin=1, days=3)
    assert device.run_with_acme() == "The device shows the ACME server's."


def test_a_pipe_in_the_place_of_the_acme_servers_holds_nothing_up(device):
    device.run_with_acme()
    os.mkfifo(device.issued)
    assert device.run_with_acme() == "up to date"


def test_another_name_is_requested_anew_and_shown_when_it_is_signed(device):
    device.run_with_acme("kvm.example.org")
    device.sign_request()
    device.run_with_acme("kvm.example.org")
    said = device.run_with_acme("kvm.example.org", "rack.example.org")
    assert said.startswith("The device shows its own.")
    assert "it is not for rack.example.org." in said
    device.sign_request()
    said = device.run_with_acme("kvm.example.org", "rack.example.org")
    assert said == "The device shows the ACME server's."


def test_a_certificate_for_all_names_of_a_domain_is_for_each_of_them(device):
    device.run_with_acme("kvm.example.org")
    csr = x509.load_pem_x509_csr(device.request.read_bytes())
    names = [x509.DNSName("*.Example.org")]
    device.issued.write_text(
        signed("x", csr.public_key(), "acme", device.acme_key, names=names) + device.acme
    )
    assert device.run_with_acme("kvm.example.org") == "The device shows the ACME server's."
    assert "is not for a.kvm.example.org" in device.run_with_acme("a.kvm.example.org")


def test_the_request_is_for_the_devices_key_and_asks_in_small_letters(device):
    device.run_with_acme("Kvm.Example.org")
    csr = x509.load_pem_x509_csr(device.request.read_bytes())
    assert csr.is_signature_valid
    assert program.has_key(csr, device.read("device.key"))
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert not names.critical
    assert list(names.value) == [x509.DNSName("kvm.example.org")]
    before = device.request.read_text()
    # Asked again it would be signed again: what the ACME server is asked with stays as it is.
    device.run_with_acme("Kvm.Example.org", host="rack-8")
    assert device.request.read_text() == before
    (device.folder / "device.key").unlink()
    device.run_with_acme("Kvm.Example.org")
    assert device.request.read_text() != before


OWN = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
# Not all of them are host names.
NAMES = [
    *map(
        x509.DNSName,
        ["Desk.example.org", "*.example.org", "kvm", "a b", "c;}", "d" * 254, "-e", "f_"],
    ),
    x509.RFC822Name("ada@example.org"),
]


def test_what_was_uploaded_is_shown_and_left_alone(device):
    device.run()
    device_key = device.key()
    chain = self_signed(OWN, names=NAMES) + self_signed(OTHER)
    device.upload(chain, pem(OWN))
    assert device.run() == "The device shows the uploaded one."
    assert device.read("server.pem") == chain + pem(OWN)
    assert device.run() == "up to date"
    assert device.read("hosts.conf").splitlines() == [
        f'"{name}" 0;'
        for name in ("*.example.org", "desk.example.org", "kvm", "rack-7", "rack-7.local")
    ]
    # Its own key signs again, not the one that was taken away.
    device.settings.write_text("{}")
    assert device.run() == "The device shows its own."
    assert device.key() == device_key
    assert pem(OWN).strip() not in device.read("server.pem")
    assert "desk.example.org" not in device.read("hosts.conf")


def test_what_was_uploaded_under_the_settings_former_name_stays(device):
    chain = self_signed(OWN)
    device.upload(chain, pem(OWN), setting="tinypilot_certificate_and_key")
    assert device.run() == "The device shows the uploaded one."
    device.upload(chain, pem(OWN))
    assert device.run() == "up to date"


def test_what_was_uploaded_comes_before_what_an_acme_server_signed(device):
    device.run_with_acme()
    device.sign_request()
    device.upload(self_signed(OWN), pem(OWN))
    assert device.run_with_acme() == "The device shows the uploaded one."
    device.settings.unlink()
    assert device.run_with_acme() == "The device shows the ACME server's."


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        pytest.param(None, "", id="gone"),
        pytest.param("{", "", id="half-a-file"),
        pytest.param((self_signed(OWN), pem(OTHER)), "mismatch", id="another-key"),
        pytest.param((self_signed(OWN), ""), "loaded", id="no-key"),
        pytest.param((self_signed(OWN, begin=-3, days=-1), pem(OWN)), "it expired on", id="past"),
        pytest.param((self_signed(WEAK), pem(WEAK)), "key too small", id="weak"),
    ],
)
def test_without_the_uploaded_one_the_devices_own_is_shown(device, settings, why):
    device.upload(self_signed(OWN), pem(OWN))
    device.run()
    assert device.issuer == "own"
    if settings is None:
        device.settings.unlink()
    elif settings == "{":
        device.settings.write_text(settings)
    else:
        device.upload(*settings)
    said = device.run()
    assert said.startswith("The device shows its own.")
    assert why in said.lower()
    assert (why != "") == ("uploaded in the web UI is not used" in said)
    assert device.issuer.startswith("Authority of")


def test_nginx_is_restarted_for_what_is_new_to_it_alone(device, monkeypatch):
    asked = []
    monkeypatch.setattr(
        program.subprocess, "run", lambda command, check: asked.append((*command, check))
    )
    device.run(restart="nginx.service", is_check=True)
    assert asked == []
    device.run(restart="nginx.service")
    assert asked == [("systemctl", "try-restart", "nginx.service", True)]
    device.run(restart="nginx.service")
    assert len(asked) == 1
