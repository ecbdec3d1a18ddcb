# SPDX-License-Identifier: MIT
#
# Customization of vnc_dma in Vivado.  Made by `python -m vnetcard.hdl.vivado`; do not edit.

proc init_gui { IPINST } {
  ipgui::add_param $IPINST -name "Component_Name"
  set page [ipgui::add_page $IPINST -name "Page 0"]
  ipgui::add_param $IPINST -name "DataW" -parent $page -widget comboBox
  ipgui::add_param $IPINST -name "BurstBeats" -parent $page -widget comboBox
  ipgui::add_param $IPINST -name "ReadsMax" -parent $page -widget comboBox
}

proc update_PARAM_VALUE.DataW { PARAM_VALUE.DataW } {
}

proc validate_PARAM_VALUE.DataW { PARAM_VALUE.DataW } {
  return true
}

proc update_MODELPARAM_VALUE.DataW { MODELPARAM_VALUE.DataW PARAM_VALUE.DataW } {
  set_property value [get_property value ${PARAM_VALUE.DataW}] ${MODELPARAM_VALUE.DataW}
}

proc update_PARAM_VALUE.BurstBeats { PARAM_VALUE.BurstBeats } {
}

proc validate_PARAM_VALUE.BurstBeats { PARAM_VALUE.BurstBeats } {
  return true
}

proc update_MODELPARAM_VALUE.BurstBeats { MODELPARAM_VALUE.BurstBeats PARAM_VALUE.BurstBeats } {
  set_property value [get_property value ${PARAM_VALUE.BurstBeats}] ${MODELPARAM_VALUE.BurstBeats}
}

proc update_PARAM_VALUE.ReadsMax { PARAM_VALUE.ReadsMax } {
}

proc validate_PARAM_VALUE.ReadsMax { PARAM_VALUE.ReadsMax } {
  return true
}

proc update_MODELPARAM_VALUE.ReadsMax { MODELPARAM_VALUE.ReadsMax PARAM_VALUE.ReadsMax } {
  set_property value [get_property value ${PARAM_VALUE.ReadsMax}] ${MODELPARAM_VALUE.ReadsMax}
}
