"""What the machine has: PCI functions, UIO, VFIO, u-dma-buf and XDMA devices, as sysfs and /dev show them."""
