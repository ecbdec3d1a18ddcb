"""The card as a PCI function of a virtual machine: a vfio-user server in front of the simulated engine."""
