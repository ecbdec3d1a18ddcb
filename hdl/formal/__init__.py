"""Formal proofs of the DMA engine: ``python -m vnetcard.hdl.formal``."""
