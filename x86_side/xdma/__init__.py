"""``xdma:`` windows: a card behind Xilinx's stock XDMA, whose memory the host reaches by DMA transfers alone."""
