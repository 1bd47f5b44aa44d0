#!/bin/bash
# Keyspaces, tables and roles of this folder -> a running Cassandra. Safe to run again: it adds what is
# missing, and sets a password only where the one that the variables name is refused.
#
#   CASSANDRA_HOST                (default cassandra)   where
#   CASSANDRA_PASSWORD            (default cassandra)   of the superuser `cassandra`; set it to change it
#   CASSANDRA_CONSUMER_PASSWORD   (default: the above)  of the role tributary_consumer
#   CASSANDRA_READER_PASSWORD     (default: the above)  of the role tributary_reader
#   CASSANDRA_OPERATOR_PASSWORD   (default: the above)  of the role tributary_operator, where CASSANDRA_MORE makes it
#   CASSANDRA_..._FILE            (default: nowhere)    a file with that password in place of the variable
#   CASSANDRA_MORE                (default: nowhere)    another file of statements, applied last
#   CASSANDRA_CA                  (default: none)       the authority of the server's certificate: TLS
#   CQLSH_HOME                    (default: nowhere)    folder for cqlshrc and the superuser's credentials
#   CASSANDRA_WAIT_S              (default 120)         how long to wait for the server
set -uo pipefail

readonly born_with=cassandra
# given VARIABLE DEFAULT: the content of the file that VARIABLE_FILE names, or the variable, or the default.
given() {
  local file=$1_FILE
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-$2}"; fi
}

host=${CASSANDRA_HOST:-cassandra}
password=$(given CASSANDRA_PASSWORD "$born_with") || exit 1
consumer_password=$(given CASSANDRA_CONSUMER_PASSWORD "$password") || exit 1
reader_password=$(given CASSANDRA_READER_PASSWORD "$password") || exit 1
operator_password=$(given CASSANDRA_OPERATOR_PASSWORD "$password") || exit 1
wait_s=${CASSANDRA_WAIT_S:-120}
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
umask 077
private=$(mktemp -d) || exit 1
trap 'rm -rf "$private"' EXIT

say() { echo "cassandra-schema: $*"; }
fail() { echo "cassandra-schema: $*" >&2; exit 1; }

# cql ROLE PASSWORD ARGUMENT...: one cqlsh; its output is in $answer. Passwords pass by private files, never by
# the command line.
cql() {
  printf '[plain_text_auth]\nusername = %s\npassword = %s\n' "$1" "$2" >"$private/credentials"
  shift 2
  answer=$(cqlsh --cqlshrc="$private/cqlshrc" --credentials="$private/credentials" --connect-timeout=10 --request-timeout=60 \
    "$@" "$host" 9042 2>&1)
}

# The settings of cqlsh, with TLS where there is an authority.
{
  cat "$folder/cqlshrc"
  [ -z "${CASSANDRA_CA:-}" ] || printf 'ssl = true\n\n[ssl]\ncertfile = %s\nvalidate = true\n' "$CASSANDRA_CA"
} >"$private/cqlshrc"

refused() { [[ $answer == *AuthenticationFailed* || $answer == *"Bad credentials"* || $answer == *"are incorrect"* ]]; }

# A password as the inside of a CQL string: each apostrophe doubled.
quoted() { local apostrophe="'"; printf '%s' "${1//$apostrophe/$apostrophe$apostrophe}"; }

# set_password AS ITS_PASSWORD ROLE NEW_PASSWORD
set_password() {
  printf "ALTER ROLE %s WITH PASSWORD = '%s';\n" "$3" "$(quoted "$4")" >"$private/password.cql"
  cql "$1" "$2" -f "$private/password.cql"
}

# The superuser is made a moment after the port opens, so a refused password is tried again for a while.
log_in() {
  local deadline=$((SECONDS + wait_s)) refusals=0
  until cql cassandra "$password" -e 'SELECT key FROM system.local'; do
    if refused; then
      if [ "$password" != "$born_with" ] && set_password cassandra "$born_with" cassandra "$password"; then
        say "the superuser has the password of CASSANDRA_PASSWORD now"
        continue
      fi
      refusals=$((refusals + 1))
      [ "$refusals" -lt 6 ] || fail "$host:9042 accepts neither CASSANDRA_PASSWORD for the superuser \`cassandra\` nor" \
        "the password it is born with. The data was set up with another one: put that into CASSANDRA_PASSWORD, or" \
        "change it first, in cqlsh: ALTER ROLE cassandra WITH PASSWORD = '...'"
    fi
    [ "$SECONDS" -lt "$deadline" ] || fail "no answer from $host:9042 within ${wait_s} s; the last one: ${answer##*$'\n'}"
    sleep 2
  done
}

# apply FILE...: all in one cqlsh, whose start costs more than the statements do.
apply() {
  local all=$private/all.cql file text line first names=() ends=() i
  : >"$all"
  for file; do
    text=$(<"$folder/$file")
    text=${text//@CONSUMER_PASSWORD@/"$(quoted "$consumer_password")"}
    text=${text//@READER_PASSWORD@/"$(quoted "$reader_password")"}
    text=${text//@OPERATOR_PASSWORD@/"$(quoted "$operator_password")"}
    printf '%s\n' "$text" >>"$all"
    names+=("$file")
    ends+=("$(wc -l <"$all")")
  done
  cql cassandra "$password" -f "$all" && return 0
  # cqlsh goes on after a refused statement, and names the line after it: the first one is the cause.
  line=$(grep -m 1 -E 'all\.cql:[0-9]+:' <<<"$answer") || fail "cqlsh ended on $host:9042: ${answer##*$'\n'}"
  line=${line#*all.cql:}
  first=0
  for i in "${!names[@]}"; do
    [ "${line%%:*}" -gt $((ends[i] + 1)) ] || break
    first=${ends[i]}
  done
  fail "cassandra/${names[i]}, the statement that ends at line $((${line%%:*} - first - 1)), is refused by $host:9042: ${line#*:}"
}

# check ROLE VARIABLE PASSWORD QUERY: the role logs in and may do its work; a new password is set first.
check() {
  local attempt
  for attempt in 1 2 3 4 5; do
    cql "$1" "$3" -e "$4" && return 0
    refused || break
    # Cassandra changes a role's password at most every five seconds.
    if set_password cassandra "$password" "$1" "$3"; then say "$1 has the password of $2 now"; else sleep 2; fi
  done
  fail "$1 cannot do its work on $host:9042, with the password of $2: ${answer##*$'\n'}"
}

case "$password$consumer_password$reader_password$operator_password" in
  *$'\n'*) fail "a password holds a line break: look at CASSANDRA_PASSWORD, CASSANDRA_CONSUMER_PASSWORD and CASSANDRA_READER_PASSWORD" ;;
esac

# What makes bare `cqlsh` log in: with the password that has just worked. cqlsh wants it readable to root alone.
furnish() {
  cp "$private/cqlshrc" "$CQLSH_HOME/cqlshrc" && cp "$private/credentials" "$CQLSH_HOME/credentials.new" &&
    mv "$CQLSH_HOME/credentials.new" "$CQLSH_HOME/credentials" || fail "cannot write the settings of cqlsh to $CQLSH_HOME"
}

cd "$folder" || exit 1
log_in
[ -z "${CQLSH_HOME:-}" ] || furnish
apply keyspaces.cql tables/*.cql roles.cql ${CASSANDRA_MORE:+"$CASSANDRA_MORE"}
check tributary_consumer CASSANDRA_CONSUMER_PASSWORD "$consumer_password" "
  SELECT writer FROM tributary.durability_probe LIMIT 1;
  SELECT value FROM system_views.settings WHERE name = 'commitlog_sync';"
check tributary_reader CASSANDRA_READER_PASSWORD "$reader_password" "
  SELECT city FROM kafkapipeline.weatherreport LIMIT 1;
  SELECT id FROM kafkapipeline.fakerdata LIMIT 1;
  SELECT id FROM kafkapipeline.wikipediadata LIMIT 1;
  SELECT id FROM spark_streams.companies_created LIMIT 1;
  SELECT id FROM spark_streams.created_users LIMIT 1;"
[ -z "${CASSANDRA_MORE:-}" ] ||
  check tributary_operator CASSANDRA_OPERATOR_PASSWORD "$operator_password" "
    SELECT id FROM spark_streams.created_users LIMIT 1;
    SELECT writer FROM tributary.durability_probe LIMIT 1;"
say "done: keyspaces, tables and roles are in place on $host:9042"
