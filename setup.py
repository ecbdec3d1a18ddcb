"""Builds the one compiled module, vnetcard._core; everything else is in pyproject.toml.

Environment, for the tests:

VNETCARD_CHECKED=1
    also builds checked memory (windows ``check:``, vnetcard/_c/vnc_checked.h), which a release does not contain.
VNETCARD_SANITIZE=address,undefined or =thread
    builds with sanitizers.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

CFLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-fvisibility=hidden"]
LDFLAGS = ["-pthread"]
sources = {str(path) for path in Path("vnetcard/_c").glob("*.c")}
if os.environ.get("VNETCARD_CHECKED") == "1":
    CFLAGS.append("-DVNC_CHECKED_WINDOWS=1")
else:
    sources.discard("vnetcard/_c/vnc_checked.c")  # a source archive does not contain it
if sanitize := os.environ.get("VNETCARD_SANITIZE"):
    CFLAGS += [f"-fsanitize={sanitize}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-O1"]
    LDFLAGS.append(f"-fsanitize={sanitize}")

setup(
    ext_modules=[
        Extension(
            "vnetcard._core",
            sources=sorted(sources),
            depends=sorted(str(p) for p in Path("vnetcard/_c").glob("*.h")),
            include_dirs=["vnetcard/_c"],
            extra_compile_args=CFLAGS,
            extra_link_args=LDFLAGS,
        )
    ]
)
