#!/usr/bin/env bash
# Writes requirements/*.txt again from pyproject.toml and requirements/build.in: versions with the hashes of all their
# files, for every Python and machine that the project supports.  Options are uv's: --upgrade takes the newest
# versions, --upgrade-package NAME that of one; without them the versions stay.
set -euo pipefail
unset CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ -x .cache/uv/bin/uv ]] || { python3 -m venv .cache/uv && .cache/uv/bin/pip -q install uv; }

compile() { # OUTPUT SOURCE...: the versions of test.txt count for the others, too
    .cache/uv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
        --no-emit-find-links --no-annotate --custom-compile-command 'scripts/requirements.sh' \
        --output-file "requirements/$1" "${@:2}"
}

compile test.txt pyproject.toml requirements/build.in --extra dev --extra docs --extra hdl --extra litex \
    --extra release --extra tools "$@"
for file in build.txt run.txt sim.txt; do
    sources=(requirements/build.in)
    [[ $file == build.txt ]] || sources+=(pyproject.toml)
    [[ $file != sim.txt ]] || sources+=(--extra sim)
    rm -f "requirements/$file"
    compile "$file" "${sources[@]}" --constraints requirements/test.txt
done
