"""Taps: events that the pumps write for each packet, and their readers, ``trace`` and ``capture``."""
