"""What runs on the host only: its agent, its service unit, and the software DMA copier for XDMA cards (``xdma/``)."""
