"""``xdma:`` windows: the memory of a card with an XDMA core, which the host accesses by DMA transfers only."""
