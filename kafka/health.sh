#!/bin/bash
# Exit 0 when the broker answers Kafka's protocol: sends an ApiVersions request (key 18, version 0, correlation
# 7) and expects that correlation with error 0. The bundled tools would start a JVM for it at every check.
#
#   KAFKA_HEALTH_PORT (default 9092)   one without TLS
set -u
port=${KAFKA_HEALTH_PORT:-9092}
exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
printf '\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff' >&3
answer=$(timeout 3 head -c 10 <&3 | od -An -v -tx1 | tr -d ' \n')
[ "${answer:8:12}" = 000000070000 ] && exit 0
echo "port $port answered '$answer' to a Kafka ApiVersions request" >&2
exit 1
