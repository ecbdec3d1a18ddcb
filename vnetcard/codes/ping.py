"""Codes of the ping-size suite: ``code`` of a result in ``ping --json``, and the type of a failure in JUnit."""

from __future__ import annotations

from vnetcard.codes.code import Code


class PingCode(Code):
    """What is wrong with the pings of one size; the gravest first."""

    FAILED = "ping-failed", "The ping program reported an error, or sent nothing.", "See the message."
    CORRUPTED = "ping-corrupted", "A reply had a wrong byte, was cut short, or had a bad checksum.", "Report a bug."
    DUPLICATED = "ping-duplicated", "A request was answered more than once.", "Check the routing for a loop."
    LOST = "ping-lost", "A request was not answered.", "See `vnetcard show errors`."
