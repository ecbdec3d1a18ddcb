# SPDX-License-Identifier: MIT
#
# Package the DMA engine as IP for Vivado's catalog:
#
#     vivado -mode batch -source hdl/vivado/package_ip.tcl -tclargs FOLDER
#
# FOLDER then holds component.xml and a copy of the sources; add it to a project's IP repositories.  The interfaces come
# from the attributes in vnc_dma.v.

if {[llength $argv] != 1} {
    puts stderr "usage: vivado -mode batch -source package_ip.tcl -tclargs FOLDER"
    exit 2
}
set here [file dirname [file normalize [info script]]]
set rtl [file join $here .. rtl]
set folder [file normalize [lindex $argv 0]]

set list [open [file join $rtl files.f]]
set sources {}
foreach line [split [read $list] \n] {
    set name [string trim $line]
    if {$name ne "" && ![string match "//*" $name]} {
        lappend sources [file join $rtl $name]
    }
}
close $list

# The version in the catalog, which the generated component states as well.
set component [open [file join $here .. component.xml]]
if {![regexp {<spirit:version>([0-9.]+)</spirit:version>} [read $component] - version]} {
    puts stderr "vnetcard: component.xml states no version: run `python -m vnetcard.hdl.vivado`"
    exit 1
}
close $component

create_project -in_memory vnc_dma
add_files -norecurse $sources
set_property file_type SystemVerilog [get_files $sources]
add_files -norecurse [file join $here vnc_dma.v]
add_files -fileset constrs_1 -norecurse [file join $here vnc_dma_ooc.xdc]
set_property used_in {synthesis implementation out_of_context} [get_files [file join $here vnc_dma_ooc.xdc]]
set_property top vnc_dma [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir $folder -vendor vnetcard -library user -taxonomy /Communication_&_Networking \
    -import_files -force
set core [ipx::current_core]
set_property name vnc_dma $core
set_property version $version $core
set_property display_name {vnetcard DMA engine} $core
set_property description {Moves ring buffers between a host's and a card's memory over AXI4} $core
foreach {name values} {DataW {64 128 256 512} BurstBeats {8 16 32 64 128 256} ReadsMax {2 4 8 16 32 64}} {
    set parameter [ipx::get_user_parameters $name -of_objects $core]
    set_property value_validation_type list $parameter
    set_property value_validation_list $values $parameter
}
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
puts "vnetcard: the engine is packaged in $folder"
