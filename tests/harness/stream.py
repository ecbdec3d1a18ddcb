"""A pseudo-random stream between two network namespaces, hashed at both ends: a program that tests run.

    stream.py tcp receive ADDRESS PORT BYTES             stream.py tcp send ADDRESS PORT BYTES
    stream.py udp receive ADDRESS PORT BYTES             stream.py udp send ADDRESS PORT BYTES [--segments N]

The receiver prints ``listening``, then each end prints one JSON line: bytes, hash, seconds.  The hash of a TCP
stream is its SHA-256; that of UDP is the sum of the datagrams' SHA-256, as datagrams may change places.

UDP waits for acknowledgements of its own, so a fast sender does not flood the receiver's socket: a datagram that is
missing was lost in between.  ``--segments`` hands the kernel N datagrams at once (UDP_SEGMENT).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import socket
import time
from collections.abc import Iterator

CHUNK = 1 << 20
DATAGRAM = 1400
"""Bytes in a datagram; the first eight are its number, so that no two are equal."""
WINDOW, ACK_EVERY = 64, 16
"""Datagrams: sent ahead of acknowledgements; between two of them."""
SEGMENTS_MAX = WINDOW - ACK_EVERY
SILENCE_S = 20.0
"""Seconds without a datagram from the other end after which something counts as lost."""
UDP_SEGMENT = 103  # Linux include/uapi/linux/udp.h


def chunks(total: int, size: int) -> Iterator[bytes]:
    """``total`` pseudo-random bytes, the same ones every time, in pieces of ``size``."""
    source = random.Random(total)
    for at in range(0, total, size):
        yield source.randbytes(min(size, total - at))


def datagrams(total: int) -> Iterator[bytes]:
    """The same bytes as numbered datagrams."""
    for number, data in enumerate(chunks(total, DATAGRAM)):
        yield (number.to_bytes(8) + data[8:])[: len(data)]


def digest(data: bytes) -> int:
    """The SHA-256 of one datagram as a number."""
    return int.from_bytes(hashlib.sha256(data).digest())


def tcp_receive(listener: socket.socket, total: int) -> tuple[int, str]:
    """Receive until the sender closes; returns bytes and hash."""
    del total
    listener.listen()
    print("listening", flush=True)
    listener.settimeout(SILENCE_S)
    stream, _ = listener.accept()
    stream.settimeout(SILENCE_S)
    buffer, got, state = memoryview(bytearray(CHUNK)), 0, hashlib.sha256()
    while count := stream.recv_into(buffer):
        state.update(buffer[:count])
        got += count
    return got, state.hexdigest()


def tcp_send(stream: socket.socket, total: int) -> tuple[int, str]:
    """Send everything; returns once the kernel has taken it."""
    state = hashlib.sha256()
    for chunk in chunks(total, CHUNK):
        state.update(chunk)
        stream.sendall(chunk)
    return total, state.hexdigest()


def udp_receive(end: socket.socket, total: int) -> tuple[int, str]:
    """Receive until all bytes have arrived, or none arrives any more."""
    print("listening", flush=True)
    end.settimeout(SILENCE_S)
    got = count = state = 0
    try:
        while got < total:
            data, sender = end.recvfrom(65536)
            got, count, state = got + len(data), count + 1, state + digest(data)
            if count % ACK_EVERY == 0 or got >= total:
                end.sendto(count.to_bytes(8), sender)
    except TimeoutError:
        pass
    return got, f"{state % (1 << 256):064x}"


def udp_send(end: socket.socket, total: int, segments: int) -> tuple[int, str]:
    """Send until everything is acknowledged, or no acknowledgement arrives any more."""
    if segments > 1:
        end.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, DATAGRAM)
    sent = acked = state = done = 0
    group: list[bytes] = []
    count = -(-total // DATAGRAM)
    try:
        for data in datagrams(total):
            state, done = state + digest(data), done + len(data)
            group.append(data)
            if len(group) < segments and done < total:
                continue
            while sent + len(group) - acked > WINDOW:
                acked = max(acked, int.from_bytes(end.recv(8)))
            end.send(b"".join(group))
            sent += len(group)
            group.clear()
        while acked < count:
            acked = max(acked, int.from_bytes(end.recv(8)))
    except TimeoutError:
        pass
    return done, f"{state % (1 << 256):064x}"


def main() -> None:
    """Run one end, as the command line asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=("tcp", "udp"))
    parser.add_argument("role", choices=("send", "receive"))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("bytes", type=int)
    parser.add_argument("--segments", type=int, default=1, choices=range(1, SEGMENTS_MAX + 1))
    args = parser.parse_args()
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    kind = socket.SOCK_STREAM if args.protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as end:
        if args.role == "receive":
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            end.bind((args.address, args.port))
            receive = tcp_receive if args.protocol == "tcp" else udp_receive
            began = time.monotonic()
            got, digest_of_all = receive(end, args.bytes)
        else:
            end.settimeout(SILENCE_S)
            end.connect((args.address, args.port))
            began = time.monotonic()
            if args.protocol == "tcp":
                got, digest_of_all = tcp_send(end, args.bytes)
            else:
                got, digest_of_all = udp_send(end, args.bytes, args.segments)
    print(json.dumps({"bytes": got, "hash": digest_of_all, "seconds": round(time.monotonic() - began, 3)}))


if __name__ == "__main__":
    main()
