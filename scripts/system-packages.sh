#!/usr/bin/env bash
# The one place that names system packages.
#
#   scripts/system-packages.sh run|sim|stack|qemu|test|matrix|bench [--check]
#   scripts/system-packages.sh where PACKAGE    (of Debian)
#
# `run`: what a demo needs; `sim`: `run` and what the simulator is built with; `stack`: `run` and lwIP;
# `qemu`: `run` and what the guests and the ARM64 wheel are built with; `test`: all that and what the tests need;
# `matrix`: `test` and what makes the root of another Debian release; `bench`: `run`, iperf3 and, where they can be
# installed, the programs that vnetcard is compared with.
# Checks for the commands and files themselves, whatever package they came from, and does nothing when all exist.
# `where` prints the place at which the command or file of PACKAGE was found; status 1 without one.
# Installs with apt-get as root or by passwordless sudo; otherwise, and with --check, prints what to install and fails.
set -euo pipefail
unset CDPATH # with it, cd goes elsewhere, and prints where
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ip and ethtool, out of a plain user's PATH

# command, file or pattern (a|b: where it is in one release or another), Debian and Ubuntu, Fedora ("-": none known);
# several packages are separated by commas
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
STACK='
/usr/include/lwip/lwip/netif.h          liblwip-dev            -
'
QEMU='
qemu-system-aarch64                     qemu-system-arm        qemu-system-aarch64-core
qemu-system-x86_64                      qemu-system-x86        qemu-system-x86-core
aarch64-linux-gnu-gcc                   gcc-aarch64-linux-gnu  gcc-aarch64-linux-gnu
/usr/aarch64-linux-gnu/include/stdio.h  libc6-dev-arm64-cross  -
dpkg-deb                                dpkg                   dpkg
apt-get                                 apt                    apt
'
TEST='
clang                                   clang                  clang
ld.lld                                  lld                    lld
/usr/lib/clang/*/lib/*/libclang_rt.fuzzer* libclang-rt-dev     compiler-rt
iperf3                                  iperf3                 iperf3
tcpdump                                 tcpdump                tcpdump
tshark                                  tshark                 wireshark-cli
tmux                                    tmux                   tmux
zsh                                     zsh                    zsh
groff                                   groff-base             groff-base
chromium                                chromium               chromium
ethtool                                 ethtool                ethtool
dtc                                     device-tree-compiler   dtc
tclsh                                   tcl                    tcl
/usr/include/*/sys/sdt.h                systemtap-sdt-dev      systemtap-sdt-devel
readelf                                 binutils               binutils
sshd                                    openssh-server         openssh-server
ssh                                     openssh-client         openssh-clients
spin                                    spin                   -
systemd-analyze                         systemd                systemd
systemd-sysusers                        systemd                systemd
qemu-aarch64-static                     qemu-user-static       qemu-user-static
qemu-riscv32-static                     qemu-user-static       qemu-user-static
qemu-arm-static                         qemu-user-static       qemu-user-static
riscv64-unknown-elf-gcc                 gcc-riscv64-unknown-elf -
/usr/lib/picolibc/riscv64-*-elf/include/picolibc.h|/usr/riscv64-*-elf/include/picolibc.h picolibc-riscv64-unknown-elf -
dnsmasq                                 dnsmasq-base           dnsmasq
udhcpc                                  udhcpc                 busybox
curl                                    curl                   curl
nft                                     nftables               nftables
sysctl                                  procps                 procps-ng
strace                                  strace                 strace
wg                                      wireguard-tools        wireguard-tools
wireguard-go                            wireguard-go           -
dpdk-testpmd                            dpdk,dpdk-dev          dpdk
perf                                    linux-perf             perf
'
MATRIX='
debootstrap                             debootstrap            debootstrap
unshare                                 util-linux             util-linux
git                                     git                    git
'
BENCH='
iperf3                                  iperf3                 iperf3
'
# The bench skips a contender that is not installed; --profile needs perf.
# dpdk-testpmd is in dpdk-dev in Debian 12 and in dpdk elsewhere.
CONTENDERS='
socat                                   socat                  socat
openvpn                                 openvpn                openvpn
openssl                                 openssl                openssl
dpdk-testpmd                            dpdk,dpdk-dev          dpdk
perf                                    linux-perf             perf
/usr/include/dpdk/rte_ring.h            libdpdk-dev            dpdk-devel
pkg-config                              pkg-config             pkgconf-pkg-config
'

usage() {
    echo "usage: scripts/system-packages.sh run|sim|stack|qemu|test|matrix|bench [--check], or where PACKAGE" >&2
    exit 2
}

# Prints where the command, file or pattern $1 is found; false if it is not.
find_place() {
    local place places
    IFS='|' read -ra places <<<"$1"
    for place in "${places[@]}"; do
        if [[ $place == /* ]]; then compgen -G "$place"; else type -P "$place"; fi && return
    done
    return 1
}

if [[ ${1-} == where ]]; then
    [[ $# -eq 2 ]] || usage
    while read -r probe deb rpm; do
        [[ ,$deb, != *,"$2",* ]] || { find_place "$probe" && exit; }
    done <<<"$RUN$SIM$STACK$QEMU$TEST$MATRIX$BENCH$CONTENDERS"
    exit 1
fi

optional=""
case ${1-} in
    run) wanted=$RUN ;;
    sim) wanted=$RUN$SIM ;;
    stack) wanted=$RUN$STACK ;;
    qemu) wanted=$RUN$QEMU ;;
    test) wanted=$RUN$SIM$STACK$QEMU$TEST ;;
    matrix) wanted=$RUN$SIM$STACK$QEMU$TEST$MATRIX ;;
    bench) wanted=$RUN$BENCH optional=$CONTENDERS ;;
    *) usage ;;
esac
check=${2-}
[[ $# -le 2 && ($check == "" || $check == --check) ]] || usage

say() { echo "system packages: $*"; }

# True when the venv's own Python has its headers; read from pyvenv.cfg because starting each Python is slow.
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

find_python() {
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

# Sets missing, apt and dnf: what of the table $1 is not installed, and the packages that hold it.
find_missing() {
    missing=() apt=() dnf=()
    local probe deb rpm
    while read -r probe deb rpm; do
        [[ -z $probe ]] || find_place "$probe" >/dev/null && continue
        missing+=("$probe")
        apt+=(${deb//,/ })
        [[ $rpm == - ]] || dnf+=("$rpm")
    done <<<"$1"
}

find_required() {
    find_missing "$wanted"
    find_python
}

print_missing() {
    say "missing: ${missing[*]}"
    echo "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends ${apt[*]}"
    echo "  Fedora:          sudo dnf install ${dnf[*]}"
} >&2

fail() {
    print_missing
    exit 1
}

# Sets sudo; false where this user cannot install packages.
can_install() {
    sudo=()
    type -P apt-get >/dev/null || return
    ((EUID == 0)) && return
    sudo=(sudo -n)
    sudo -n true 2>/dev/null
}

apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null >>"$log" 2>&1; }
install() { apt install --no-install-recommends "$@"; }
updated=""
update() {
    [[ -z $updated ]] || return 0
    say "updating the package lists"
    apt update || true # one unreachable source of several may not matter: the installation shows it
    updated=1
}

find_required
required=("${missing[@]}")
find_missing "$optional"
((${#required[@]} + ${#missing[@]})) || exit 0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

if ((${#required[@]})); then
    find_required
    [[ -z $check ]] && can_install || fail
    compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || update # a fresh container has no lists
    say "installing ${apt[*]}"
    if ! install "${apt[@]}"; then
        update # old lists name files that no longer exist
        say "installing again"
        if ! install "${apt[@]}"; then
            tail -n 20 "$log" >&2
            fail
        fi
    fi
    find_required
    ((${#missing[@]} == 0)) || fail
fi

find_missing "$optional"
((${#missing[@]})) || exit 0
if [[ -z $check ]] && can_install; then
    compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null || update
    for package in "${apt[@]}"; do # one by one: a release that lacks one has the others
        say "installing $package"
        install "$package" || { update && install "$package"; } || say "cannot install $package"
    done
    find_missing "$optional"
    ((${#missing[@]})) || exit 0
fi
print_missing
say "the bench leaves them out"
