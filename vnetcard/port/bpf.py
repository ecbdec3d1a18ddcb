"""Filters in tcpdump's syntax, compiled and run by libpcap.

The system's library (Debian: libpcap0.8) is loaded when a filter is used; without filters it is not needed.
"""

from __future__ import annotations

import ctypes
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

_DLT_EN10MB: Final = 1
_DLT_RAW: Final = 12
"""Packets that start with their IP header, as those of a TUN do."""
_SNAP: Final = 65_600
_UNKNOWN_NETMASK: Final = 0xFFFF_FFFF


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class _Header(ctypes.Structure):
    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("kept", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


def _library() -> ctypes.CDLL:
    import ctypes.util  # only for a filter

    for name in ("libpcap.so.0.8", "libpcap.so.1", ctypes.util.find_library("pcap")):
        if name:
            try:
                library = ctypes.CDLL(name)
            except OSError:
                continue
            library.pcap_open_dead.restype = ctypes.c_void_p
            library.pcap_geterr.restype = ctypes.c_char_p
            library.pcap_geterr.argtypes = library.pcap_close.argtypes = (ctypes.c_void_p,)
            library.pcap_compile.argtypes = (
                ctypes.c_void_p,
                ctypes.POINTER(_Program),
                ctypes.c_char_p,
                ctypes.c_int,
                ctypes.c_uint32,
            )
            library.pcap_offline_filter.argtypes = (
                ctypes.POINTER(_Program),
                ctypes.POINTER(_Header),
                ctypes.c_char_p,
            )
            return library
    raise ConfigError(
        "a filter needs libpcap, which is not installed: apt-get install libpcap0.8", code=ErrorCode.TOOL_MISSING
    )


class Filter:
    """A compiled filter: called with the first bytes of a packet and its length, it returns whether it matches.

    The packets are IP packets or, with ``ethernet``, Ethernet frames.
    """

    def __init__(self, text: str, *, ethernet: bool = False) -> None:
        """Raises ConfigError when libpcap is missing, or rejects ``text``."""
        self.text = text
        self._library = _library()
        self._program = _Program()
        self._header = _Header()
        handle = self._library.pcap_open_dead(_DLT_EN10MB if ethernet else _DLT_RAW, _SNAP)
        try:
            encoded = text.encode(errors="surrogateescape")
            if self._library.pcap_compile(handle, ctypes.byref(self._program), encoded, 1, _UNKNOWN_NETMASK):
                raise ConfigError(
                    f"filter {text!r}: {self._library.pcap_geterr(handle).decode(errors='replace')}",
                    code=ErrorCode.BAD_FILTER,
                )
        finally:
            self._library.pcap_close(handle)

    def __call__(self, data: bytes, length: int) -> bool:
        self._header.kept, self._header.length = len(data), max(length, len(data))
        return bool(self._library.pcap_offline_filter(ctypes.byref(self._program), ctypes.byref(self._header), data))

    @property
    def native(self) -> tuple[int, int]:
        """The addresses of libpcap's bpf_filter() and of the first instruction, for C; valid until ``close``."""
        run = ctypes.cast(self._library.bpf_filter, ctypes.c_void_p).value
        return run or 0, self._program.instructions or 0

    def close(self) -> None:
        """Free the program."""
        self._library.pcap_freecode(ctypes.byref(self._program))


def compile_filter(words: list[str], *, ethernet: bool = False) -> Filter | None:
    """The filter that ``words`` form, joined as tcpdump does; None when there are none.  Raises as ``Filter``."""
    return Filter(" ".join(words), ethernet=ethernet) if words else None
