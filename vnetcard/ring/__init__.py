"""The wire format, and what reads it: layout, geometry, side blocks, FIFO ends, counters, window dumps."""
