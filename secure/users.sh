#!/bin/bash
# Passwords and rights of Kafka's users -> a running broker, from inside its container's network, where nobody is asked who
# he is. Safe to run again: passwords are set to those of the files, and rights that are missing are given.
#
#   KAFKA_BROKERS     (default localhost:9094)            where
#   KAFKA_PASSWORDS   (default /run/tributary)            a file a user
set -uo pipefail

brokers=${KAFKA_BROKERS:-localhost:9094}
passwords=${KAFKA_PASSWORDS:-/run/tributary}
file=$(dirname "${BASH_SOURCE[0]}")/acls.conf
bin=/opt/kafka/bin
# Each call below is a JVM of its own: make it a small one that starts quickly.
export KAFKA_HEAP_OPTS="-Xmx96m"
export KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
umask 077
private=$(mktemp -d) || exit 1
trap 'rm -rf "$private"' EXIT

say() { echo "kafka-users: $*"; }
fail() { echo "kafka-users: $*" >&2; exit 1; }
# The tools say much on failure; the first line that is not a stack trace says why.
why() { grep -vE '^[[:space:]]+at |^[[:space:]]*$|^\[' <<<"$1" | head -n 1 | grep . || echo "it does not answer"; }

# set_password USER: by a file, since a command line can be seen by others.
set_password() {
  local answer
  printf 'SCRAM-SHA-512=password=%s\n' "$(<"$passwords/$1")" >"$private/$1"
  answer=$("$bin/kafka-configs.sh" --bootstrap-server "$brokers" --alter --entity-type users --entity-name "$1" \
    --add-config-file "$private/$1" 2>&1) || fail "the password of $1 is not taken at $brokers: $(why "$answer")"
}

# grant USERS OPERATIONS KIND NAMES
grant() {
  local arguments=() word answer
  for word in ${1//,/ }; do arguments+=(--allow-principal "User:$word"); done
  for word in ${2//,/ }; do arguments+=(--operation "$word"); done
  # There is one cluster: its option takes no name.
  if [ "$3" = cluster ]; then
    arguments+=(--cluster)
  else
    for word in ${4//,/ }; do arguments+=("--$3" "$word"); done
  fi
  answer=$("$bin/kafka-acls.sh" --bootstrap-server "$brokers" --add "${arguments[@]}" 2>&1) ||
    fail "$1 cannot be allowed to $2 $3 $4 at $brokers: $(why "$answer")"
}

# Two at once: they wait for the broker more than they compute.
running=()
soon() {
  if [ "${#running[@]}" -ge 2 ]; then
    wait "${running[0]}" || exit 1
    running=("${running[@]:1}")
  fi
  "$@" &
  running+=($!)
}

users=0
for password in "$passwords"/*; do
  user=$(basename "$password")
  [ "$user" = ca.pem ] && continue
  users=$((users + 1))
  soon set_password "$user"
done
grants=0
while read -r who operations kind names rest; do
  [[ -z $who || $who == \#* ]] && continue
  [[ $kind =~ ^(topic|group|cluster)$ && -n $names && -z $rest ]] ||
    fail "$file: '$who $operations $kind $names $rest' is not 'users operations topic|group|cluster names'"
  grants=$((grants + 1))
  soon grant "$who" "$operations" "$kind" "$names"
done <"$file"
for job in "${running[@]}"; do wait "$job" || exit 1; done
say "done: $users users have their passwords, and the rights of $grants lines, at $brokers"
