#!/bin/bash
# Exit 0 when Cassandra answers CQL: sends an OPTIONS frame of protocol 4 and expects SUPPORTED (opcode 06).
# cqlsh would tell the same for half a second of processor time at every check.
#
#   CASSANDRA_CA (default: none)   the authority that has signed the certificate, where the port speaks TLS
set -u
if [ -n "${CASSANDRA_CA:-}" ]; then
  exec timeout 4 python3 - <<'PYTHON'
import os, socket, ssl
context = ssl.create_default_context(cafile=os.environ["CASSANDRA_CA"])
with socket.create_connection(("127.0.0.1", 9042), 3) as plain:
    with context.wrap_socket(plain, server_hostname="cassandra") as cql:
        cql.sendall(bytes.fromhex("040000010500000000"))
        header = cql.recv(9)
        if header[4:5] != b"\x06":
            raise SystemExit(f"port 9042 answered {header.hex()!r} to a CQL OPTIONS frame")
PYTHON
fi
exec 3<>/dev/tcp/127.0.0.1/9042 || exit 1
printf '\x04\x00\x00\x01\x05\x00\x00\x00\x00' >&3
header=$(timeout 3 head -c 9 <&3 | od -An -v -tx1 | tr -d ' \n')
[ "${header:8:2}" = 06 ] && exit 0
echo "port 9042 answered '$header' to a CQL OPTIONS frame" >&2
exit 1
