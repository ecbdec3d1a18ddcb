"""Driving a DMA engine: its register map, its driver, and the ways to reach its registers and interrupts."""
