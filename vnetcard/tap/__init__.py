"""Taps: what a pump does with each packet, written down for whoever looks, and read by ``trace`` and ``capture``."""
