#!/bin/sh
# SPDX-License-Identifier: MIT
# Keeps a key and a self-signed certificate in a folder: made on the device, so that no two devices
# share a key. A certificate is made anew, from the same key, when the names changed or its end is near.
#
# certificate.sh check|make FOLDER GROUP DAYS RENEW_DAYS NAME...
# Prints "still serves", or what was done (make) or would be (check).
set -eu

action=$1 folder=$2 group=$3 days=$4 renew_days=$5
shift 5
key=$folder/key.pem
certificate=$folder/certificate.pem

is_address() {
    case $1 in
        *:*) return 0 ;;
        *[!0-9.]*) return 1 ;;
        *.*.*.*) return 0 ;;
        *) return 1 ;;
    esac
}

alternative_names=
for name in "$@"; do
    if is_address "$name"; then kind=IP; else kind=DNS; fi
    alternative_names=${alternative_names:+$alternative_names,}$kind:$name
done
# What the certificate was made for is kept beside it: openssl prints addresses in another form.
wanted=$alternative_names

serves() {
    [ -f "$key" ] && [ -f "$certificate" ] && [ -f "$certificate.names" ] || return 1
    [ "$(cat "$certificate.names")" = "$wanted" ] || return 1
    openssl x509 -in "$certificate" -noout -checkend $((renew_days * 86400)) >/dev/null 2>&1 || return 1
    [ "$(openssl x509 -in "$certificate" -noout -pubkey 2>/dev/null)" = \
        "$(openssl pkey -in "$key" -pubout 2>/dev/null)" ] || return 1
    [ "$(stat -c '%U:%G %a' "$key")" = "root:$group 640" ]
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

if openssl pkey -in "$key" -noout 2>/dev/null; then
    cp "$key" "$work/key.pem"
else
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/key.pem"
fi
cat > "$work/request" <<END
[req]
prompt = no
distinguished_name = subject
x509_extensions = server
[subject]
CN = $(printf %.64s "$1")
[server]
subjectAltName = $alternative_names
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
END
openssl req -new -x509 -sha256 -config "$work/request" -key "$work/key.pem" -days "$days" \
    -out "$work/certificate.pem"
echo "$wanted" > "$work/names"

chown "root:$group" "$work/key.pem"
chmod 0640 "$work/key.pem"
chmod 0644 "$work/certificate.pem" "$work/names"
# One rename each; a stop in between leaves a pair that does not match, which the next run makes anew.
rm -f "$certificate.names"
mv -f "$work/key.pem" "$key"
mv -f "$work/certificate.pem" "$certificate"
mv -f "$work/names" "$certificate.names"
echo "made for $wanted"
