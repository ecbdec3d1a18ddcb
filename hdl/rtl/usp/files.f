// The bridge to the UltraScale+ integrated block, after ../files.f; in the order of compilation, paths from this folder.
vnc_usp_pkg.sv
vnc_usp_write.sv
vnc_usp_responses.sv
vnc_usp_requests.sv
vnc_usp_completions.sv
vnc_usp_read.sv
vnc_usp_registers.sv
vnc_usp_msi.sv
vnc_usp_bridge.sv
vnc_usp_dma_top.sv
