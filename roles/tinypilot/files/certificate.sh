#!/bin/sh
# SPDX-License-Identifier: MIT
# Keeps in a folder a certificate authority of this device alone, and what it has signed for nginx: made on the device,
# so that no two devices share a key. A person may trust the authority (ca.pem): it can sign for this device's names
# and nothing else. When the names changed, both are made anew; when its end is near, the certificate alone.
# Beside them it keeps, for nginx, the names that the device has by its host name (hosts.conf).
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

# The authority must outlive what it signs.
authority_serves() {
    [ "$(cat "$authority.names" 2>/dev/null)" = "$wanted" ] &&
        openssl x509 -in "$authority" -noout -checkend $((days * 86400)) >/dev/null 2>&1 &&
        [ "$(public_key_of "$authority")" = "$(openssl pkey -in "$authority_key" -pubout 2>/dev/null)" ]
}

serves() {
    authority_serves &&
        openssl verify -CAfile "$authority" "$certificate" >/dev/null 2>&1 &&
        openssl x509 -in "$certificate" -noout -checkend $((renew_days * 86400)) >/dev/null 2>&1 &&
        [ "$(public_key_of "$certificate")" = "$(openssl pkey -in "$key" -pubout 2>/dev/null)" ] &&
        [ "$(stat -c '%U:%G %a' "$key")" = "root:$group 640" ] &&
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

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

cat > "$work/request" <<END
[req]
prompt = no
distinguished_name = subject
[subject]
CN = $(printf %.64s "$1")
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
openssl req -new -sha256 -config "$work/request" -key "$work/key.pem" -out "$work/csr"
openssl x509 -req -sha256 -in "$work/csr" -CA "$authority" -CAkey "$authority_key" -days "$days" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/request" -extensions server \
    -out "$work/certificate.pem" 2>/dev/null
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
echo "made for $wanted"
