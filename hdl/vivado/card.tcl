# SPDX-License-Identifier: MIT
#
# What the block designs have in common; sourced by card_xdma_bridge.tcl and card_ps_pcie.tcl.

namespace eval vnetcard {
    variable here [file dirname [file normalize [info script]]]

    # Addresses that the device-tree overlays in fpga_side/devicetree repeat.
    variable window_address 0x70000000
    variable window_size    8M
    variable page_address   0xA0000000
}

# End with one line.
proc vnetcard::fail {message} {
    puts stderr "vnetcard: $message"
    exit 1
}

# The arguments FOLDER and BOARD of a script.
proc vnetcard::arguments {script} {
    if {[llength $::argv] != 2} {
        puts stderr "usage: vivado -mode batch -source $script -tclargs FOLDER BOARD_PART"
        exit 2
    }
    return $::argv
}

# The newest IP of the catalog whose vendor, library and name are given.
proc vnetcard::ip {name} {
    set found [lsort -dictionary [get_ipdefs -quiet -filter "VLNV =~ $name:*"]]
    if {$found eq ""} {
        fail "the IP catalog has no $name: install it with this Vivado, or add its repository"
    }
    return [lindex $found end]
}

# A cell with this name of the catalog's IP, with properties given as NAME VALUE ...
proc vnetcard::cell {name ip args} {
    set cell [create_bd_cell -type ip -vlnv [ip $ip] $name]
    set given {}
    foreach {property value} $args {
        lappend given CONFIG.$property $value
    }
    if {$given ne ""} {
        set_property -dict $given $cell
    }
    return $cell
}

# A project in FOLDER for the board, with the engine in its catalog and an empty block design.
proc vnetcard::project {folder board} {
    variable here
    if {[get_board_parts -quiet $board] eq ""} {
        fail "this Vivado knows no board part $board: install its board files (get_board_parts lists those it has)"
    }
    if {[file exists [file join $folder card.xpr]]} {
        fail "[file join $folder card.xpr] exists: name another folder, or remove it"
    }
    create_project card $folder
    set_property board_part $board [current_project]
    set_property ip_repo_paths [file dirname $here] [current_project]
    update_ip_catalog
    create_bd_design card
}

# The processing system with the board's preset, then with properties of its own.
proc vnetcard::processing_system {args} {
    set ps [cell ps xilinx.com:ip:zynq_ultra_ps_e]
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} $ps
    set given {}
    foreach {property value} $args {
        lappend given CONFIG.$property $value
    }
    set_property -dict $given $ps
}

# Check and save the design, and make its wrapper the top of the project.
proc vnetcard::finish {folder} {
    validate_bd_design
    save_bd_design
    add_files -norecurse [make_wrapper -files [get_files card.bd] -top]
    set_property top card_wrapper [current_fileset]
    update_compile_order -fileset sources_1
    puts "vnetcard: the block design is in [file join $folder card.xpr]"
}
