# SPDX-License-Identifier: MIT
#
# The clock of vnc_dma where it is synthesized on its own (out of context): 4 ns, a bridge's usual 250 MHz.  In a design
# the period is that of the net on aclk.  The engine has this one clock, so it needs no exception and no clock group.

create_clock -name aclk -period 4.000 [get_ports aclk]
