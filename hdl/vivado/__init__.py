"""The engine for Vivado: a Verilog wrapper with interface attributes, and a script that packages it as IP."""
