#!/bin/sh
# SPDX-License-Identifier: MIT
# Keeps in a folder a certificate authority of this device alone, and what it has signed for nginx: made on the device,
# so that no two devices share a key. A person may trust the authority (ca.pem): it can sign for this device's names
# and nothing else. When the names changed, both are made anew; when its end is near, the certificate alone.
# Beside them it keeps, for nginx, the names that the device has by its host name (hosts.conf).
#
# With SETTINGS=FILE nginx shows the certificate that was set in the page, while that serves, and its names are the
# device's, too. With REQUEST=FILE and ISSUED=FILE somebody else asks an ACME server: REQUEST is kept for them to ask
# with, and while what they put into ISSUED serves, nginx shows that. Else nginx has the device's own certificate.
#
# certificate.sh check|make FOLDER GROUP DAYS RENEW_DAYS [NAME...]
# Without a NAME: the host name, and that with .local. Prints "still serves", or what was done (make) or would be
# (check). With RESTART=UNIT that unit, if it runs, gets to know a new certificate.
set -eu

action=$1 folder=$2 group=$3 days=$4 renew_days=$5
shift 5
host=$(uname -n)
host=$(echo "${host%%.*}" | tr '[:upper:]' '[:lower:]')
[ $# != 0 ] || set -- "$host" "$host.local"
# What nginx shows, chain and key: in one file, so that no power cut leaves a pair that it can't start with.
server=$folder/server.pem
hosts=$folder/hosts.conf
authority=$folder/ca.pem
# For root alone, also where the folder is open to nginx.
authority_key=$folder/ca.key
device_key=$folder/device.key
authority_days=3650

alternative_names='' permitted=permitted\;DNS:$host has_v4='' has_v6=''
for name in "$@"; do
    case $name in
    *:*) kind=IP has_v6=yes constraint=IP:$name/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ;;
    *[!0-9.]*) kind=DNS constraint=DNS:${name#\*.} ;;
    *.*.*.*) kind=IP has_v4=yes constraint=IP:$name/255.255.255.255 ;;
    *) kind=DNS constraint=DNS:$name ;;
    esac
    alternative_names=${alternative_names:+$alternative_names,}$kind:$name
    permitted=$permitted,permitted\;$constraint
done
# A kind of name that no constraint speaks of would be free.
[ -n "$has_v4" ] || permitted=$permitted,excluded\;IP:0.0.0.0/0.0.0.0
[ -n "$has_v6" ] || permitted=$permitted,excluded\;IP:::/::
# What the certificate was made for is kept beside it: openssl prints addresses in another form.
wanted=$alternative_names

public_key_of() { openssl x509 -in "$1" -noout -pubkey 2>/dev/null; }
public_key() { openssl pkey -in "$device_key" -pubout 2>/dev/null; }

# As they are: dash's own echo would make other letters of what looks like an escape.
lines() { printf '%s\n' "$@"; }

# Loads what it reads as nginx does, which would not start with half a chain, a weak one, or the key of another.
load='import os, ssl, sys
pem = os.memfd_create("pem")
os.write(pem, sys.stdin.buffer.read())
ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{pem}")'
# chain_serves CHAIN KEY
chain_serves() {
    lines "$1" | openssl x509 -noout -checkend 0 >/dev/null 2>&1 &&
        lines "$1" "$2" | python3 -I -c "$load" 2>/dev/null
}

read_setting='import json, sys; print(json.load(open(sys.argv[1])).get("tinypilot_certificate_and_key", ""))'
set_in_page=$(python3 -I -c "$read_setting" "${SETTINGS:-}" 2>/dev/null || :)
set_chain=$(lines "$set_in_page" | sed -n '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p')
set_key=$(lines "$set_in_page" | openssl pkey 2>/dev/null || :)
set_serves() { chain_serves "$set_chain" "$set_key"; }

# ACME servers want names in small letters, and know no addresses.
requested_names=DNS:$(echo "$*" | tr '[:upper:]' '[:lower:]' | sed 's/ /,DNS:/g')
request_serves() {
    [ -z "${REQUEST:-}" ] || {
        [ "$(openssl req -in "$REQUEST" -noout -pubkey 2>/dev/null)" = "$(public_key)" ] &&
            openssl req -in "$REQUEST" -noout -text | tr -d ' ' | grep -qxF "$requested_names"
    }
}

# Read once: whoever writes it is trusted with nothing else, and may write meanwhile.
issued=$(cat "${ISSUED:-/dev/null}" 2>/dev/null || :)
issued_serves() {
    chain_serves "$issued" "$(cat "$device_key" 2>/dev/null)" || return 1
    for name in "$@"; do
        lines "$issued" | openssl x509 -noout -checkhost "$name" | grep -q 'does match' || return 1
    done
}

if set_serves; then
    source=page
elif issued_serves "$@"; then
    source=acme
else
    source=device
fi

# Names of a certificate are written by whoever made it: only those that are host names get into nginx' configuration.
hosts() {
    {
        lines "$host" "$host.local"
        if [ "$source" = page ]; then
            lines "$set_chain" | openssl x509 -noout -ext subjectAltName 2>/dev/null |
                tr '[:upper:],' '[:lower:]\n' | sed -n 's/^ *dns://p' | grep -xE '.{1,253}' |
                grep -xE '([*][.])?([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])*[a-z0-9]([a-z0-9-]*[a-z0-9])?' || :
        fi
    } | sort -u | sed 's/.*/"&" 0;/'
}

# The authority must outlive what it signs.
authority_serves() {
    [ "$(cat "$authority.names" 2>/dev/null)" = "$wanted" ] &&
        openssl x509 -in "$authority" -noout -checkend $((days * 86400)) >/dev/null 2>&1 &&
        [ "$(public_key_of "$authority")" = "$(openssl pkey -in "$authority_key" -pubout 2>/dev/null)" ]
}

shown_serves() {
    case $source in
    page) [ "$(cat "$server" 2>/dev/null)" = "$set_chain
$set_key" ] ;;
    acme) [ "$(cat "$server" 2>/dev/null)" = "$issued
$(cat "$device_key")" ] ;;
    device)
        openssl verify -CAfile "$authority" "$server" >/dev/null 2>&1 &&
            openssl x509 -in "$server" -noout -checkend $((renew_days * 86400)) >/dev/null 2>&1 &&
            [ "$(public_key_of "$server")" = "$(public_key)" ] &&
            [ "$(sed -n '/-BEGIN PRIVATE KEY-/,$p' "$server")" = "$(cat "$device_key")" ]
        ;;
    esac
}

serves() {
    authority_serves &&
        shown_serves &&
        request_serves &&
        [ "$(stat -c '%U:%G %a' "$server")" = "root:$group 640" ] &&
        [ "$(cat "$hosts" 2>/dev/null)" = "$(hosts)" ]
}

if serves; then
    echo "still serves"
    exit 0
fi
if [ "$action" = check ]; then
    echo "to be made for $wanted"
    exit 0
fi

umask 077
work=$(mktemp -d "$folder/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# What a power cut left has a key in it.
find "$folder" -maxdepth 1 -name '.new-*' -mmin +60 -exec rm -rf {} +

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

cat > "$work/request" <<END
[req]
prompt = no
distinguished_name = subject
[subject]
CN = $(printf %.64s "$1")
[names]
subjectAltName = $requested_names
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
nameConstraints = critical, $permitted
subjectKeyIdentifier = hash
[server]
subjectAltName = $alternative_names
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
END

if ! authority_serves; then
    # Another key, too: whoever trusts the old authority trusts it for the old names.
    new_key "$work/ca.key"
    openssl req -new -x509 -sha256 -config "$work/request" -extensions authority -key "$work/ca.key" \
        -subj "/O=KVM appliance/CN=Authority of $(printf %.40s "$1")" -days "$authority_days" -out "$work/ca.pem"
    echo "$wanted" > "$work/ca.pem.names"
    chmod 0644 "$work/ca.pem" "$work/ca.pem.names"
    rm -f "$authority.names"
    mv -f "$work/ca.key" "$authority_key"
    mv -f "$work/ca.pem" "$authority"
    mv -f "$work/ca.pem.names" "$authority.names"
fi

if ! openssl pkey -in "$device_key" -noout 2>/dev/null; then
    new_key "$work/device.key"
    mv -f "$work/device.key" "$device_key"
fi
if ! request_serves; then
    # Without a subject: the names say it all, and a subject may be too short for them.
    openssl req -new -sha256 -config "$work/request" -reqexts names -subj / -key "$device_key" -out "$REQUEST.new"
    chmod 0644 "$REQUEST.new"
    mv -f "$REQUEST.new" "$REQUEST"
fi
case $source in
page)
    lines "$set_chain" "$set_key" > "$work/server.pem"
    whose="by whoever set it in the page"
    ;;
acme)
    lines "$issued" "$(cat "$device_key")" > "$work/server.pem"
    whose="by the ACME server"
    ;;
device)
    openssl req -new -sha256 -config "$work/request" -key "$device_key" -out "$work/csr"
    openssl x509 -req -sha256 -in "$work/csr" -CA "$authority" -CAkey "$authority_key" -days "$days" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/request" -extensions server \
        -out "$work/server.pem" 2>/dev/null
    cat "$device_key" >> "$work/server.pem"
    whose="by this device"
    [ -z "$set_in_page" ] || whose="$whose, because the one set in the page is of another time or another key"
    [ -z "$issued" ] || whose="$whose, because the one in $ISSUED is of other names, another key or another time"
    ;;
esac
# In the sandbox of its unit this has the group already, and may not give files away.
[ "$(stat -c %G "$work/server.pem")" = "$group" ] || chown "root:$group" "$work/server.pem"
chmod 0640 "$work/server.pem"
mv -f "$work/server.pem" "$server"
hosts > "$work/hosts.conf"
chmod 0644 "$work/hosts.conf"
mv -f "$work/hosts.conf" "$hosts"
if [ -n "${RESTART:-}" ]; then
    systemctl try-restart "$RESTART"
fi
echo "made for $wanted $whose"
