"""Seeing inside: what ``vnetcard show``, ``top``, ``metrics`` and ``report`` make of what the agents count.

``collect.py`` is the agents' part; the rest works on what they answer, and never touches a window.
"""
