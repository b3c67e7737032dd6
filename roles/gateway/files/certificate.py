#!/usr/bin/python3 -I
# SPDX-License-Identifier: MIT
"""Keeps the certificate that nginx shows and its key, in one file: FOLDER/server.pem.

It comes from the first of three sources that has a valid one:

1. The web UI: somebody uploaded a certificate and its key (--settings).
2. An ACME server. Another program asks it, with the request that is kept for it (--request), and leaves the
   certificate (--issued). That program never sees the key (device.key).
3. The local CA of this device. It is made on the device, so that no two devices share a key. A person may trust it
   (ca.pem): it can sign for the names of this device and for nothing else. Other names have another CA. Near its end
   the certificate is renewed by the same CA, with the same key.

hosts.conf tells nginx the names of the device that the playbook does not know: the host name, and the names of an
uploaded certificate.

The last line of output is "up to date", or says what was done (make) or would be (check).
"""

import argparse
import fcntl
import grp
import ipaddress
import json
import os
import re
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ModuleNotFoundError:
    # Check mode installs no packages, and the first run of all begins with it.
    if sys.argv[1:2] != ["check"]:
        raise
    print("python3-cryptography is to be installed")
    sys.exit()

AUTHORITY_DAYS = 3650
# What was made while the clock was ahead is valid as soon as the clock is right, up to this much.
EARLIER_DAYS = 2
# Browsers refuse what is valid for longer.
LONGEST_DAYS = 825
# There when systemd-timesyncd has set the clock since the device was started.
CLOCK_IS_SET = Path("/run/systemd/timesync/synchronized")
DIGITAL_SIGNATURE, KEY_CERT_SIGN = 0, 5
UNREADABLE = (
    ValueError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
# The second is what it was called; it stays in the file until the web UI's settings have been renamed.
SETTINGS = ("gateway_certificate_and_key", "tinypilot_certificate_and_key")
CERTIFICATES = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
KEY = re.compile("-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \\1-----", re.DOTALL)
HOST_NAME = re.compile(
    "(?=.{1,253}$)([*][.])?([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])*[a-z0-9]([a-z0-9-]*[a-z0-9])?"
)


@dataclass(frozen=True)
class Pair:
    """A certificate, with those between it and its CA, and its key; in PEM form."""

    chain: str
    key: str

    @property
    def pem(self) -> str:
        return f"{self.chain.strip()}\n{self.key.strip()}\n"

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain.encode())

    @property
    def end(self) -> datetime:
        # Debian 12 has python3-cryptography 38. The name for a date with its zone came with 42.
        if hasattr(self.certificate, "not_valid_after_utc"):
            return self.certificate.not_valid_after_utc
        return self.certificate.not_valid_after.replace(tzinfo=UTC)

    @property
    def begin(self) -> datetime:
        if hasattr(self.certificate, "not_valid_before_utc"):
            return self.certificate.not_valid_before_utc
        return self.certificate.not_valid_before.replace(tzinfo=UTC)

    def is_of_the_future(self, now: datetime) -> bool:
        """Made while the clock was far ahead. A clock that nobody has set since the start may be late itself."""
        return self.begin > now and CLOCK_IS_SET.exists()

    def defect(self, now: datetime) -> str:
        """Why nginx can't show it; empty if it can. With half a chain, a weak key or the key of another certificate
        nginx would not start: so OpenSSL loads the pair here as it does there."""
        # A key is none of /tmp's business: this file is on no disk.
        with open(os.memfd_create("pair"), "w", encoding="utf-8") as memory:
            memory.write(self.pem)
            memory.flush()
            try:
                tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                tls.load_cert_chain(f"/proc/self/fd/{memory.fileno()}", password="")
                # Its begin does not count: until a Pi has asked for the time, its clock is late.
                return "" if self.end > now else f"it expired on {self.end:%Y-%m-%d}"
            except (ssl.SSLError, ValueError) as error:
                return f"it can't be loaded ({error})"


@dataclass(frozen=True)
class Options:
    """`host`: the host name, without a domain. `also`: names that a new CA is for, too; others ask nobody to trust
    another CA. None: the names were chosen, so the CA is for them alone."""

    folder: Path
    group: str
    days: int
    renew_days: int
    host: str
    names: Sequence[str]
    also: Sequence[str] | None = None
    settings: Path | None = None
    request: Path | None = None
    issued: Path | None = None


@dataclass(frozen=True)
class File:
    path: Path
    text: str
    mode: int
    group: str = ""

    def is_up_to_date(self) -> bool:
        if read(self.path) != self.text:
            return False
        found = self.path.stat()
        wanted = (self.mode, os.geteuid(), self._group_id(found.st_gid))
        return (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == wanted

    def write(self) -> None:
        """Whole or, after a power cut, not at all; and open to nobody else before it has its mode."""
        new = self.path.with_name(f".{self.path.name}.new")
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.text)
            file.flush()
            made = os.fstat(file.fileno())
            # In the sandbox of its unit the program has the group already, and may not give files away.
            if made.st_gid != self._group_id(made.st_gid):
                os.fchown(file.fileno(), -1, self._group_id(made.st_gid))
            os.fchmod(file.fileno(), self.mode)
            os.fsync(file.fileno())
        new.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def _group_id(self, default: int) -> int:
        return grp.getgrnam(self.group).gr_gid if self.group else default


def read(path: Path | None) -> str:
    # The program that asks the ACME server is trusted with nothing else: what it left may be no file at all.
    return path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""


def new_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    encoding = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    return key.private_bytes(*encoding).decode()


def load_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError."""
    return load_pem_private_key(pem.encode(), password=None)


def is_key(pem: str) -> bool:
    try:
        return bool(load_key(pem))
    except ValueError:
        return False


def has_key(signed: x509.Certificate | x509.CertificateSigningRequest, key: str) -> bool:
    """Whether it is for this key. (Keys can be compared as they are since cryptography 40.)"""
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    other = load_key(key).public_key()
    return signed.public_key().public_bytes(*form) == other.public_bytes(*form)


def extension(signed: x509.Certificate | x509.CertificateSigningRequest, kind):
    """None if there is none of this kind, or some of them can't be read."""
    try:
        return signed.extensions.get_extension_for_class(kind).value
    except UNREADABLE:
        return None


# The names


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(list(map(general_name, names)))


def general_name(name: str) -> x509.GeneralName:
    if ":" in name or re.fullmatch(r"\d+(\.\d+){3}", name):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def name_constraints(host: str, names: Sequence[str]) -> x509.NameConstraints:
    # A kind of name that no constraint mentions would be free: so the host name, also where all names are addresses.
    permitted: list[x509.GeneralName] = [x509.DNSName(host)]
    free = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    for name in map(general_name, names):
        if isinstance(name, x509.IPAddress):
            permitted.append(x509.IPAddress(ipaddress.ip_network(name.value)))
            free = [network for network in free if network.version != name.value.version]
        else:
            permitted.append(x509.DNSName(name.value.removeprefix("*.")))
    return x509.NameConstraints(permitted, list(map(x509.IPAddress, free)) or None)


def dns_names(certificate: x509.Certificate) -> set[str]:
    names = extension(certificate, x509.SubjectAlternativeName)
    return {name.lower() for name in names.get_values_for_type(x509.DNSName)} if names else set()


def lacking(certificate: x509.Certificate, names: Sequence[str]) -> str:
    """A sentence about the names that it is not for; empty if there are none."""
    found = dns_names(certificate)
    lacks = [
        name
        for name in map(str.lower, names)
        if found.isdisjoint({name, "*." + name.partition(".")[2]})
    ]
    return f"it is not for {', '.join(lacks)}" if lacks else ""


def hosts(host: str, uploaded: Pair | None) -> str:
    """nginx' configuration: whoever made the certificate has chosen its names, so only host names get in here."""
    names = {host, f"{host}.local"} | (dns_names(uploaded.certificate) if uploaded else set())
    return "".join(f'"{name}" 0;\n' for name in sorted(filter(HOST_NAME.fullmatch, names)))


# The local CA and what it signs


def sign(
    subject: list[tuple[x509.ObjectIdentifier, str]],
    key: str,
    issuer: Pair | None,
    now: datetime,
    days: int,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> Pair:
    """Without an issuer it signs itself; `extensions` with whether they are critical."""
    name = x509.Name([x509.NameAttribute(*attribute) for attribute in subject])
    begin, end = now - timedelta(days=EARLIER_DAYS), now + timedelta(days=days)
    if issuer:
        end = min(end, begin + timedelta(days=LONGEST_DAYS))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(load_key(key).public_key())
        .issuer_name(issuer.certificate.subject if issuer else name)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    signed = builder.sign(load_key(issuer.key if issuer else key), hashes.SHA256())
    return Pair(signed.public_bytes(Encoding.PEM).decode(), key)


def key_usage(bit: int) -> x509.KeyUsage:
    """By the number that RFC 5280 gives it."""
    return x509.KeyUsage(*(each == bit for each in range(9)))


def new_authority(options: Options, now: datetime) -> Pair:
    # Another key, too: whoever trusts the old CA trusts its key for the old names.
    key = new_key()
    subject = [
        (NameOID.ORGANIZATION_NAME, "KVM appliance"),
        (NameOID.COMMON_NAME, f"Authority of {options.names[0]:.40}"),
    ]
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (key_usage(KEY_CERT_SIGN), True),
        (name_constraints(options.host, [*options.names, *(options.also or ())]), True),
        (x509.SubjectKeyIdentifier.from_public_key(load_key(key).public_key()), False),
    ]
    return sign(subject, key, None, now, AUTHORITY_DAYS, extensions)


def is_valid_authority(pair: Pair, options: Options, now: datetime) -> bool:
    if not pair.chain or not is_key(pair.key):
        return False
    try:
        found = extension(pair.certificate, x509.NameConstraints)
    except ValueError:
        return False
    wanted = name_constraints(options.host, options.names)
    end = None if options.also is None else len(wanted.permitted_subtrees)
    return (
        found is not None
        # But for the first, the host name: another one alone is no reason to have people trust another CA.
        and (found.permitted_subtrees or [])[1:end] == wanted.permitted_subtrees[1:]
        and found.excluded_subtrees == wanted.excluded_subtrees
        and has_key(pair.certificate, pair.key)
        and not pair.is_of_the_future(now)
        # It must outlive what it signs.
        and pair.end > now + timedelta(days=options.days)
    )


def with_permitted(options: Options, authority: Pair) -> Options:
    """With those of the further names that this CA may sign for."""
    found = extension(authority.certificate, x509.NameConstraints).permitted_subtrees
    permitted = [name for name in options.also or () if x509.DNSName(name) in found[1:]]
    return replace(options, names=list(dict.fromkeys([*options.names, *permitted])))


def new_own(authority: Pair, key: str, options: Options, now: datetime) -> Pair:
    issuer = authority.certificate.public_key()
    extensions = [
        (alternative_names(options.names), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (key_usage(DIGITAL_SIGNATURE), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False),
    ]
    subject = [(NameOID.COMMON_NAME, f"{options.names[0]:.64}")]
    return sign(subject, key, authority, now, options.days, extensions)


def is_valid_own(pair: Pair, authority: Pair, options: Options, now: datetime) -> bool:
    try:
        signed = pair.certificate
        authority.certificate.public_key().verify(
            signed.signature, signed.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256())
        )
    except (ValueError, InvalidSignature):
        return False
    return (
        extension(signed, x509.SubjectAlternativeName) == alternative_names(options.names)
        and has_key(signed, pair.key)
        and not pair.is_of_the_future(now)
        and pair.end > now + timedelta(days=options.renew_days)
    )


# The three sources


def uploaded_pair(settings: str) -> Pair | None:
    """`settings`: what was set in the web UI, as JSON."""
    try:
        found = json.loads(settings)
    except ValueError:
        return None
    pem = next((found[name] for name in SETTINGS if name in found), "")
    key = KEY.search(pem)
    return Pair("\n".join(CERTIFICATES.findall(pem)), key[0] if key else "") if pem else None


def issued_pair(issued: str, key: str) -> Pair | None:
    """`issued`: what the ACME server sent, all of it: a chain that breaks off must not pass for a shorter one."""
    return Pair(issued, key) if issued.strip() else None


def own_pair(shown: str, authority: Pair, key: str, options: Options, now: datetime) -> Pair:
    """The one that nginx shows, unless it is not the CA's, of other names or near its end."""
    pair = Pair("".join(CERTIFICATES.findall(shown)[:1]), key)
    if is_valid_own(pair, authority, options, now):
        return pair
    return new_own(authority, key, options, now)


def request(kept: str, key: str, names: Sequence[str]) -> str:
    """What an ACME server is asked with: the kept one, if it is for these names and this key."""
    # ACME servers want names in small letters, and know no addresses.
    wanted = x509.SubjectAlternativeName([x509.DNSName(name.lower()) for name in names])
    try:
        csr = x509.load_pem_x509_csr(kept.encode())
        if has_key(csr, key) and extension(csr, x509.SubjectAlternativeName) == wanted:
            return kept
    except ValueError:
        pass
    # Without a subject: the names say it all, and a subject may be too short for them.
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    csr = builder.add_extension(wanted, critical=False).sign(load_key(key), hashes.SHA256())
    return csr.public_bytes(Encoding.PEM).decode()


def plan(options: Options, now: datetime) -> tuple[list[File], str]:
    """The files as they should be, in the order in which they are written, and what to say of them. What is valid stays
    as it is."""
    folder = options.folder
    authority = Pair(read(folder / "ca.pem"), read(folder / "ca.key"))
    if not is_valid_authority(authority, options, now):
        authority = new_authority(options, now)
    # Kept while another pair is shown, too: whoever takes that away takes its key away.
    key = read(folder / "device.key")
    if not is_key(key):
        key = new_key()

    refused = []
    uploaded = uploaded_pair(read(options.settings))
    if uploaded and (defect := uploaded.defect(now)):
        uploaded = None
        refused.append(f" The one that was uploaded in the web UI is not used: {defect}.")
    issued = issued_pair(read(options.issued), key)
    if issued and (defect := issued.defect(now) or lacking(issued.certificate, options.names)):
        issued = None
        refused.append(f" The one in {options.issued} is not used: {defect}.")
    shown = read(folder / "server.pem")
    own = with_permitted(options, authority)
    pair = uploaded or issued or own_pair(shown, authority, key, own, now)

    files = [
        File(folder / "ca.key", authority.key, 0o600),
        File(folder / "ca.pem", authority.chain, 0o644),
        File(folder / "device.key", key, 0o600),
        # One file: a power cut can't leave half a pair, with which nginx would not start.
        File(folder / "server.pem", pair.pem, 0o640, options.group),
        File(folder / "hosts.conf", hosts(options.host, uploaded), 0o644),
    ]
    if options.request:
        asked = request(read(options.request), key, options.names)
        files.append(File(options.request, asked, 0o644))
    source = "the uploaded one" if uploaded else "the ACME server's" if issued else "its own"
    return files, f"The device shows {source}." + "".join(refused)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Playbook, timer and start may come at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check(options: Options) -> str:
    files, sentence = plan(options, datetime.now(UTC))
    return "up to date" if all(file.is_up_to_date() for file in files) else sentence


def make(options: Options, restart: str = "") -> str:
    with locked(options.folder):
        files, sentence = plan(options, datetime.now(UTC))
        changed = [file for file in files if not file.is_up_to_date()]
        for file in changed:
            file.write()
        if restart and changed:
            subprocess.run(["systemctl", "try-restart", restart], check=True)
    return sentence if changed else "up to date"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("check", "make"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="without: the host name, and that with .local")
    parser.add_argument("--also", action="append", default=[], help="with the host name")
    parser.add_argument("--group", required=True, help="of server.pem")
    parser.add_argument("--days", type=int, required=True, help="how long a certificate is valid")
    parser.add_argument("--renew-days", type=int, required=True, help="before its end")
    for file in ("--settings", "--request", "--issued"):
        parser.add_argument(file, type=Path)
    parser.add_argument("--restart", default="", metavar="UNIT", help="if it runs")
    arguments = vars(parser.parse_args())
    action, restart = arguments.pop("action"), arguments.pop("restart")
    host = os.uname().nodename.partition(".")[0].lower()
    names = arguments.pop("names")
    if names:
        arguments["also"] = None
    else:
        names = [host, f"{host}.local"]
    options = Options(host=host, names=names, **arguments)
    print(check(options) if action == "check" else make(options, restart))


if __name__ == "__main__":
    main()
