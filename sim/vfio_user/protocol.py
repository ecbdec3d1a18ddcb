"""The messages of vfio-user as bytes: QEMU's docs/interop/vfio-user.rst, protocol version 0.1.

Nothing here does I/O.  Integers are in the byte order of the machine, sizes in bytes.  A request is parsed as a whole
or refused by ``Refused``, whose errno goes into the reply; nothing in a message is trusted before it was checked.
"""

from __future__ import annotations

import enum
import errno
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

MAJOR: Final = 0
MINOR: Final = 1
HEADER: Final = struct.Struct("=HHIII")
"""Message id, command, size of the whole message, flags, errno."""
DATA_MAX: Final = 4096
"""Bytes that a REGION_READ or REGION_WRITE may carry: the largest region's size, offered as max_data_xfer_size."""
FDS_MAX: Final = 8
"""Descriptors in one message, offered as max_msg_fds."""
MESSAGE_MAX: Final = HEADER.size + 16 + DATA_MAX
"""A longer message is no request that this server could serve."""

REPLY: Final = 1
TYPE_MASK: Final = 0xF
NO_REPLY: Final = 1 << 4
ERROR: Final = 1 << 5

DMA_READ: Final = 1 << 0
DMA_WRITE: Final = 1 << 1
DEVICE_RESET: Final = 1 << 0
DEVICE_PCI: Final = 1 << 1
REGION_READ: Final = 1 << 0
REGION_WRITE: Final = 1 << 1
IRQ_EVENTFD: Final = 1 << 0
IRQ_MASKABLE: Final = 1 << 1
IRQ_NORESIZE: Final = 1 << 3
DATA_NONE: Final = 1 << 0
DATA_BOOL: Final = 1 << 1
DATA_EVENTFD: Final = 1 << 2
ACTION_MASK: Final = 1 << 3
ACTION_UNMASK: Final = 1 << 4
ACTION_TRIGGER: Final = 1 << 5
_DATA: Final = DATA_NONE | DATA_BOOL | DATA_EVENTFD
_ACTIONS: Final = ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER

_VERSION: Final = struct.Struct("=HH")
_DMA_MAP: Final = struct.Struct("=IIQQQ")
_DMA_UNMAP: Final = struct.Struct("=IIQQ")
_DEVICE_INFO: Final = struct.Struct("=IIII")
_REGION_INFO: Final = struct.Struct("=IIIIQQ")
_IRQ_INFO: Final = struct.Struct("=IIII")
_IRQ_SET: Final = struct.Struct("=IIIII")
_REGION_ACCESS: Final = struct.Struct("=QII")


class Command(enum.IntEnum):
    """The commands of a client that this server knows."""

    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    DEVICE_GET_INFO = 4
    DEVICE_GET_REGION_INFO = 5
    DEVICE_GET_IRQ_INFO = 7
    DEVICE_SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DEVICE_RESET = 13


class Refused(Exception):
    """Raised for a request that cannot be served; ``number`` is the errno of the reply.

    ``final``: the stream cannot be followed any further, so the connection must end.
    """

    def __init__(self, number: int, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.number, self.final = number, final


@dataclass(frozen=True, slots=True)
class Header:
    """The 16 bytes before each message; ``size`` includes them."""

    id: int
    command: int
    size: int
    flags: int = 0
    error: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """The header of a request; raises Refused (final) when what follows cannot be one."""
        header = cls(*HEADER.unpack(data))
        if not HEADER.size <= header.size <= MESSAGE_MAX:
            raise Refused(errno.EINVAL, f"a message of {header.size} bytes", final=True)
        if header.flags & TYPE_MASK:
            raise Refused(errno.EINVAL, "a reply to a command that was not sent", final=True)
        return header

    @property
    def wants_reply(self) -> bool:
        """Whether the client waits for a reply."""
        return not self.flags & NO_REPLY

    def reply(self, payload: bytes = b"") -> bytes:
        """The reply to this request."""
        return HEADER.pack(self.id, self.command, HEADER.size + len(payload), REPLY, 0) + payload

    def refusal(self, number: int) -> bytes:
        """The reply that says that this request failed with errno ``number``."""
        return HEADER.pack(self.id, self.command, HEADER.size, REPLY | ERROR, number)


def _take(form: struct.Struct, payload: bytes, *, more: bool = False) -> tuple[Any, ...]:
    """The fields at the start of ``payload``; Refused where it is too short or, without ``more``, too long."""
    if len(payload) < form.size or (len(payload) > form.size and not more):
        raise Refused(errno.EINVAL, f"a payload of {len(payload)} bytes instead of {form.size}")
    return form.unpack_from(payload)


def _want_room(argsz: int, form: struct.Struct) -> None:
    if argsz < form.size:
        raise Refused(errno.EINVAL, f"argsz {argsz} has no room for the reply")


@dataclass(frozen=True, slots=True)
class Version:
    """VERSION: the protocol that a side speaks, and its capabilities."""

    major: int
    minor: int
    capabilities: dict[str, Any]

    @classmethod
    def parse(cls, payload: bytes) -> Version:
        """Raises Refused for what is neither empty nor a JSON object that ends with a NUL."""
        major, minor = _take(_VERSION, payload, more=True)
        text = payload[_VERSION.size :]
        if not text:
            return cls(major, minor, {})
        try:
            if text[-1]:
                raise ValueError("no NUL at the end")
            capabilities = json.loads(text[:-1].decode()).get("capabilities", {})
            if not isinstance(capabilities, dict):
                raise ValueError("the capabilities are no object")
        except (ValueError, AttributeError, RecursionError) as error:
            raise Refused(errno.EINVAL, f"the version data is invalid: {error}", final=True) from error
        return cls(major, minor, capabilities)

    def pack(self) -> bytes:
        """The payload of a request or a reply."""
        text = json.dumps({"capabilities": self.capabilities}).encode() + b"\0"
        return _VERSION.pack(self.major, self.minor) + text


@dataclass(frozen=True, slots=True)
class DmaMap:
    """DMA_MAP: ``size`` bytes of the client's memory at bus address ``address``, from ``offset`` of a descriptor."""

    flags: int
    offset: int
    address: int
    size: int

    @classmethod
    def parse(cls, payload: bytes) -> DmaMap:
        """Raises Refused; the addresses' range is not checked here."""
        _, *rest = _take(_DMA_MAP, payload)
        return cls(*rest)

    def pack(self) -> bytes:
        """The payload of the request."""
        return _DMA_MAP.pack(_DMA_MAP.size, self.flags, self.offset, self.address, self.size)


@dataclass(frozen=True, slots=True)
class DmaUnmap:
    """DMA_UNMAP: the maps from bus address ``address`` on, ``size`` bytes; the reply repeats it."""

    flags: int
    address: int
    size: int

    @classmethod
    def parse(cls, payload: bytes) -> DmaUnmap:
        """Raises Refused."""
        argsz, *rest = _take(_DMA_UNMAP, payload)
        _want_room(argsz, _DMA_UNMAP)
        return cls(*rest)

    def pack(self) -> bytes:
        """The payload of the request, and of its reply."""
        return _DMA_UNMAP.pack(_DMA_UNMAP.size, self.flags, self.address, self.size)


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """DEVICE_GET_INFO: ``flags`` DEVICE_RESET and DEVICE_PCI, numbers of regions and of kinds of interrupts."""

    flags: int = 0
    regions: int = 0
    irqs: int = 0

    @classmethod
    def parse(cls, payload: bytes) -> DeviceInfo:
        """Raises Refused."""
        argsz, *rest = _take(_DEVICE_INFO, payload)
        _want_room(argsz, _DEVICE_INFO)
        return cls(*rest)

    def pack(self) -> bytes:
        """The payload of the request, and of its reply."""
        return _DEVICE_INFO.pack(_DEVICE_INFO.size, self.flags, self.regions, self.irqs)


@dataclass(frozen=True, slots=True)
class RegionInfo:
    """DEVICE_GET_REGION_INFO: ``flags`` REGION_READ and REGION_WRITE; a region of size 0 does not exist."""

    index: int
    flags: int = 0
    size: int = 0

    @classmethod
    def parse(cls, payload: bytes) -> RegionInfo:
        """Raises Refused."""
        argsz, flags, index, _, size, _ = _take(_REGION_INFO, payload)
        _want_room(argsz, _REGION_INFO)
        return cls(index, flags, size)

    def pack(self) -> bytes:
        """The payload of the request, and of its reply."""
        return _REGION_INFO.pack(_REGION_INFO.size, self.flags, self.index, 0, self.size, 0)


@dataclass(frozen=True, slots=True)
class IrqInfo:
    """DEVICE_GET_IRQ_INFO: ``count`` interrupts of the kind ``index``, with ``flags`` IRQ_*."""

    index: int
    flags: int = 0
    count: int = 0

    @classmethod
    def parse(cls, payload: bytes) -> IrqInfo:
        """Raises Refused."""
        argsz, flags, index, count = _take(_IRQ_INFO, payload)
        _want_room(argsz, _IRQ_INFO)
        return cls(index, flags, count)

    def pack(self) -> bytes:
        """The payload of the request, and of its reply."""
        return _IRQ_INFO.pack(_IRQ_INFO.size, self.flags, self.index, self.count)


@dataclass(frozen=True, slots=True)
class IrqSet:
    """DEVICE_SET_IRQS: ``action`` for ``count`` interrupts of kind ``index`` from ``start`` on.

    ``data`` says for which: DATA_NONE for all of them, DATA_BOOL for those whose byte in ``bools`` is not 0;
    DATA_EVENTFD is followed by descriptors.
    """

    data: int
    action: int
    index: int
    start: int
    count: int
    bools: bytes = b""

    @classmethod
    def parse(cls, payload: bytes) -> IrqSet:
        """Raises Refused: unless there is exactly one kind of data and one action, and a bool for each interrupt."""
        _, flags, index, start, count = _take(_IRQ_SET, payload, more=True)
        bools = payload[_IRQ_SET.size :]
        data, action = flags & _DATA, flags & _ACTIONS
        if flags != data | action or data.bit_count() != 1 or action.bit_count() != 1:
            raise Refused(errno.EINVAL, f"the flags {flags:#x} of SET_IRQS exclude each other")
        if len(bools) != (count if data == DATA_BOOL else 0):
            raise Refused(errno.EINVAL, f"{len(bools)} bytes of data for {count} interrupts")
        return cls(data, action, index, start, count, bools)

    def pack(self) -> bytes:
        """The payload of the request."""
        flags = self.data | self.action
        size = _IRQ_SET.size + len(self.bools)
        return _IRQ_SET.pack(size, flags, self.index, self.start, self.count) + self.bools


@dataclass(frozen=True, slots=True)
class RegionAccess:
    """REGION_READ, REGION_WRITE and their replies: ``count`` bytes at ``offset`` of ``region``; ``data`` if any."""

    offset: int
    region: int
    count: int
    data: bytes = b""

    @classmethod
    def parse(cls, payload: bytes, *, data: bool) -> RegionAccess:
        """``data``: the message carries ``count`` bytes.  Raises Refused, also for more than DATA_MAX."""
        offset, region, count = _take(_REGION_ACCESS, payload, more=data)
        carried = payload[_REGION_ACCESS.size :]
        if count > DATA_MAX or len(carried) != (count if data else 0):
            raise Refused(errno.EINVAL, f"an access of {count} bytes with {len(carried)} bytes of data")
        return cls(offset, region, count, carried)

    def pack(self) -> bytes:
        """The payload of a request or reply."""
        return _REGION_ACCESS.pack(self.offset, self.region, self.count) + self.data
