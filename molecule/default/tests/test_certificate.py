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
        for name in ("ca", "server")
    ]


def shown_key(host):
    return host.check_output("openssl pkey -in %s -pubout", f"{FOLDER}/server.pem")


def test_what_serves_is_left_alone(host, make):
    assert make(825, 30, "kvm.example").startswith("made for")
    before = fingerprints(host)
    assert make(825, 30, "kvm.example") == "still serves"
    assert fingerprints(host) == before


def test_a_certificate_near_its_end_is_renewed_by_the_same_authority_with_the_same_key(host, make):
    make(825, 30, "kvm.example")
    authority, certificate = fingerprints(host)
    key = shown_key(host)
    assert make(825, 825, "kvm.example").startswith("made for")
    renewed = fingerprints(host)
    assert renewed[0] == authority
    assert renewed[1] != certificate
    assert shown_key(host) == key


def test_other_names_have_another_authority(host, make):
    make(825, 30, "kvm.example")
    before = fingerprints(host)
    make(825, 30, "other.example", "192.0.2.7")
    after = fingerprints(host)
    assert not set(before) & set(after)
    verified = host.check_output(
        f"openssl verify -CAfile {FOLDER}/ca.pem -verify_ip 192.0.2.7 {FOLDER}/server.pem"
    )
    assert verified.endswith("OK")


@pytest.mark.parametrize("name", ["DNS:bank.example", "IP:198.51.100.1", "IP:2001:db8::1"])
def test_the_authority_can_sign_for_no_other_name(host, make, name):
    """Whoever trusts it trusts it for this device alone, also when its key is stolen."""
    make(825, 30, "kvm.example")
    host.check_output(
        f"cd {FOLDER} && openssl req -new -key device.key -subj /CN=x -out forged.csr && "
        f"printf 'subjectAltName={name}' > forged.ext && openssl x509 -req -in forged.csr -CA ca.pem "
        "-CAkey ca.key -days 9 -set_serial 7 -extfile forged.ext -out forged.pem"
    )
    verified = host.run(f"openssl verify -CAfile {FOLDER}/ca.pem {FOLDER}/forged.pem")
    assert verified.rc != 0
    assert "subtree violation" in verified.stderr + verified.stdout


@pytest.fixture
def server(host, make):
    """Signs like an ACME server what the device requests: server(*arguments of openssl x509)."""
    host.check_output(
        f"cd {FOLDER} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=acme "
        "-keyout acme.key -out acme.pem"
    )

    def sign(*arguments):
        host.check_output(
            f"cd {FOLDER} && openssl x509 -req -in request.pem -CA acme.pem -CAkey acme.key "
            f"-copy_extensions copy -out issued.pem {' '.join(arguments)} && cat acme.pem >> issued.pem"
        )

    return sign


@pytest.fixture
def make_with_acme(host, make):
    """The same for a device whose certificate an ACME server signs."""
    acme = f"env REQUEST={FOLDER}/request.pem ISSUED={FOLDER}/issued.pem"

    def run(*names):
        return host.check_output(
            f"{acme} {PROGRAM} make {FOLDER} www-data 825 30 {' '.join(names)}"
        )

    return run


def shown_by(host):
    return host.check_output(
        f"openssl x509 -in {FOLDER}/server.pem -noout -issuer -nameopt RFC2253"
    )


def test_what_an_acme_server_signed_is_shown_with_its_chain_and_left_alone(
    host, make_with_acme, server
):
    make_with_acme("kvm.example.org", "Other.example.org")
    assert "Authority of" in shown_by(host)
    server("-days", "2")
    assert make_with_acme("kvm.example.org", "Other.example.org").endswith("by the ACME server")
    assert shown_by(host) == "issuer=CN=acme"
    assert host.file(f"{FOLDER}/server.pem").content_string.count("BEGIN CERT") == 2
    assert make_with_acme("kvm.example.org", "Other.example.org") == "still serves"


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param("rm issued.pem", id="gone"),
        pytest.param("sed -i '$d' issued.pem", id="half-a-chain"),
        pytest.param("cp acme.pem issued.pem", id="another-key"),
        # nginx would not start with either.
        pytest.param(
            "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -keyout weak.key >> issued.pem 2>/dev/null",
            id="a-weak-link",
        ),
        pytest.param(
            'python3 -c \'from pathlib import Path; chain = Path("issued.pem"); '
            'text = chain.read_text(); at = text.rindex("M"); '
            'chain.write_text(text[:at] + chr(92) + "0115" + text[at + 1:])\'',
            id="an-escape",
        ),
        pytest.param(
            "openssl x509 -in issued.pem -signkey device.key -not_after 20200101000000Z "
            "-not_before 20190101000000Z -out past.pem && mv past.pem issued.pem",
            id="in-the-past",
        ),
    ],
)
def test_the_page_falls_back_on_the_devices_own(host, make_with_acme, server, harm):
    make_with_acme("kvm.example.org")
    server("-days", "2")
    make_with_acme("kvm.example.org")
    assert shown_by(host) == "issuer=CN=acme"
    host.check_output(f"cd {FOLDER} && {harm}")
    assert "by this device" in make_with_acme("kvm.example.org")
    assert "Authority of" in shown_by(host)


def test_another_name_is_requested_anew_and_shown_when_it_is_signed(host, make_with_acme, server):
    make_with_acme("kvm.example.org")
    server("-days", "2")
    assert "by this device" in make_with_acme("kvm.example.org", "rack.example.org")
    server("-days", "2")
    assert make_with_acme("kvm.example.org", "rack.example.org").endswith("by the ACME server")


_KEEP = """import json, sys
json.dump({"tinypilot_certificate_and_key": sys.stdin.read()}, open("settings.json", "w"))"""
_FORGET = "echo '{}' > settings.json"


@pytest.fixture
def make_with_page(host, make):
    """The same for a device in whose page a certificate was set, of names that are not all host names."""
    names = "DNS:Desk.example.org,DNS:*.example.org,DNS:kvm,IP:192.0.2.7,DNS:a b,DNS:c\\;}"
    host.check_output(
        f"cd {FOLDER} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        f"-subj /CN=own -addext subjectAltName='{names}' -keyout own.key -out own.pem && "
        f"cat own.pem own.key | python3 -c '{_KEEP}'"
    )

    def run(*names):
        settings = f"env SETTINGS={FOLDER}/settings.json"
        return host.check_output(
            f"{settings} {PROGRAM} make {FOLDER} www-data 825 30 {' '.join(names)}"
        )

    return run


def test_what_was_set_in_the_page_is_shown_and_left_alone(host, make, make_with_page):
    make(825, 30, "kvm.example.org")
    device_key = shown_key(host)
    assert make_with_page("kvm.example.org").endswith("by whoever set it in the page")
    assert shown_by(host) == "issuer=CN=own"
    host.check_output(f"cd {FOLDER} && cat own.pem own.key | cmp - server.pem")
    assert host.file(f"{FOLDER}/server.pem").mode == 0o640
    assert make_with_page("kvm.example.org") == "still serves"
    own_name = host.check_output("hostname")
    assert host.file(f"{FOLDER}/hosts.conf").content_string.splitlines() == sorted(
        f'"{name}" 0;'
        for name in {own_name, f"{own_name}.local", "desk.example.org", "*.example.org", "kvm"}
    )
    # Its own key signs again, not the one that was taken away.
    host.check_output(f"cd {FOLDER} && {_FORGET}")
    assert make_with_page("kvm.example.org").endswith("by this device")
    assert shown_key(host) == device_key
    assert "desk.example.org" not in host.file(f"{FOLDER}/hosts.conf").content_string


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param("rm settings.json", id="gone"),
        pytest.param("echo '{' > settings.json", id="half-a-file"),
        pytest.param(f"cat own.pem ca.key | python3 -c '{_KEEP}'", id="another-key"),
        pytest.param(
            "openssl x509 -in own.pem -signkey own.key -not_after 20200101000000Z "
            f"-not_before 20190101000000Z -out past.pem && cat past.pem own.key | python3 -c '{_KEEP}'",
            id="in-the-past",
        ),
    ],
)
def test_without_it_the_page_falls_back_on_the_devices_own(host, make_with_page, harm):
    make_with_page("kvm.example.org")
    assert shown_by(host) == "issuer=CN=own"
    host.check_output(f"cd {FOLDER} && {harm}")
    assert "by this device" in make_with_page("kvm.example.org")
    assert "Authority of" in shown_by(host)


def test_the_page_shows_what_the_authority_has_signed(host):
    name = host.check_output("hostname")
    shown = host.check_output(
        f"echo | openssl s_client -connect localhost:443 -servername {name} -verify_hostname {name} "
        "-CAfile /etc/tinypilot/tls/ca.pem -verify_return_error 2>&1 | grep 'Verify return code' | head -n 1"
    )
    assert "0 (ok)" in shown
    assert host.file("/etc/tinypilot/tls/ca.key").mode == 0o600


def test_a_start_completes_what_a_power_cut_left_undone(host):
    """Between what is set and what nginx shows of it: the certificate's names stand for both."""
    names = "/etc/tinypilot/tls/hosts.conf"
    known = host.file(names).content_string
    assert host.check_output("hostname") in known
    host.check_output("truncate --size=0 %s", names)
    host.check_output("systemctl restart tinypilot-reconcile.service")
    # Looked for, and not waited for by `systemctl start`, which would itself do what the start is to have done.
    host.check_output("timeout 60 sh -c 'until [ -s %s ]; do sleep 0.1; done'", names)
    assert host.file(names).content_string == known
    # It has restarted nginx when this returns.
    host.check_output("systemctl start tinypilot-certificate.service")
