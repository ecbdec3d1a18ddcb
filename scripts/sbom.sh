#!/usr/bin/env bash
# Writes the bill of materials of the package to the file that is given (CycloneDX 1.6, JSON): the package, its build
# requirement and the Python packages that it needs at run time, with the versions and hashes of requirements/run.txt.
# The C core links the C library of the machine and nothing else.
set -euo pipefail
unset CDPATH
output=$(realpath -m -- "${1:?usage: scripts/sbom.sh FILE}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${VENV:-.venv}/bin
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
version=$("$bin/python" -c 'import vnetcard; print(vnetcard.__version__)')
sed "s/^dynamic = \\[\"version\"\\]/version = \"$version\"/" pyproject.toml >"$folder/pyproject.toml"
PYTHONWARNINGS=ignore "$bin/cyclonedx-py" requirements requirements/run.txt --pyproject "$folder/pyproject.toml" \
    --mc-type library --spec-version 1.6 --output-reproducible --validate --output-file "$output"
