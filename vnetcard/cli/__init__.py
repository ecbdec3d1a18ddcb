"""The ``vnetcard`` command: ``main.py``, and one file a command."""
