"""``vnetcard bench``: vnetcard beside other software that joins two network namespaces, on one machine in one run.

``contenders/`` has one contender per file, ``load/`` one kind of load per file, each behind a Protocol and a table.
``runner.py`` alternates the contenders, ``figures.py`` computes medians and ratios, ``targets.py`` judges them.
"""
