"""The link between two sides: handshake, watch over the peer, and the pumps or FIFOs that it commands."""
