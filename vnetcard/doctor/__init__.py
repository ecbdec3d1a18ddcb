"""What ``vnetcard doctor`` knows: what this machine has for a link, what is in the way, and which stage is slow.

``system.py`` is the machine as seen through /sys, /dev and /proc, whose roots a test may replace; ``pci.py``,
``devices.py``, ``memory.py`` and ``software.py`` look and judge; ``stages.py`` and what it calls measure.
"""
