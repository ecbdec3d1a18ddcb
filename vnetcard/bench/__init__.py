"""``vnetcard bench``: vnetcard beside other ways to join two network namespaces, on this machine and in one run.

``peer/`` has one way a file, ``load/`` one kind of load a file; both behind a small Protocol and a table.
``runner.py`` lets them alternate, ``figures.py`` makes medians and ratios of what was seen, ``targets.py`` judges them.
"""
