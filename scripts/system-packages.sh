#!/usr/bin/env bash
# The one place that names system packages.
#
#   scripts/system-packages.sh run|sim|qemu|test|bench [--check]
#
# `run`: what a demo needs; `sim`: that and what the simulator is built with; `qemu`: `run` and what the ARM64 guest and
# the ARM64 wheel are made with; `test`: all that and what the tests need; `bench`: `run` and what the bench compares with.
# Looks for the commands and files themselves, so that it also holds where they came from elsewhere, and does
# nothing when all are there.
# Installs with apt-get as root or by passwordless sudo; otherwise, and with --check, says what to install.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ip and ethtool, out of a plain user's PATH

# command or file | Debian, Ubuntu | Fedora ("-": none known)
RUN='
ip                                      iproute2               iproute
ping                                    iputils-ping           iputils
gcc                                     gcc                    gcc
/usr/include/stdio.h                    libc6-dev              glibc-devel
make                                    make                   make
'
SIM='
g++                                     g++                    gcc-c++
perl                                    perl                   perl
/usr/include/lz4.h                      liblz4-dev             lz4-devel
'
QEMU='
qemu-system-aarch64                     qemu-system-arm        qemu-system-aarch64-core
aarch64-linux-gnu-gcc                   gcc-aarch64-linux-gnu  gcc-aarch64-linux-gnu
/usr/aarch64-linux-gnu/include/stdio.h  libc6-dev-arm64-cross  -
dpkg-deb                                dpkg                   dpkg
apt-get                                 apt                    apt
'
TEST='
clang                                   clang                  clang
iperf3                                  iperf3                 iperf3
tcpdump                                 tcpdump                tcpdump
tshark                                  tshark                 wireshark-cli
tmux                                    tmux                   tmux
zsh                                     zsh                    zsh
groff                                   groff-base             groff-base
chromium                                chromium               chromium
ethtool                                 ethtool                ethtool
sshd                                    openssh-server         openssh-server
ssh                                     openssh-client         openssh-clients
spin                                    spin                   -
systemd-analyze                         systemd                systemd
systemd-sysusers                        systemd                systemd
qemu-aarch64-static                     qemu-user-static       qemu-user-static
'
BENCH='
iperf3                                  iperf3                 iperf3
socat                                   socat                  socat
openvpn                                 openvpn                openvpn
openssl                                 openssl                openssl
dpdk-testpmd                            dpdk                   dpdk
/usr/include/dpdk/rte_ring.h            libdpdk-dev            dpdk-devel
pkg-config                              pkg-config             pkgconf-pkg-config
'

usage() {
    echo "usage: scripts/system-packages.sh run|sim|qemu|test|bench [--check]" >&2
    exit 2
}

case ${1-} in
    run) wanted=$RUN ;;
    sim) wanted=$RUN$SIM ;;
    qemu) wanted=$RUN$QEMU ;;
    test) wanted=$RUN$SIM$QEMU$TEST ;;
    bench) wanted=$RUN$BENCH ;;
    *) usage ;;
esac
check=${2-}
[[ $# -le 2 && ($check == "" || $check == --check) ]] || usage

say() { echo "system packages: $*"; }

# True when the venv's own Python has its headers; read from pyvenv.cfg because starting Pythons to ask is slow.
venv_python_complete() {
    local key value home="" version=""
    [[ -r ${VENV:-.venv}/pyvenv.cfg ]] || return 1
    while IFS=' =' read -r key value; do
        case $key in
            home) home=$value ;;
            version) version=${value%.*} ;;
        esac
    done <"${VENV:-.venv}/pyvenv.cfg"
    [[ -x $home/python$version && -e ${home%/bin}/include/python$version/Python.h ]]
}

look_for_python() {
    local version
    venv_python_complete && return
    if ! version=$(scripts/venv.sh python-lacks 2>/dev/null); then
        version=3
        type -P python3 >/dev/null && version=3.11 # the distribution's default is too old
    fi
    [[ -z $version ]] && return
    apt+=("python$version" "python$version-dev" "python$version-venv")
    dnf+=("python$version" "python$version-devel")
    missing+=("python$version with headers and venv")
}

look() {
    missing=() apt=() dnf=()
    local probe deb rpm
    while read -r probe deb rpm; do
        [[ -z $probe || -e $probe ]] && continue
        [[ $probe != /* ]] && type -P "$probe" >/dev/null && continue
        missing+=("$probe")
        apt+=("$deb")
        [[ $rpm == - ]] || dnf+=("$rpm")
    done <<<"$wanted"
    look_for_python
}

look
((${#missing[@]})) || exit 0

ask() {
    {
        say "missing: ${missing[*]}"
        echo "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends ${apt[*]}"
        echo "  Fedora:          sudo dnf install ${dnf[*]}"
    } >&2
    exit 1
}

[[ -z $check ]] || ask
type -P apt-get >/dev/null || ask
sudo=()
if ((EUID != 0)); then
    sudo -n true 2>/dev/null || ask
    sudo=(sudo -n)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null >>"$log" 2>&1; }
install() { apt install --no-install-recommends "${apt[@]}"; }
update() {
    say "updating the package lists"
    apt update || true # one unreachable source of several need not matter; the install will tell
}

updated=""
if ! compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null; then # a fresh container has no lists
    update
    updated=1
fi
say "installing ${apt[*]}"
if ! install; then
    [[ -n $updated ]] || update # old lists name files that are gone
    say "once more"
    if ! install; then
        tail -n 20 "$log" >&2
        ask
    fi
fi
look
((${#missing[@]} == 0)) || ask
