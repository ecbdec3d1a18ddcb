# A model of the Vivado commands that hdl/vivado/*.tcl uses, for tclsh; tests/hdl/vivado_run.py starts it:
#
#     tclsh vivado_stub.tcl CATALOG SCRIPT [ARGUMENT ...]
#
# CATALOG sets `catalog` (vlnv to {params {..} pins {NAME {DIR KIND} ..} intfs {NAME {MODE KIND SPACE SEGMENTS} ..}}),
# `modules` (the same for module references, by name), `boards` and `ports` (of constraints).  An unknown command, cell,
# pin, interface, property or file is an error, as are two drivers, a range that is not aligned, and what the validation
# finds.  After SCRIPT each fact is a line on stdout: `cell`, `set`, `net`, `intf`, `address`, `port`, `file`, `do`.
# Syntax and meaning are those of AMD's UG835; what a real Vivado does beyond that this model does not know.

namespace eval stub {
    set facts {}
    set cells {}
    set addresses {}
    array set driver {}
    array set peer {}
    array set properties {}
}
proc fact {args} { lappend ::stub::facts $args }
proc refuse {message} { error "stub: $message" }

# Split the arguments of a command into `flags` (of those named), `options` (name to value) and `rest`.
proc parse {arguments valued flags} {
    set options {}
    set rest {}
    for {set n 0} {$n < [llength $arguments]} {incr n} {
        set one [lindex $arguments $n]
        if {$one in $valued} {
            dict set options $one [lindex $arguments [incr n]]
        } elseif {$one in $flags} {
            dict set options $one 1
        } elseif {[string match {-[a-z]*} $one]} {
            refuse "no option $one"
        } else {
            lappend rest $one
        }
    }
    return [list $options $rest]
}

# --- projects and files ---------------------------------------------------------------------------------------------

proc create_project {args} { fact do create_project {*}[lindex [parse $args {} {-in_memory -force}] 1] }
proc current_project {} { return project }
proc current_fileset {} { return sources_1 }
proc get_board_parts {args} {
    set name [lindex [lindex [parse $args {} {-quiet}] 1] 0]
    return [expr {$name in $::stub::boards ? $name : ""}]
}
proc update_ip_catalog {} { fact do update_ip_catalog }
proc update_compile_order {args} { parse $args {-fileset} {} }
proc add_files {args} {
    lassign [parse $args {-fileset} {-norecurse}] options files
    foreach file [concat {*}$files] {
        if {![file exists $file] && ![string match made:* $file]} { refuse "no file $file" }
        fact file [expr {[dict exists $options -fileset] ? [dict get $options -fileset] : "sources_1"}] \
            [expr {[string match made:* $file] ? $file : [file normalize $file]}]
    }
}
proc get_files {args} { return [concat {*}$args] }
proc make_wrapper {args} {
    set options [lindex [parse $args {-files} {-top}] 0]
    return made:[file rootname [dict get $options -files]]_wrapper
}

# --- properties -----------------------------------------------------------------------------------------------------

proc set_property {args} {
    if {[lindex $args 0] eq "-dict"} {
        lassign $args - given objects
    } else {
        lassign $args name value objects
        set given [list $name $value]
    }
    if {$objects eq ""} { refuse "set_property without an object" }
    foreach {name value} $given {
        foreach object $objects {
            if {[dict exists $::stub::cells $object]} {
                set params [dict get [dict get $::stub::cells $object] params]
                if {![string match CONFIG.* $name]} { refuse "cell $object has no property $name" }
                if {$params ne "*" && [string range $name 7 end] ni $params} { refuse "$object has no parameter $name" }
            }
            set ::stub::properties($object,$name) $value
            fact set $object $name $value
        }
    }
}
proc get_property {name object} { return $::stub::properties($object,$name) }

# --- block designs --------------------------------------------------------------------------------------------------

proc get_ipdefs {args} {
    set filter [dict get [lindex [parse $args {-filter} {-quiet -all}] 0] -filter]
    if {![regexp {^VLNV =~ (\S+)$} $filter - pattern]} { refuse "filter $filter" }
    return [lsearch -all -inline [dict keys $::stub::catalog] $pattern]
}
proc create_bd_design {name} { fact do create_bd_design $name }
proc create_bd_cell {args} {
    lassign [parse $args {-type -vlnv -reference} {}] options name
    if {[dict exists $::stub::cells $name]} { refuse "two cells $name" }
    if {[dict get $options -type] eq "module"} {
        set kind [dict get $options -reference]
        dict set ::stub::cells $name [dict get $::stub::modules $kind]
    } else {
        set kind [dict get $options -vlnv]
        if {![dict exists $::stub::catalog $kind]} { refuse "no IP $kind" }
        dict set ::stub::cells $name [dict get $::stub::catalog $kind]
    }
    fact cell $name $kind
    return $name
}
proc member {kind path} {
    lassign [split $path /] cell name
    if {![dict exists $::stub::cells $cell]} { refuse "no cell $cell" }
    if {![dict exists $::stub::cells $cell $kind $name]} { refuse "no [string trimright $kind s] $path" }
    return $path
}
proc of {kind path} {
    lassign [split $path /] cell name
    return [dict get $::stub::cells $cell $kind $name]
}
proc get_bd_pins {path} { return [member pins $path] }
proc get_bd_intf_pins {path} { return [member intfs $path] }
proc make_bd_pins_external {args} {
    lassign [parse $args {-name} {}] options path
    set ::stub::driver($path) [dict get $options -name]
    fact port [dict get $options -name] $path
}
proc make_bd_intf_pins_external {args} {
    lassign [parse $args {-name} {}] options path
    set ::stub::peer($path) [dict get $options -name]
    fact port [dict get $options -name] $path
}
proc connect_bd_net {args} {
    set sources [lmap pin $args {expr {[lindex [of pins $pin] 0] eq "O" ? $pin : [continue]}}]
    if {[llength $sources] != 1} { refuse "a net with [llength $sources] drivers: $args" }
    foreach pin $args {
        if {$pin in $sources} { continue }
        if {[info exists ::stub::driver($pin)]} { refuse "$pin has two drivers" }
        if {[lindex [of pins $pin] 1] ne [lindex [of pins $sources] 1]} { refuse "$sources and $pin differ in kind" }
        set ::stub::driver($pin) $sources
    }
    fact net $sources {*}[lsearch -all -inline -not -exact $args $sources]
}
proc connect_bd_intf_net {one other} {
    lassign [of intfs $one] mode kind
    lassign [of intfs $other] mode_other kind_other
    if {$kind ne $kind_other} { refuse "$one is $kind, $other $kind_other" }
    if {[lsort [list $mode $mode_other]] ne {master slave}} { refuse "$one and $other are both $mode" }
    foreach {pin to} [list $one $other $other $one] {
        if {[info exists ::stub::peer($pin)]} { refuse "$pin is connected already" }
        set ::stub::peer($pin) $to
    }
    fact intf {*}[expr {$mode eq "master" ? [list $one $other] : [list $other $one]}]
}
proc apply_bd_automation {args} {
    lassign [parse $args {-rule -config} {}] options cell
    if {![dict exists $::stub::cells $cell]} { refuse "no cell $cell" }
    fact do apply_bd_automation [dict get $options -rule] $cell
}

# --- addresses ------------------------------------------------------------------------------------------------------

proc get_bd_addr_spaces {path} {
    lassign [split $path /] cell space
    dict for {name one} [dict get $::stub::cells $cell intfs] {
        if {[lindex $one 2] eq $space} { return $path }
    }
    refuse "no address space $path"
}
# The interface of the cell that leads to a segment, `INTERFACE/SEGMENT` in its cell.
proc behind {segment} {
    lassign [split $segment /] cell group name
    dict for {intf one} [dict get $::stub::cells $cell intfs] {
        if {[lindex $one 0] eq "slave" && "$group/$name" in [lindex $one 3]} { return $cell/$intf }
    }
    refuse "no address segment $segment"
}
proc get_bd_addr_segs {path} { behind $path; return $path }
proc bytes {range} {
    if {![regexp {^(0x[0-9a-fA-F]+|\d+)([KMGTPE]?)$} $range - number unit]} { refuse "range $range" }
    return [expr {$number << 10 * [string first $unit " KMGTPE"] * ($unit ne "")}]
}
# The slaves outside of smartconnects that a master reaches.
proc reached {master} {
    if {![info exists ::stub::peer($master)]} { return {} }
    set to $::stub::peer($master)
    set cell [lindex [split $to /] 0]
    if {![dict exists $::stub::cells $cell connects]} { return [list $to] }
    set found {}
    dict for {name one} [dict get $::stub::cells $cell intfs] {
        if {[lindex $one 0] eq "master"} { lappend found {*}[reached $cell/$name] }
    }
    return $found
}
proc assign_bd_address {args} {
    lassign [parse $args {-offset -range -target_address_space} {}] options segment
    set size [bytes [dict get $options -range]]
    set offset [expr {[dict get $options -offset]}]
    if {$size & ($size - 1) || $offset % $size} { refuse "$segment at $offset is not aligned to $size bytes" }
    set space [dict get $options -target_address_space]
    lassign [split $space /] cell name
    dict for {intf one} [dict get $::stub::cells $cell intfs] {
        if {[lindex $one 2] eq $name && [behind $segment] in [reached $cell/$intf]} {
            lappend ::stub::addresses [list $space $segment]
            fact address $space $segment $offset $size
            return
        }
    }
    refuse "$space does not reach $segment"
}

# Whether a segment of the slave has an address in the space.
proc placed {space slave} {
    foreach one $::stub::addresses {
        if {[lindex $one 0] eq $space && [behind [lindex $one 1]] eq $slave} { return 1 }
    }
    return 0
}
proc validate_bd_design {} {
    dict for {cell content} $::stub::cells {
        dict for {name one} [dict get $content pins] {
            if {[lindex $one 0] ne "I" || [info exists ::stub::driver($cell/$name)]} { continue }
            refuse "$cell/$name has no driver"
        }
        dict for {name one} [dict get $content intfs] {
            if {![info exists ::stub::peer($cell/$name)]} { refuse "$cell/$name is not connected" }
            if {[lindex $one 0] ne "master" || [lindex $one 2] eq ""} { continue }
            foreach slave [reached $cell/$name] {
                if {![placed $cell/[lindex $one 2] $slave]} { refuse "$slave has no address" }
            }
        }
    }
    fact do validate_bd_design
}
proc save_bd_design {} { fact do save_bd_design }

# --- IP packager ----------------------------------------------------------------------------------------------------

namespace eval ipx {
    proc package_project {args} {
        set options [lindex [parse $args {-root_dir -vendor -library -taxonomy} {-import_files -force}] 0]
        fact do package_project [dict get $options -vendor] [dict get $options -library] [dict get $options -root_dir]
    }
    proc current_core {} { return core }
    proc get_user_parameters {name args} {
        if {$name ni $::stub::parameters} { refuse "the IP has no parameter $name" }
        return $name
    }
    foreach name {create_xgui_files update_checksums check_integrity save_core} {
        proc $name {core} "fact do $name"
    }
}

# --- constraints ----------------------------------------------------------------------------------------------------

proc get_ports {name} {
    if {$name ni $::stub::ports} { refuse "no port $name" }
    return $name
}
proc create_clock {args} {
    lassign [parse $args {-name -period} {}] options port
    fact clock [dict get $options -name] [dict get $options -period] $port
}
proc set_false_path {args} { fact false_path [dict get [lindex [parse $args {-from -to} {}] 0] -from] }

# --- the run --------------------------------------------------------------------------------------------------------

set argv [lassign $argv catalog_file script]
namespace eval stub { source $::catalog_file }
if {[catch {source $script} message]} {
    puts stderr $message
    exit 3
}
foreach one $stub::facts { puts [join $one "\t"] }
