#!/bin/sh
# SPDX-License-Identifier: MIT
# Keeps in a folder a certificate authority of this device alone, and what it has signed for nginx: made on the device,
# so that no two devices share a key. A person may trust the authority (ca.pem): it can sign for this device's names
# and nothing else. When the names changed, both are made anew; when its end is near, the certificate alone.
# Beside them it keeps, for nginx, the names that the device has by its host name (hosts.conf).
#
# With REQUEST=FILE and ISSUED=FILE somebody else asks an ACME server: REQUEST is kept for them to ask with, and while
# what they put into ISSUED serves, nginx shows that. When it does not, nginx has the device's own certificate.
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
key=$folder/key.pem
certificate=$folder/certificate.pem
hosts=$folder/hosts.conf
authority=$folder/ca.pem
# For root alone, also where the folder is open to nginx.
authority_key=$folder/ca.key
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

hosts() { printf '"%s" 0;\n' "$host" "$host.local"; }
public_key_of() { openssl x509 -in "$1" -noout -pubkey 2>/dev/null; }
public_key() { openssl pkey -in "$key" -pubout 2>/dev/null; }

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
    # All of it can be read, for nginx would not start with half a chain.
    echo "$issued" | openssl crl2pkcs7 -nocrl -certfile /dev/stdin >/dev/null 2>&1 &&
        echo "$issued" | openssl x509 -noout -checkend 0 >/dev/null 2>&1 &&
        [ "$(echo "$issued" | openssl x509 -noout -pubkey)" = "$(public_key)" ] || return 1
    for name in "$@"; do
        echo "$issued" | openssl x509 -noout -checkhost "$name" | grep -q 'does match' || return 1
    done
}

# The authority must outlive what it signs.
authority_serves() {
    [ "$(cat "$authority.names" 2>/dev/null)" = "$wanted" ] &&
        openssl x509 -in "$authority" -noout -checkend $((days * 86400)) >/dev/null 2>&1 &&
        [ "$(public_key_of "$authority")" = "$(openssl pkey -in "$authority_key" -pubout 2>/dev/null)" ]
}

shown_serves() {
    if issued_serves "$@"; then
        [ "$(cat "$certificate" 2>/dev/null)" = "$issued" ]
    else
        openssl verify -CAfile "$authority" "$certificate" >/dev/null 2>&1 &&
            openssl x509 -in "$certificate" -noout -checkend $((renew_days * 86400)) >/dev/null 2>&1 &&
            [ "$(public_key_of "$certificate")" = "$(public_key)" ]
    fi
}

serves() {
    authority_serves &&
        shown_serves "$@" &&
        request_serves &&
        [ "$(stat -c '%U:%G %a' "$key")" = "root:$group 640" ] &&
        [ "$(cat "$hosts" 2>/dev/null)" = "$(hosts)" ]
}

if serves "$@"; then
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

if openssl pkey -in "$key" -noout 2>/dev/null; then
    cp "$key" "$work/key.pem"
else
    new_key "$work/key.pem"
fi
if ! request_serves; then
    # Without a subject: the names say it all, and a subject may be too short for them.
    openssl req -new -sha256 -config "$work/request" -reqexts names -subj / -key "$work/key.pem" -out "$REQUEST.new"
    chmod 0644 "$REQUEST.new"
    mv -f "$REQUEST.new" "$REQUEST"
fi
if issued_serves "$@"; then
    echo "$issued" > "$work/certificate.pem"
    whose="by the ACME server"
else
    openssl req -new -sha256 -config "$work/request" -key "$work/key.pem" -out "$work/csr"
    openssl x509 -req -sha256 -in "$work/csr" -CA "$authority" -CAkey "$authority_key" -days "$days" \
        -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/request" -extensions server \
        -out "$work/certificate.pem" 2>/dev/null
    whose="by this device"
    [ -z "$issued" ] || whose="$whose, because the one in $ISSUED is of other names, another key or another time"
fi
# In the sandbox of its unit this has the group already, and may not give files away.
[ "$(stat -c %G "$work/key.pem")" = "$group" ] || chown "root:$group" "$work/key.pem"
chmod 0640 "$work/key.pem"
chmod 0644 "$work/certificate.pem"
# One rename each; a stop in between leaves a pair that does not match, which the next run makes anew.
mv -f "$work/key.pem" "$key"
mv -f "$work/certificate.pem" "$certificate"
hosts > "$work/hosts.conf"
chmod 0644 "$work/hosts.conf"
mv -f "$work/hosts.conf" "$hosts"
if [ -n "${RESTART:-}" ]; then
    systemctl try-restart "$RESTART"
fi
echo "made for $wanted $whose"
