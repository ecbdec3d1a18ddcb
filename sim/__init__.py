"""The live co-simulation of the DMA engine; empty until it is built."""
