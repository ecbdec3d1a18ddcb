"""The end of a generation: what this side sent in it and the peer did not receive is lost."""

from __future__ import annotations

from vnetcard.link.endpoints import Endpoints


def settle(endpoints: Endpoints, final: tuple[int, int, int]) -> str:
    """Count the records of this side's last generation that the peer did not receive as lost.

    ``final``: both epochs and the number of records received, as the peer has published them; a number for other
    epochs counts as 0.  Returns what is impossible about it, else ''.
    """
    sent = endpoints.sent()
    if not sent.own_epoch:
        return ""
    peer_own, peer_peer, records = final  # the epochs as the peer names them
    received = records if (peer_own, peer_peer) == (sent.peer_epoch, sent.own_epoch) else 0
    endpoints.settle(sent.records - min(received, sent.records))
    if received <= sent.records:
        return ""
    return f"the peer claims to have received {received} of {sent.records} records: counted as {sent.records}"
