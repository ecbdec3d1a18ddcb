"""One side's process: configuration, negotiation, the link, the control socket, status."""
