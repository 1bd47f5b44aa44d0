#!/bin/bash
# The entry of Cassandra's container: TLS for clients into cassandra.yaml, since a property would show the password of the
# key in the log; then as the image has it.
set -euo pipefail
yaml=/etc/cassandra/cassandra.yaml
password=$(<"$CASSANDRA_KEYSTORE_PASSWORD_FILE")
# Without the block that is there: it ends with the next line that begins with a letter.
settings=$(awk '/^client_encryption_options:/ { inside = 1; next } /^[a-z]/ { inside = 0 } !inside' "$yaml")
chmod 600 "$yaml"
cat >"$yaml" <<YAML
$settings
client_encryption_options:
  enabled: true
  optional: false
  keystore: $CASSANDRA_KEYSTORE
  keystore_password: $password
  store_type: PKCS12
YAML
exec docker-entrypoint.sh "$@"
