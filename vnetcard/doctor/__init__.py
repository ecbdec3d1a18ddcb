"""What ``vnetcard doctor`` finds: what this machine has for a link, what is in the way, and which stage is slow.

``survey.py`` collects the findings of ``software.py``, ``cards.py``, ``devices.py``, ``memory.py`` and ``wanted.py``,
each with a verdict, a code and a fix (``verdict.py``), from ``vnetcard.hw``; ``stages.py`` measures with the
``*_speed.py`` and names the slowest stage.
"""
