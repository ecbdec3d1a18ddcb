"""The DMA engine in SystemVerilog: ``rtl/``, described in ``README.md``."""
