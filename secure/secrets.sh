#!/bin/bash
# What each service needs in order to be known, and to know others -> a folder of its own, which it alone mounts and can
# read: ca.pem, its passwords, and for a server its key. Safe to run again.
#
#   secrets.sh FOLDER           makes what is missing, and tells when certificates are about to end
#   secrets.sh FOLDER renew     makes new certificates, too: all services must start again then
#   OURS, KAFKA, CASSANDRA, CSV    users of the containers, as UID:GID
set -euo pipefail

folder=$1
action=${2:-}
[[ $action =~ ^(renew)?$ ]] || { echo "secrets: '$action' is not renew" >&2; exit 1; }
here=$(dirname "${BASH_SOURCE[0]}")
# After a year certificates end; it is told a month before.
readonly told_after_days=335
readonly servers=(kafka=dns:kafka,dns:localhost cassandra=dns:cassandra,dns:localhost)
readonly users=(weather faker wikipedia companies random-user consumer consumer-csv dashboard operator)
readonly roles=(superuser consumer reader operator)
umask 077
say() { echo "secrets: $*"; }

store=$folder/all
mkdir -p "$store/kafka" "$store/cassandra"
if [ ! -f "$store/ca.pem" ] || [ "$action" = renew ]; then
  bash "$here/certificates.sh" "$store" "${servers[@]}"
  say "a new authority has signed the certificates of Kafka and Cassandra, for a year"
elif [ -n "$(find "$store/ca.pem" -mtime "+$told_after_days")" ]; then
  say "the certificates end a year after $(date -r "$store/ca.pem" +%F): docs/security.md tells how to renew them"
fi

# password FILE: makes one that needs no quoting anywhere, unless it is there.
password() {
  [ -s "$1" ] && return
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$1.new"
  mv "$1.new" "$1"
  say "a new password: ${1#"$store"/}"
}
for user in "${users[@]}"; do password "$store/kafka/$user"; done
for role in "${roles[@]}"; do password "$store/cassandra/$role"; done

# give SERVICE OWNER [FILE NAME]...: these files of the store under these names, and the authority.
give() {
  local to=$folder/$1 owner=$2
  shift 2
  mkdir -p "$to"
  put "$store/ca.pem" "$to/ca.pem" "$owner"
  while [ "$#" -gt 0 ]; do
    put "$store/$1" "$to/$2" "$owner"
    shift 2
  done
  chmod u=rwx,go= "$to"
  chown "$owner" "$to"
}
# put FROM TO OWNER: whole or not at all, since whoever reads it may start at this moment.
put() {
  [ -f "$2" ] && cmp -s "$1" "$2" && return
  cp "$1" "$2.new"
  chmod u=rw,go= "$2.new"
  chown "$3" "$2.new"
  mv "$2.new" "$2"
}
for user in weather faker wikipedia companies random-user; do give "$user" "$OURS" "kafka/$user" kafka; done
give consumer "$OURS" kafka/consumer kafka cassandra/consumer cassandra
give consumer-csv "$CSV" kafka/consumer-csv kafka
give dashboard "$OURS" kafka/dashboard kafka cassandra/reader cassandra
give operator "$OURS" kafka/operator kafka cassandra/operator cassandra
give kafka "$KAFKA" kafka.p12 kafka.p12 kafka.password kafka.password
give cassandra "$CASSANDRA" cassandra.p12 cassandra.p12 cassandra.password cassandra.password
give kafka-users "$KAFKA" $(for user in "${users[@]}"; do echo "kafka/$user" "$user"; done)
give cassandra-schema 0:0 $(for role in "${roles[@]}"; do echo "cassandra/$role" "$role"; done)
say "done: every service finds its own in $folder"
