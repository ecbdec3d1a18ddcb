"""A real ARM64 computer with a real PCI BAR and no hardware: the guest that stands for the card in QEMU."""
