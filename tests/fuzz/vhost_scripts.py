"""Written inputs of vhost.c: what an honest driver does, and attacks that chance finds late."""

from __future__ import annotations

from tests.fuzz.script_parts import NOW, poke


def vhost() -> dict[str, bytes]:
    """Inputs of vhost.c; the first byte: 1 for a driver without mergeable buffers and tables, 2 for event_idx."""
    sends, takes, transmits, receives, pokes = 0, 2, 3, 4, 5
    tx, rx, index, heads, words, tables = 0, 1, 0, 2, 4, 6
    flip, low, high = 10, 12, 13  # choices: that bit is the other one, that half of 64 bits becomes the raw value

    def slot(number: int, half: int = 0) -> int:
        return words | 8 * number | 32 * half

    def flow(old: int) -> bytes:
        step = (
            bytes([sends, n * 41 % 244, n & 1, takes, 255])
            + bytes([transmits, n * 59 % (50 if old & 1 else 244), receives, 6, 7, n & 1])
            for n in range(40)
        )
        return bytes([old]) + b"".join(step)

    def hurt(place: int, choice: int, raw: int, *after: int, table: int = 0) -> bytes:
        """A frame each way, while a word changes, earlier or later."""
        rest = bytes([sends, 200, table, takes, 255, transmits, 200, receives, 6, 7, 1, takes, 9, transmits, 9, 8])
        once = (poke(pokes, place, choice, load, raw) + rest for load in after)
        return b"\0" + b"".join(bytes([sends, 60, table]) + part for part in once)

    loads = range(16)
    found: dict[str, bytes] = {}
    for old, driver in enumerate(("driver", "legacy driver", "driver with event_idx", "legacy driver with event_idx")):
        found |= {
            f"frames of many sizes, {driver}": flow(old),
            f"full queues, {driver}": bytes(
                [old, *([transmits, 40] * 6), *([receives] * 3), *([sends, 9, 0] * 5), *([takes, 255] * 5)]
            ),
            f"frame that is too long, {driver}": bytes([old, transmits, 246, transmits, 60, receives]),
        }
    for queue, name in ((tx, "sent"), (rx, "received")):
        found |= {
            f"index, {name}": hurt(queue | index, flip, 20, NOW, 1),
            f"head, {name}": hurt(queue | heads, flip, 4, *loads),
            f"address, {name}": b"".join(hurt(queue | slot(n), low, 0xFFFF, *loads)[n > 0 :] for n in range(2)),
            f"length, {name}": hurt(queue | slot(0, 1), low, 0xFFFF, *loads),
            f"flags, {name}": b"".join(hurt(queue | slot(0, 1), flip, bit, *loads)[bit > 32 :] for bit in (32, 33, 34)),
            f"next, {name}": hurt(queue | slot(0, 1), high, 0xFFFF, *loads),
            f"far next, {name}": hurt(queue | slot(0, 1), flip, 63, *loads),
            f"address at the end, {name}": hurt(queue | slot(0), low, 1024 - 8, *loads),
            f"address behind the end, {name}": hurt(queue | slot(0), low, 1024 + 8, *loads),
            f"loop, {name}": hurt(queue | slot(0, 1), high, 1, *loads),
        }
    found |= {
        "table elsewhere": hurt(tx | slot(0), low, 0xFFFF, *loads, table=1),
        "table of half an entry": hurt(tx | slot(0, 1), low, 24, *loads, table=1),
    }
    for word in range(8):
        found[f"table, word {word}"] = hurt(tables | 8 * word, high, 0xFFFF, *loads, table=1)
        found[f"table, half a word {word}"] = hurt(tables | 8 * word, low, 7, *loads, table=1)
    return found
