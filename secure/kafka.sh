#!/bin/bash
# The entry of Kafka's container: the password of its key goes from a file into this process's environment alone, where
# `docker inspect` does not show it; then as the image has it.
set -euo pipefail
KAFKA_SSL_KEYSTORE_PASSWORD=$(<"$KAFKA_SSL_KEYSTORE_PASSWORD_FILE")
export KAFKA_SSL_KEYSTORE_PASSWORD
exec /etc/kafka/docker/run
