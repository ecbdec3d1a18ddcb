"""``openvpn``: a well-known VPN: TLS with its default cipher, in user space, over a veth pair between the two."""

from __future__ import annotations

import subprocess

from vnetcard.bench.contenders.namespaces import ADDRESSES, NamespaceContender
from vnetcard.bench.validity import Invalid
from vnetcard.lab.lab import ip, run_in

WIRE = ("192.168.77.1", "192.168.77.2")
WIRE_MTU = 65535
"""The MTU of the veth pair: no encrypted packet needs fragments."""
TLS = (("--tls-server", "--dh", "none"), ("--tls-client",))


class OpenvpnContender(NamespaceContender):
    """See ``vnetcard.bench.contenders.Contender``."""

    def __init__(self) -> None:
        super().__init__("openvpn")

    def prepare(self) -> None:
        super().prepare()
        here, there = self.namespaces
        ip("-n", here, "link", "add", "wire0", "type", "veth", "peer", "name", "wire0", "netns", there)
        for namespace, address in zip(self.namespaces, WIRE, strict=True):
            ip("-n", namespace, "link", "set", "wire0", "mtu", str(WIRE_MTU), "up")
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", "wire0")
        self._prints = [self._certificate(side) for side in (0, 1)]

    def start(self, *, mtu: int) -> None:
        for side in (0, 1):
            self._namespaces.run(run_in(self.namespaces[side], self._command(side, mtu)))
        for side, name in enumerate(self.interfaces):
            self._namespaces.await_interface(side, name)

    def _command(self, side: int, mtu: int) -> list[str]:
        certificate = [f"--{what}={self._namespaces.folder / f'{side}.{what}'}" for what in ("cert", "key")]
        return [
            *("openvpn", "--dev", self.interfaces[side], "--dev-type", "tun", "--disable-dco"),
            *("--topology", "p2p", "--ifconfig", ADDRESSES[side], ADDRESSES[1 - side], "--tun-mtu", str(mtu)),
            *("--proto", "udp", "--local", WIRE[side], "--remote", WIRE[1 - side], "--mssfix", "0"),
            *TLS[side],
            *(word for option in certificate for word in option.split("=", 1)),
            *("--peer-fingerprint", self._prints[1 - side]),
        ]

    def _certificate(self, side: int) -> str:
        """Create this side's key and certificate; returns the fingerprint."""
        key, certificate = (str(self._namespaces.folder / f"{side}.{what}") for what in ("key", "cert"))
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _output([*new, "-days", "2", "-subj", f"/CN=vnetcard-bench-{side}", "-keyout", key, "-out", certificate])
        return _output(["openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", certificate]).partition("=")[2]


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Invalid(f"{command[0]} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return done.stdout.strip()
