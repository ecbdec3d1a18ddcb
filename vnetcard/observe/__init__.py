"""Snapshots of a link and what follows from them: the basis of ``vnetcard show``, ``top``, ``metrics``, ``report``.

The agents answer with their counters (``vnetcard/agent/collect.py``); everything here works on these answers.
"""
