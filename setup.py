"""Builds the one compiled module, vnetcard._core; everything else stands in pyproject.toml."""

import os
from pathlib import Path

from setuptools import Extension, setup

CFLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-fvisibility=hidden"]
CFLAGS.append("-DVNC_CHECKED_WINDOWS=1")  # the test windows check:
LDFLAGS = ["-pthread"]
# VNETCARD_SANITIZE=address,undefined or =thread builds the core with sanitizers (used by the tests).
if sanitize := os.environ.get("VNETCARD_SANITIZE"):
    CFLAGS += [f"-fsanitize={sanitize}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-O1"]
    LDFLAGS.append(f"-fsanitize={sanitize}")

setup(
    ext_modules=[
        Extension(
            "vnetcard._core",
            sources=sorted(str(p) for p in Path("vnetcard/_c").glob("*.c")),
            depends=sorted(str(p) for p in Path("vnetcard/_c").glob("*.h")),
            include_dirs=["vnetcard/_c"],
            extra_compile_args=CFLAGS,
            extra_link_args=LDFLAGS,
        )
    ]
)
