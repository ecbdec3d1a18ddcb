"""Codes of errors: ``VnetcardError.code``, the ``code`` of ``--json`` error objects and of ``--json-log`` lines."""

from __future__ import annotations

from vnetcard.codes.code import Code


class ErrorCode(Code):
    """One for each kind of error; the first of each group is the default of its exception class."""

    # ConfigError: options, URLs, files
    BAD_CONFIG = "bad-config", "An option, argument, file or URL is invalid.", "Change what the message names."
    # WindowUnavailable
    WINDOW_UNAVAILABLE = "window-unavailable", "The window's memory cannot be used.", "See the message."
    # WindowNotReady
    WINDOW_NOT_READY = (
        "window-not-ready",
        "The memory is there, but the host has not laid out a window in it.",
        "Start the host's agent; the card's agent waits for it.",
    )
    # PortUnavailable
    PORT_UNAVAILABLE = "port-unavailable", "The network interface cannot be opened or created.", "See the message."
    # LayoutMismatch
    LAYOUT_MISMATCH = (
        "layout-mismatch",
        "The memory holds no window, a damaged one, or one of another wire format.",
        "Give both agents the same version and the same --queue-bytes.",
    )
    # FifoCorrupt
    FIFO_CORRUPT = "fifo-corrupt", "The peer wrote an impossible index or record.", "Restart the peer's program."
    # FrameTooLarge
    FRAME_TOO_LARGE = "frame-too-large", "The frame is longer than the link allows.", "Send at most the link's MTU."
    # PeerGone
    PEER_GONE = "peer-gone", "The other side or the agent does not answer.", "Start it."
    PEER_UNRESPONSIVE = (
        "peer-unresponsive",
        "The process exists and does not answer: it is stopped or hangs.",
        "Continue it (SIGCONT), or end it and start it again.",
    )
    # Closed
    CLOSED = "closed", "The object was used after its close()."
