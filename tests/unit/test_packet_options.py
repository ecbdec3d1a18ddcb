"""The URL of a packet port, taken apart; what cannot be meant is one line that says what to write."""

from __future__ import annotations

import ipaddress

import pytest

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port.packet_options import ADDRESSES_MAX, PacketOptions, split_options

IP = "frames=ip&address=10.0.0.7/24"


def test_parts_of_a_url() -> None:
    assert split_options("eth1") == split_options("eth1?qdisc=on") == PacketOptions("eth1")
    assert split_options("eth1?qdisc=off&frames=ethernet") == PacketOptions("eth1", bypass=True)
    found = split_options(f"eth1?gateway=10.0.0.1&{IP}&address=fd00::7/64&qdisc=off&gateway=fe80::1")
    assert (found.interface, found.bypass) == ("eth1", True)
    assert found.addresses == (ipaddress.ip_interface("10.0.0.7/24"), ipaddress.ip_interface("fd00::7/64"))
    assert found.gateways == (ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fe80::1"))


@pytest.mark.parametrize("address", ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32", "fd00::/64", "192.0.2.255/16"])
def test_address_that_a_machine_can_have(address: str) -> None:
    assert [str(one) for one in split_options(f"eth1?frames=ip&address={address}").addresses] == [address]


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        ("frames=ip", "frames=ip needs an address", ErrorCode.BAD_URL),
        ("frames=IP&address=10.0.0.7/24", "expected frames=ethernet or frames=ip", ErrorCode.BAD_URL),
        ("frames=", "expected frames=ethernet or frames=ip", ErrorCode.BAD_URL),
        (f"frames=ip&{IP}", "frames= is given more than once", ErrorCode.BAD_URL),
        ("qdisc=on&qdisc=off", "qdisc= is given more than once", ErrorCode.BAD_URL),
        ("address=10.0.0.7/24", "address= needs frames=ip", ErrorCode.BAD_URL),
        ("frames=ethernet&address=10.0.0.7/24", "address= needs frames=ip", ErrorCode.BAD_URL),
        ("gateway=10.0.0.1", "gateway= needs frames=ip", ErrorCode.BAD_URL),
        ("frames=ip&address=10.0.0.7", "has no prefix length", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=10.0.0.7/33", "invalid address", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=ten/24", "invalid address", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=", "expected address=IP/BITS", ErrorCode.BAD_URL),
        ("frames=ip&address=224.0.0.1/24", "is multicast", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=0.0.0.0/0", "is unspecified", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=127.0.0.1/8", "is a loopback address", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=::1/128", "is a loopback address", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=10.0.0.0/24", "is the network 10.0.0.0/24 itself", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=10.0.0.255/24", "is the network 10.0.0.0/24 itself", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=fe80::1%eth0/64", "has a zone", ErrorCode.BAD_ADDRESS),
        (f"{IP}&address=10.0.0.7/16", "is given twice", ErrorCode.BAD_ADDRESS),
        (
            "frames=ip" + "".join(f"&address=10.0.{n}.7/24" for n in range(ADDRESSES_MAX + 1)),
            "9 addresses are given, but at most 8 are possible",
            ErrorCode.BAD_URL,
        ),
        (f"{IP}&gateway=10.0.0.1/24", "is no IP address", ErrorCode.BAD_ADDRESS),
        (f"{IP}&gateway=10.0.1.1", "is in the network of no address= of this port", ErrorCode.BAD_ADDRESS),
        (f"{IP}&gateway=fe80::1", "is in the network of no address= of this port", ErrorCode.BAD_ADDRESS),
        ("frames=ip&address=fe80::7/64&gateway=fe80::1%veth0", "has a zone", ErrorCode.BAD_ADDRESS),
        (f"{IP}&gateway=10.0.0.7", "is an address of this port", ErrorCode.BAD_ADDRESS),
        (f"{IP}&gateway=10.0.0.255", "all machines of it", ErrorCode.BAD_ADDRESS),
        (f"{IP}&gateway=10.0.0.1&gateway=10.0.0.2", "two gateways are given for IPv4", ErrorCode.BAD_ADDRESS),
        (f"{IP}&", "is unknown: expected", ErrorCode.BAD_URL),
        (f"{IP}&mac=02:00:00:00:00:01", "is unknown: expected", ErrorCode.BAD_URL),
    ],
)
def test_url_that_cannot_be_meant(options: str, words: str, code: ErrorCode) -> None:
    with pytest.raises(ConfigError) as caught:
        split_options(f"eth1?{options}")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).count("port packet:") <= 1
    assert caught.value.code is code
