# SPDX-License-Identifier: MIT
"""The certificate that nginx shows, on a live device. What it is made of: tests/unit/test_certificate.py."""


def test_the_page_shows_what_the_authority_has_signed(host):
    name = host.check_output("hostname")
    shown = host.check_output(
        f"echo | openssl s_client -connect localhost:443 -servername {name} -verify_hostname {name} "
        "-CAfile /etc/kvm-gateway/tls/ca.pem -verify_return_error 2>&1 | grep 'Verify return code' | head -n 1"
    )
    assert "0 (ok)" in shown
    assert host.file("/etc/kvm-gateway/tls/ca.key").mode == 0o600


def test_a_start_completes_what_a_power_cut_left_undone(host):
    """Between what is set and what nginx shows of it: the certificate's names stand for both."""
    names = "/etc/kvm-gateway/tls/hosts.conf"
    known = host.file(names).content_string
    assert host.check_output("hostname") in known
    host.check_output("truncate --size=0 %s", names)
    host.check_output("systemctl restart gateway-certificate.timer")
    # Looked for, and not waited for by `systemctl start`, which would itself do what the start is to have done.
    host.check_output("timeout 60 sh -c 'until [ -s %s ]; do sleep 0.1; done'", names)
    assert host.file(names).content_string == known
    # It has restarted nginx when this returns.
    host.check_output("systemctl start gateway-certificate.service")
