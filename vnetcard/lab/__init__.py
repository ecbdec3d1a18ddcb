"""Two computers on one machine: network namespaces, agents and a window, for demo, bench and tests."""
