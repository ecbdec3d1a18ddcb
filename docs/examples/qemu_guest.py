"""A QEMU guest as one side of a link: its network card is the agent's port.

python3 qemu_guest.py AGENT... -- QEMU...    with FD in place of the descriptor's number, for example
python3 qemu_guest.py vnetcard-fpga --window shm:lab --port fd:FD?frames=ethernet -- \
    qemu-system-x86_64 -netdev dgram,id=n,local.type=fd,local.str=FD -device virtio-net-pci,netdev=n disk.qcow2
"""

import contextlib
import signal
import socket
import subprocess
import sys


def start(words: list[str], end: socket.socket) -> subprocess.Popen[bytes]:
    """Start a program with a copy of ``end``."""
    number = end.fileno()
    return subprocess.Popen([word.replace("FD", str(number)) for word in words], pass_fds=[number])


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
between = sys.argv.index("--")
commands = sys.argv[1:between], sys.argv[between + 1 :]
ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
agent, guest = (start(words, end) for words, end in zip(commands, ends, strict=True))
for end in ends:
    end.close()
try:
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(guest.wait())
finally:
    for program in (guest, agent):
        program.terminate()
        program.wait()
