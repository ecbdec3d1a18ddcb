// In the order of compilation; paths from this folder.
vnc_pkg.sv
vnc_fifo.sv
vnc_address.sv
vnc_mover.sv
vnc_side_mover.sv
vnc_read_port.sv
vnc_write_port.sv
vnc_stats.sv
vnc_axil_regs.sv
vnc_dma_top.sv
