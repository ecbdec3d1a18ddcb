"""``make matrix``: the quick tests on other Pythons and Debian releases, and links of guests with other kernels."""
