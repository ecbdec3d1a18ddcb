// In the order of compilation, after those of ../files.f; paths from this folder.
vnc_stream_pkg.sv
vnc_stream_pick.sv
vnc_stream_reader.sv
vnc_stream_writer.sv
vnc_stream_port.sv
vnc_stream_ram.sv
vnc_stream_regs.sv
vnc_stream_doorbell.sv
vnc_stream_card.sv
