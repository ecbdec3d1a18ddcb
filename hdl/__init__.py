"""The DMA engine in SystemVerilog; so far only the generated package of the wire format."""
