#!/bin/bash
# Exit 0 when Cassandra answers CQL: sends an OPTIONS frame of protocol 4 and expects SUPPORTED (opcode 06).
# cqlsh would tell the same for half a second of processor time at every check.
set -u
exec 3<>/dev/tcp/127.0.0.1/9042 || exit 1
printf '\x04\x00\x00\x01\x05\x00\x00\x00\x00' >&3
header=$(timeout 3 head -c 9 <&3 | od -An -v -tx1 | tr -d ' \n')
[ "${header:8:2}" = 06 ] && exit 0
echo "port 9042 answered '$header' to a CQL OPTIONS frame" >&2
exit 1
