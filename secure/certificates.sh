#!/bin/bash
# An authority, and with it a certificate for each server -> FOLDER/ca.pem, FOLDER/SERVER.p12, FOLDER/SERVER.password.
#
#   certificates.sh FOLDER SERVER=NAMES...    as in kafka=dns:kafka,dns:localhost
#
# The authority's key is not kept: who gets hold of the folder cannot sign anything, and a renewal is a new authority. Needs
# keytool alone, which the images of both servers have.
set -euo pipefail

readonly days=365
fail() { echo "certificates: $*" >&2; exit 1; }
[ "$#" -ge 2 ] || fail "usage: certificates.sh FOLDER SERVER=NAMES..."
folder=$1
shift
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

# random: a password that needs no quoting anywhere.
random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

# tool STORE ARGUMENT...: one keytool on a store with its password beside it. A small JVM that starts quickly.
tool() {
  local store=$1 said
  shift
  said=$(keytool -J-Xmx64m -J-XX:TieredStopAtLevel=1 "$@" -keystore "$work/$store.p12" -storetype PKCS12 \
    -storepass:file "$work/$store.password" 2>&1 >"$work/out") || fail "keytool $1: $said $(<"$work/out")"
}

# pair STORE NAME ARGUMENT...: a key, and a certificate that it has signed itself.
pair() {
  local store=$1 name=$2
  shift 2
  random >"$work/$store.password"
  tool "$store" -genkeypair -alias "$store" -dname "CN=$name" -keyalg EC -groupname secp256r1 -validity "$days" "$@"
}

pair authority "Tributary authority" -ext bc:critical -ext ku:critical=keyCertSign
tool authority -exportcert -alias authority -rfc -file "$work/ca.pem"

for server; do
  names=${server#*=}
  server=${server%%=*}
  pair "$server" "$server"
  tool "$server" -certreq -alias "$server" -file "$work/request"
  tool authority -gencert -alias authority -rfc -infile "$work/request" -outfile "$work/signed" \
    -validity "$days" -ext "san=$names" -ext eku=serverAuth -ext ku:critical=digitalSignature
  cat "$work/signed" "$work/ca.pem" >"$work/chain"
  tool "$server" -importcert -alias "$server" -noprompt -file "$work/chain"
done
# Where the authority is, all is, and of one make: it goes first and comes last.
rm -f "$folder/ca.pem"
for server; do mv "$work/${server%%=*}.p12" "$work/${server%%=*}.password" "$folder"; done
# By a name of its own first: the folder may be on another file system, whither a move is a copy.
cp "$work/ca.pem" "$folder/ca.pem.new"
chmod 444 "$folder/ca.pem.new"
mv "$folder/ca.pem.new" "$folder/ca.pem"
