"""``--punt FILTER=unix:PATH``: which packets of the peer go to a program instead of the port, and to which."""

from __future__ import annotations

from dataclasses import dataclass

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

_BYPASS = {"bypass=on": True, "bypass=off": False}


@dataclass(frozen=True, slots=True)
class PuntRule:
    """``filter``: of tcpdump's syntax; ``path``: the socket; ``bypass``: without a program the port gets them."""

    filter: str
    path: str
    bypass: bool = False

    @classmethod
    def parse(cls, text: str) -> PuntRule:
        """The rule of FILTER=unix:PATH[?bypass=on|off]; FILTER may contain '='.  ConfigError."""
        words, found, place = text.rpartition("=unix:")
        path, question, option = place.partition("?")
        if not found or not path:
            raise ConfigError(f"--punt {text!r}: expected FILTER=unix:PATH", code=ErrorCode.BAD_URL)
        if not words.strip():
            raise ConfigError(
                f"--punt {text!r}: no filter; 'ip or ip6' picks every IP packet", code=ErrorCode.BAD_FILTER
            )
        if question and option not in _BYPASS:
            raise ConfigError(
                f"--punt {text!r}: option {option!r} is unknown: expected bypass=on or bypass=off",
                code=ErrorCode.BAD_URL,
            )
        return cls(words.strip(), path, _BYPASS.get(option, False))
