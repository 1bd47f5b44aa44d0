#!/bin/bash
# Topics of topics.conf -> a running broker. Safe to run again: it creates what is missing, brings settings to
# what the file says, adds partitions, and never takes one away.
#
#   KAFKA_BROKERS   (default kafka:19092)   where
#   KAFKA_WAIT_S    (default 60)            how long to wait for the broker
set -uo pipefail

brokers=${KAFKA_BROKERS:-kafka:19092}
wait_s=${KAFKA_WAIT_S:-60}
file=$(dirname "${BASH_SOURCE[0]}")/topics.conf
bin=/opt/kafka/bin
# Each call below is a JVM of its own: make it a small one that starts quickly.
export KAFKA_HEAP_OPTS="-Xmx96m"
export KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"

say() { echo "kafka-topics: $*"; }
fail() { echo "kafka-topics: $*" >&2; exit 1; }
# The tools say much on failure; the first line that is not a stack trace says why.
why() { grep -vE '^[[:space:]]+at |^[[:space:]]*$|^\[' <<<"$1" | head -n 1 | grep . || echo "it does not answer"; }

deadline=$((SECONDS + wait_s))
until existing=$(timeout 15 "$bin/kafka-topics.sh" --bootstrap-server "$brokers" --describe 2>&1); do
  [ "$SECONDS" -lt "$deadline" ] || fail "no answer from the broker at $brokers within ${wait_s} s: $(why "$existing")"
  sleep 1
done

# described NAME: its line of --describe, empty when it is not there.
described() { awk -v name="$1" '$1 == "Topic:" && $2 == name { print; exit }' <<<"$existing"; }

# create NAME PARTITIONS SETTINGS
create() {
  local arguments=() setting answer
  for setting in ${3//,/ }; do arguments+=(--config "$setting"); done
  answer=$("$bin/kafka-topics.sh" --bootstrap-server "$brokers" --create --if-not-exists \
    --topic "$1" --partitions "$2" "${arguments[@]}" 2>&1) ||
    fail "topic $1 of $file cannot be created at $brokers: $(why "$answer")"
  say "$1 created: $2 partitions, $3"
}

# align NAME PARTITIONS SETTINGS: for a topic that is there, with its line of --describe.
align() {
  local name=$1 wanted=$2 settings=$3 line there setting answer
  line=$(described "$name")
  there=$(sed -E 's/.*PartitionCount: ([0-9]+).*/\1/' <<<"$line")
  if [ "$there" -lt "$wanted" ]; then
    answer=$("$bin/kafka-topics.sh" --bootstrap-server "$brokers" --alter --topic "$name" --partitions "$wanted" 2>&1) ||
      fail "topic $name cannot go from $there to $wanted partitions at $brokers: $(why "$answer")"
    say "$name: $there -> $wanted partitions"
  elif [ "$there" -gt "$wanted" ]; then
    say "$name has $there partitions, topics.conf says $wanted: left as it is, partitions cannot be removed"
  fi
  for setting in ${settings//,/ }; do
    [[ ",${line##*Configs: }," == *",$setting,"* ]] && continue
    answer=$("$bin/kafka-configs.sh" --bootstrap-server "$brokers" --alter --entity-type topics --entity-name "$name" \
      --add-config "$setting" 2>&1) || fail "setting $setting of topic $name is refused at $brokers: $(why "$answer")"
    say "$name: $setting set"
  done
}

count=0
creating=()
while read -r name partitions settings rest; do
  [[ -z $name || $name == \#* ]] && continue
  [[ $partitions =~ ^[1-9][0-9]*$ && -n $settings && -z $rest ]] ||
    fail "$file: '$name $partitions $settings $rest' is not 'name partitions setting=value,...'"
  count=$((count + 1))
  if [ -n "$(described "$name")" ]; then
    align "$name" "$partitions" "$settings"
    continue
  fi
  # Two at once: they wait for the broker more than they compute.
  if [ "${#creating[@]}" -ge 2 ]; then
    wait "${creating[0]}" || exit 1
    creating=("${creating[@]:1}")
  fi
  create "$name" "$partitions" "$settings" &
  creating+=($!)
done <"$file"
for job in ${creating[@]+"${creating[@]}"}; do wait "$job" || exit 1; done
say "done: $count topics are in place at $brokers"
