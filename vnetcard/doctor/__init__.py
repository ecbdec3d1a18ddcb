"""What ``vnetcard doctor`` knows: what this machine has for a link, what is in the way, and which stage is slow.

``system.py`` is the machine as seen through /sys, /dev and /proc, whose roots a test may replace.  ``software.py``,
``cards.py`` (over ``pci.py``), ``devices.py`` and ``memory.py`` look and judge, each finding with a verdict and a fix
(``verdict.py``); ``stages.py`` measures by the ``*_speed.py`` and names the slowest.
"""
