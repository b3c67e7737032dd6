#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Look at a device before anything is changed: nginx, IPv6, taken ports, the operator's own certificate.

Arguments: nginx' user, and as JSON the folders of this role, nginx' configuration file of this product and of its
earlier versions, {variable: port}, [certificate, key]. Prints JSON: has_nginx, has_folders (all of them), ipv6, and
mistakes (sentences).
"""

import json
import os
import pwd
import re
import ssl
import sys
from pathlib import Path

LISTENING = "0A"
NGINX = Path("/etc/nginx")
# The keys that browsers take, as they are written in a certificate: RSA, P-256, P-384. nginx starts with others, too,
# and then nobody gets in.
KEYS_OF_BROWSERS = [
    bytes.fromhex("300d06092a864886f70d0101010500"),
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"),
    bytes.fromhex("301006072a8648ce3d020106052b81040022"),
]
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def listening():
    """Of all sockets that listen for TCP: {port: inodes}."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING:
                port = int(fields[1].rsplit(":", 1)[1], 16)
                found.setdefault(port, set()).add(fields[9])
    return found


def owners(inodes):
    """Names of the programs that hold one of the sockets, as far as they can be seen."""
    names = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = {os.readlink(link) for link in (process / "fd").iterdir()}
            if links & {f"socket:[{inode}]" for inode in inodes}:
                names.add((process / "comm").read_text(encoding="utf-8").strip())
        except OSError:
            continue
    return names


def port_mistakes(ports, is_provisioned):
    # The product's own listeners: systemd holds the sockets, nginx has inherited them.
    ours = {"systemd", "nginx"} if is_provisioned else set()
    sockets = listening()
    for variable, port in ports.items():
        inodes = sockets.get(port)
        if not inodes:
            continue
        names = owners(inodes)
        if not names or names - ours:
            others = " and ".join(sorted(names - ours)) or "another program"
            yield (
                f"{variable} is {port}, but {others} already listens there: "
                "stop it, or choose a free port."
            )


def site_mistakes(ports, is_provisioned, nginx=NGINX):
    """Sites of somebody else: this product's nginx takes the place of Debian's, with a configuration of its own."""
    if is_provisioned:
        return
    sites = [
        file.name
        for pattern in ("sites-enabled/*", "conf.d/*.conf")
        for file in sorted(nginx.glob(pattern))
        # Debian's own.
        if file.name != "default"
    ]
    served = [
        f"port {port}"
        for port, inodes in sorted(listening().items())
        # The ports that this product wants are another mistake.
        if port not in ports.values() and "nginx" in owners(inodes)
    ]
    if sites or served:
        yield (
            f"nginx on this device serves other sites ({', '.join(sites + served)}), and this product would end them, "
            "because it runs nginx with its own configuration: move them to another web server or device, remove "
            "nginx (`apt-get purge nginx nginx-common`), then run the play again."
        )


def readable_as(user, path):
    """Whether `user` may read `path`, found out by trying."""
    child = os.fork()
    if child == 0:
        try:
            account = pwd.getpwnam(user)
            os.initgroups(user, account.pw_gid)
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            with open(path, "rb"):
                os._exit(0)
        except (OSError, KeyError):
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def certificate_mistakes(certificate, key, user):
    names = {"gateway_certificate_file": certificate, "gateway_certificate_key_file": key}
    if not all(names.values()):
        return
    usable = True
    for variable, path in names.items():
        if not os.path.isfile(path):
            usable = False
            yield f"{variable} is {path}, and there is no such file on the device."
        elif not readable_as(user, path):
            usable = False
            yield (
                f"{variable} is {path}, which {user} cannot read: "
                f"`chgrp {user}` and `chmod g+r` it."
            )
    if not usable:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        yield (
            f"gateway_certificate_file {certificate} and gateway_certificate_key_file {key} "
            f"do not serve together ({error}): give a PEM certificate and its own key without a "
            "passphrase."
        )
        return
    shown = CERTIFICATE.search(Path(certificate).read_text(encoding="utf-8", errors="replace"))
    if shown and not is_for_browsers(ssl.PEM_cert_to_DER_cert(shown[0])):
        yield (
            f"gateway_certificate_file is {certificate}, with a kind of key that browsers do not accept: "
            "use RSA, or the curve P-256 or P-384."
        )


def is_for_browsers(certificate):
    return any(key in certificate for key in KEYS_OF_BROWSERS)


def main():
    user = sys.argv[1]
    folders, configs, ports, own = map(json.loads, sys.argv[2:])
    is_provisioned = any(map(os.path.exists, configs))
    mistakes = [
        *port_mistakes(ports, is_provisioned),
        *site_mistakes(ports, is_provisioned),
        *certificate_mistakes(*own, user),
    ]
    answer = {
        "has_nginx": os.path.exists("/usr/sbin/nginx"),
        "has_folders": all(map(os.path.isdir, folders)),
        "ipv6": os.path.exists("/proc/net/if_inet6"),
        "mistakes": mistakes,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
