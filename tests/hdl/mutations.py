"""The bugs that ``test_mutations.py`` seeds into the RTL, one at a time.

Each names a text that occurs in the RTL exactly once, its replacement, the consequence, and the cases that are
expected to detect it.  A text that no longer occurs is an error: change the mutation with the RTL.
"""

from __future__ import annotations

from tests.hdl.mutations_control import CONTROL, SIDE, TIMELY
from tests.hdl.mutations_data import ERRORS, MOVING, PORTS
from tests.hdl.mutations_decoupler import CARD, DECOUPLER, ISOLATION
from tests.hdl.mutations_order import ORDER

MUTATIONS = (*MOVING, *PORTS, *ERRORS, *CONTROL, *SIDE, *TIMELY, *ORDER, *DECOUPLER, *ISOLATION, *CARD)
