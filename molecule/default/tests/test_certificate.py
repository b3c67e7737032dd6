# SPDX-License-Identifier: MIT
"""The device's own certificate authority: what it signs, for how long, and for which names."""

import pytest

PROGRAM = "/usr/local/sbin/tinypilot-certificate"
FOLDER = "/root/certificate-test"


@pytest.fixture
def make(host):
    """Runs the program on a folder of its own: make(days, renew_days, *names)."""
    host.check_output("mkdir %s", FOLDER)

    def run(*arguments):
        return host.check_output(
            f"{PROGRAM} make {FOLDER} www-data {' '.join(map(str, arguments))}"
        )

    yield run
    host.check_output("rm -r %s", FOLDER)


def fingerprints(host):
    """Of authority and certificate."""
    return [
        host.check_output("openssl x509 -in %s -noout -fingerprint -sha256", f"{FOLDER}/{name}.pem")
        for name in ("ca", "certificate")
    ]


def test_what_serves_is_left_alone(host, make):
    assert make(825, 30, "kvm.example").startswith("made for")
    before = fingerprints(host)
    assert make(825, 30, "kvm.example") == "still serves"
    assert fingerprints(host) == before


def test_a_certificate_near_its_end_is_renewed_by_the_same_authority_with_the_same_key(host, make):
    make(825, 30, "kvm.example")
    authority, certificate = fingerprints(host)
    key = host.file(f"{FOLDER}/key.pem").sha256sum
    assert make(825, 825, "kvm.example").startswith("made for")
    renewed = fingerprints(host)
    assert renewed[0] == authority
    assert renewed[1] != certificate
    assert host.file(f"{FOLDER}/key.pem").sha256sum == key


def test_other_names_have_another_authority(host, make):
    make(825, 30, "kvm.example")
    before = fingerprints(host)
    make(825, 30, "other.example", "192.0.2.7")
    after = fingerprints(host)
    assert not set(before) & set(after)
    verified = host.check_output(
        f"openssl verify -CAfile {FOLDER}/ca.pem -verify_ip 192.0.2.7 {FOLDER}/certificate.pem"
    )
    assert verified.endswith("OK")


@pytest.mark.parametrize("name", ["DNS:bank.example", "IP:198.51.100.1", "IP:2001:db8::1"])
def test_the_authority_can_sign_for_no_other_name(host, make, name):
    """Whoever trusts it trusts it for this device alone, also when its key is stolen."""
    make(825, 30, "kvm.example")
    host.check_output(
        f"cd {FOLDER} && openssl req -new -key key.pem -subj /CN=x -out forged.csr && "
        f"printf 'subjectAltName={name}' > forged.ext && openssl x509 -req -in forged.csr -CA ca.pem "
        "-CAkey ca.key -days 9 -set_serial 7 -extfile forged.ext -out forged.pem"
    )
    verified = host.run(f"openssl verify -CAfile {FOLDER}/ca.pem {FOLDER}/forged.pem")
    assert verified.rc != 0
    assert "subtree violation" in verified.stderr + verified.stdout


def test_the_page_shows_what_the_authority_has_signed(host):
    name = host.check_output("hostname")
    shown = host.check_output(
        f"echo | openssl s_client -connect localhost:443 -servername {name} -verify_hostname {name} "
        "-CAfile /etc/tinypilot/tls/ca.pem -verify_return_error 2>&1 | grep 'Verify return code' | head -n 1"
    )
    assert "0 (ok)" in shown
    assert host.file("/etc/tinypilot/tls/ca.key").mode == 0o600
