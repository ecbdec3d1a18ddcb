"""Whether something is behind each side's port: each side says so in its block, and the other sets its carrier."""

from __future__ import annotations

from vnetcard.ring.sideblock import SideBlock


class PortStates:
    """``peer_up``: what the peer's side block said when ``accept`` was last called."""

    def __init__(self, own: SideBlock, peer: SideBlock) -> None:
        self._own, self._peer = own, peer
        self._own_up = True
        self.peer_up = True

    def set_own(self, up: bool) -> None:
        """Publish whether something is behind this side's port."""
        if up is not self._own_up:
            self._own_up = up
            self.publish()

    def publish(self) -> None:
        """Write the word again; the caller makes it visible with the rest of the block."""
        self._own.store("port_down", int(not self._own_up))

    def peer_changed(self) -> bool:
        """Whether the peer says something else than at the last ``accept``."""
        return self._peer_says_up() is not self.peer_up

    def accept(self) -> bool:
        """Take over what the peer says, and return it."""
        self.peer_up = self._peer_says_up()
        return self.peer_up

    def _peer_says_up(self) -> bool:
        return self._peer.load("port_down") == 0
