"""Records of 64 bytes over a link, many per call: a Python program as one side, without any agent.

python3 ring_records.py create FILE           lays out a window in FILE
python3 ring_records.py send FILE SECONDS     the host's side
python3 ring_records.py take FILE SECONDS     the card's side; either may be ring_records.c instead

Each record begins with its number, which the receiver checks.  Prints "RECORDS SECONDS".
"""

import secrets
import struct
import sys
import time
from pathlib import Path

from vnetcard import CARD, HOST, LinkSession, PeerGone
from vnetcard.ring.geometry import Geometry

BATCH = 256
NUMBER = struct.Struct("<Q56x")


def send(session: LinkSession, first: int) -> int:
    """Send records from number ``first`` on; how many found room."""
    return session.send_batch([NUMBER.pack(number) for number in range(first, first + BATCH)])


def take(session: LinkSession, first: int) -> int:
    """Take the records that are there; how many there were."""
    records = session.receive_batch(BATCH)
    for number, record in enumerate(records, first):
        if NUMBER.unpack(record) != (number,):
            sys.exit(f"record {number} is not the next one")
    return len(records)


def main() -> None:
    """Do what the command line says."""
    what, file, *seconds = sys.argv[1:]
    if what == "create":
        geometry = Geometry.plan(8 << 20, instance=1 + secrets.randbits(31), removable=False)
        Path(file).touch(0o600)  # a window that others may open is refused
        Path(file).write_bytes(geometry.encode().ljust(geometry.window_bytes, b"\0"))
        return
    side, move = (HOST, send) if what == "send" else (CARD, take)
    with LinkSession(f"file:{file}", side) as session:
        session.wait_up(timeout=10)
        count, began = 0, time.monotonic()
        lasted = 0.0
        while session.is_up and lasted < float(*seconds):
            try:
                count += move(session, count)
            except PeerGone:
                break
            lasted = time.monotonic() - began
        print(count, f"{lasted:.3f}")


main()
