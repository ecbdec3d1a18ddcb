#!/usr/bin/env bash
# Creates or updates the virtual environment: .venv in the checkout, or $VENV.
#
#   scripts/venv.sh demo          the package (editable) and its run-time requirements
#   scripts/venv.sh sim           and what the simulator is built with
#   scripts/venv.sh test          and the tools of the tests, those of `make docs` among them
#   scripts/venv.sh python        print the Python that would be used
#   scripts/venv.sh python-lacks  its version when its headers or venv are missing, else nothing
#
# pip installs the versions of requirements/*.txt (scripts/requirements.sh writes them) and checks their hashes.
# It installs and builds the C core again only when one of their inputs has changed.
# VNETCARD_PYTHON names the Python to use, instead of the newest that is found.
set -euo pipefail
unset CDPATH # with it, cd goes elsewhere, and prints where
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export PIP_DISABLE_PIP_VERSION_CHECK=1
# What a user's shell or pip.conf may say would install elsewhere, or load another package of that name.
export PIP_USER=0
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN PYTHONPATH PYTHONHOME

say() { echo "venv: $*"; }
die() {
    echo "venv: $*" >&2
    exit 1
}

# Prints "complete|lacking <version> <path>"; fails below 3.11.  The path is that of the base installation, since
# a wrapper may go away, and an activated venv may be the one that is to be built again.
PROBE='
import importlib.util, os, sys, sysconfig
if sys.version_info < (3, 11): sys.exit(1)
version = "%d.%d" % sys.version_info[:2]
headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
base = os.path.join(sys.base_prefix, "bin", "python" + version)
print("complete" if headers and importlib.util.find_spec("ensurepip") else "lacking",
      version, base if os.path.exists(base) else sys.executable)
'

# Sets state, version and python: the first complete Python, else the first new enough.
find_python() {
    local name found
    python=""
    for name in "${names[@]}"; do
        found=$("$name" -I -c "$PROBE" 2>/dev/null) || continue
        [[ -z $python || $found == complete* ]] && read -r state version python <<<"$found"
        [[ $state == complete ]] && return
    done
    [[ -n $python ]]
}

names=(python3.14 python3.13 python3.12 python3.11 python3)
[[ -z ${VNETCARD_PYTHON-} ]] || names=("$VNETCARD_PYTHON")
no_python="no Python 3.11 or newer found (tried $(printf '%s, ' "${names[@]}" | sed 's/, $//'))"
case ${1-} in
    demo | sim | test) mode=$1 ;;
    python)
        find_python || die "$no_python"
        echo "$python"
        exit
        ;;
    python-lacks)
        find_python || die "$no_python"
        [[ $state == complete ]] || echo "$version"
        exit
        ;;
    *)
        echo "usage: scripts/venv.sh demo|sim|test|python|python-lacks" >&2
        exit 2
        ;;
esac

venv=$(realpath -m "${VENV:-.venv}")
# First line: where this venv was made, and for which checkout; then the inputs last installed, and the mode.
stamp=$venv/.vnetcard-stamp
made_for="$venv for $root"

# The tests need checked memory, which setup.py builds only on request.
[[ $mode != test ]] || export VNETCARD_CHECKED=1

# The hash of what an installation of mode $1 is made of.
inputs() {
    shopt -s nullglob
    # Variables that setup.py and setuptools read: other values make another core.
    local checked=${VNETCARD_CHECKED-}
    [[ $1 != test ]] || checked=1
    {
        sha256sum pyproject.toml setup.py requirements/*.txt vnetcard/_c/*.[ch]
        echo "${VNETCARD_SANITIZE-}|$checked|${CC-}|${CFLAGS-}|${CPPFLAGS-}|${LDFLAGS-}|${LDSHARED-}"
    } | sha256sum | cut -d' ' -f1
}

# Runs in / so that the installation is imported and not the current directory.
core_loads() {
    local how='import vnetcard._core'
    # A core with sanitizers loads only into a process that preloads them: check only that it exists.
    [[ -z ${VNETCARD_SANITIZE-} ]] || how='import importlib.util as u; assert u.find_spec("vnetcard._core")'
    (cd / && "$venv/bin/python" -c "$how" 2>/dev/null)
}

key=$(inputs "$mode")
old_made="" old_key="" old_mode=""
if [[ -r $stamp ]]; then
    { read -r old_made && read -r old_key old_mode; } <"$stamp" || true # one line after a failed installation
fi

usable() { [[ $old_made == "$made_for" ]] && "$venv/bin/python" -c '' 2>/dev/null; }

if usable; then
    # What the tests need includes what the others need, and all include what a demo needs.
    if [[ $old_key == "$(inputs "$old_mode")" && ($old_mode == "$mode" || $old_mode == test || $mode == demo) ]] &&
        core_loads; then
        exit 0
    fi
else
    # Incomplete, moved, or its Python is gone.  Clear only a folder that is evidently a venv or ours.
    if [[ -d $venv && ! -e $venv/pyvenv.cfg && $venv != "$root/.venv" && -n $(ls -A "$venv") ]]; then
        die "$venv is not a virtual environment; refusing to clear it"
    fi
    find_python || die "$no_python"
    say "creating ${VENV:-.venv} with Python $version"
    "$python" -m venv --clear "$venv" || die "cannot create it; try scripts/system-packages.sh run"
    echo "$made_for" >"$stamp"
fi

# -qq still shows errors, including those of the compiler.  A build is not isolated: it uses what is installed, and
# downloads nothing.
pip() { "$venv/bin/python" -m pip -qq install --no-build-isolation "$@"; }

say "installing for $mode, building the C core"
echo "$made_for" >"$stamp" # incomplete until the end: after a failure the next run installs again
suffix=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
rm -f "vnetcard/_core$suffix" # removed, not overwritten: a running agent has it mapped
file=run
[[ $mode == demo ]] || file=$mode
{ pip --require-hashes -r requirements/build.txt && pip --require-hashes -r "requirements/$file.txt" &&
    pip --no-deps -e .; } ||
    die "installation failed; is something missing? scripts/system-packages.sh run --check"
core_loads || die "vnetcard._core was built but does not load: $venv/bin/python -c 'import vnetcard._core'"
printf '%s\n%s %s\n' "$made_for" "$key" "$mode" >"$stamp"
