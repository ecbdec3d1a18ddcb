"""The bugs that ``test_mutations.py`` seeds into the RTL, one at a time.

Each is a text that is in the RTL exactly once, what becomes of it, what breaks, and the cases that are expected
to see it first.  A text that is gone is an error: the mutation must follow the RTL.
"""

from __future__ import annotations

from tests.hdl.mutations_control import CONTROL, SIDE, TIMELY
from tests.hdl.mutations_data import ERRORS, MOVING, PORTS

MUTATIONS = (*MOVING, *PORTS, *ERRORS, *CONTROL, *SIDE, *TIMELY)
