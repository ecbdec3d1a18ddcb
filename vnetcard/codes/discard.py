"""Codes of discards: the kernel's own counters of packets that it discarded beside the link.

The code is the counter's name, as for drops: the same in ``status``, ``show errors``, ``--json`` and, between
``vnetcard_`` and ``_total``, in the metrics.
"""

from __future__ import annotations

from vnetcard.codes.cause import CauseCode
from vnetcard.codes.code import Code


class DiscardCode(Code):
    """``source``: the kernel's counter, or a sum of some less others, written with ``+`` and ``-``.

    ``link.NAME`` (``ip -s link``), ``qdisc.NAME`` (``tc -s qdisc``) and ``inet6.NAME`` (/proc/net/dev_snmp6) count for
    one interface, ``packet.NAME`` (PACKET_STATISTICS, packet(7)) for a port's sockets, all others (/proc/net/snmp,
    netstat, snmp6) for the interface's whole network namespace.  ``neighbours.NAME`` is no kernel's: a port counts it.
    ``causes``: which causes ``show errors`` may conclude from the counter.
    """

    source: str
    causes: tuple[CauseCode, ...]

    def __new__(cls, value: str, source: str, meaning: str, remedy: str, *causes: CauseCode) -> DiscardCode:
        code = str.__new__(cls, value)
        code._value_ = value
        code.source = source
        code.meaning = meaning
        code.remedy = remedy
        code.causes = causes
        return code

    @property
    def of_interface(self) -> bool:
        """Does it count for the link's interface alone?"""
        return self.source.startswith(("link.", "qdisc.", "inet6.", "packet.", "neighbours."))

    @property
    def towards_link(self) -> bool:
        """Does it count packets that were to enter the link, or answers of this machine?"""
        return self.value.startswith("kernel_tx_") or "_out_" in self.value or self.value.endswith("_unanswered")

    @property
    def version(self) -> int:
        """The version of IP that it counts; 4 for those that count both."""
        return 6 if "6_" in self.value else 4

    @property
    def is_packet(self) -> bool:
        """Does it count packets, not messages about them?"""
        return not self.value.endswith("_unreachable")

    # The interface, towards the link
    TX_DROPPED = (
        "kernel_tx_dropped",
        "link.tx_dropped",
        "Packets for the link that found the interface's queue full; a super-packet counts once.",
        "Send more slowly, or use TCP; `ip link set NAME txqueuelen N` takes longer bursts.",
        CauseCode.INTERFACE_QUEUE_FULL,
    )
    TX_QUEUE_DROPPED = (
        "kernel_tx_qdisc_dropped",
        "qdisc.drops",
        "Packets for the link that the interface's queueing discipline dropped; a super-packet counts once.",
        "Send more slowly, or use TCP; `tc -s qdisc show dev NAME` says which discipline it is.",
        CauseCode.INTERFACE_QUEUE_FULL,
    )
    TX_PACKET_SOCKET = (
        "kernel_tx_socket_dropped",
        "packet.drops",
        "Frames of the interface of a `packet:` port that found the buffer of the agent's packet socket full.",
        "Send more slowly, or use TCP; an agent with CAP_NET_ADMIN has buffers of 4 MiB.",
        CauseCode.INTERFACE_QUEUE_FULL,
    )
    TX_ERRORS = ("kernel_tx_errors", "link.tx_errors", "Packets that the interface could not send.", "See `dmesg`.")
    # The interface, from the link
    RX_DROPPED = (
        "kernel_rx_dropped",
        "link.rx_dropped",
        "Packets from the link that the kernel discarded at the interface, before it read their addresses.",
        "See `drop_port_refused`, which counts those that it refused from the agent.",
    )
    RX_ERRORS = (
        "kernel_rx_errors",
        "link.rx_errors",
        "Packets from the link that the interface took for damaged.",
        "See `drop_port_refused`, and `dmesg`.",
    )
    # An Ethernet behind a port of IP packets
    PORT_UNRESOLVED = (
        "port_ip_unresolved",
        "neighbours.unresolved4",
        "IPv4 packets from the link that a `packet:IF?frames=ip` port did not send: no machine answers ARP for the "
        "next hop, or more waited for the answer than the port keeps.",
        "Check that machine and its address, and the `address=` and `gateway=` of the port.",
        CauseCode.NEIGHBOUR_FAILED,
    )
    PORT6_UNRESOLVED = (
        "port_ip6_unresolved",
        "neighbours.unresolved6",
        "IPv6 packets from the link that a `packet:IF?frames=ip` port did not send: no machine answers neighbour "
        "discovery for the next hop, or more waited for the answer than the port keeps.",
        "Check that machine and its address, and the `address=` and `gateway=` of the port.",
        CauseCode.NEIGHBOUR_FAILED,
    )
    # IPv6 over the interface
    IP6_IN_HDR_ERRORS = (
        "kernel_ip6_in_hdr_errors",
        "inet6.InHdrErrors",
        "IPv6 packets from the link with an impossible header, or no hops left.",
        "Capture them: `vnetcard capture --tap port ip6`.",
    )
    IP6_IN_ADDR_ERRORS = (
        "kernel_ip6_in_addr_errors",
        "inet6.InAddrErrors",
        "IPv6 packets from the link for an address that this machine neither has nor forwards to.",
        "Send to an address of the interface, or switch forwarding on.",
        CauseCode.FOREIGN_ADDRESS,
        CauseCode.NOT_FORWARDING,
    )
    IP6_IN_NO_ROUTES = (
        "kernel_ip6_in_no_routes",
        "inet6.InNoRoutes",
        "IPv6 packets from the link for an address to which there is no route.",
        "Correct the address, or add the route.",
        CauseCode.FOREIGN_ADDRESS,
    )
    IP6_IN_DISCARDS = (
        "kernel_ip6_in_discards",
        "inet6.InDiscards",
        "IPv6 packets from the link that were discarded for want of memory, or while forwarding.",
        "Check the machine's memory, and the MTU of the interface by which they leave.",
    )
    IP6_IN_TRUNCATED = (
        "kernel_ip6_in_truncated",
        "inet6.InTruncatedPkts",
        "IPv6 packets from the link that are shorter than their header says.",
        "Capture them: `vnetcard capture --tap port ip6`.",
    )
    IP6_OUT_DISCARDS = (
        "kernel_ip6_out_discards",
        "inet6.OutDiscards",
        "IPv6 packets for the link that were discarded before they reached the interface, or by its queue.",
        "Check the firewall's output rules; those dropped by the queue are counted there too.",
    )
    IP6_REASM_FAILS = (
        "kernel_ip6_reasm_fails",
        "inet6.ReasmFails",
        "Failures to put IPv6 fragments from the link together: some of them were lost, or memory was short.",
        "Send packets that fit the MTU, or raise `net.ipv6.ip6frag_high_thresh`.",
    )
    # IPv4, of all interfaces
    IP_IN_HDR_ERRORS = (
        "kernel_ip_in_hdr_errors",
        "Ip.InHdrErrors",
        "IPv4 packets with an impossible header, a wrong checksum of it, or no hops left.",
        "Capture them: `vnetcard capture --tap port ip`.",
    )
    IP_IN_ADDR_ERRORS = (
        "kernel_ip_in_addr_errors",
        "Ip.InAddrErrors",
        "IPv4 packets for an address that this machine neither has nor forwards to.",
        "Send to an address of the interface, or switch forwarding on.",
        CauseCode.FOREIGN_ADDRESS,
        CauseCode.NOT_FORWARDING,
    )
    IP_IN_NO_ROUTES = (
        "kernel_ip_in_no_routes",
        "IpExt.InNoRoutes",
        "IPv4 packets for an address to which there is no route.",
        "Correct the address, or add the route.",
        CauseCode.FOREIGN_ADDRESS,
    )
    IP_REVERSE_PATH_FILTER = (
        "kernel_ip_reverse_path_filter",
        "TcpExt.IPReversePathFilter",
        "IPv4 packets whose source the reverse path filter expects on another interface, or on none.",
        "Add a route to the source, or `sysctl net.ipv4.conf.NAME.rp_filter=0`.",
        CauseCode.REVERSE_PATH_FILTER,
        CauseCode.NO_ROUTE_BACK,
    )
    IP_IN_DISCARDS = (
        "kernel_ip_in_discards",
        "Ip.InDiscards",
        "IPv4 packets that were discarded for want of memory, or by a rule.",
        "Check the machine's memory and its firewall.",
    )
    IP_IN_TRUNCATED = (
        "kernel_ip_in_truncated",
        "IpExt.InTruncatedPkts",
        "IPv4 packets that are shorter than their header says.",
        "Capture them: `vnetcard capture --tap port ip`.",
    )
    IP_OUT_DISCARDS = (
        "kernel_ip_out_discards",
        "Ip.OutDiscards",
        "IPv4 packets that were discarded before they reached an interface, or by its queue.",
        "Check the firewall's output rules; those dropped by the queue are counted there too.",
    )
    IP_OUT_NO_ROUTES = (
        "kernel_ip_out_no_routes",
        "Ip.OutNoRoutes",
        "IPv4 packets of this machine, such as answers, for which there was no route.",
        "Add the route.",
        CauseCode.NO_ROUTE_BACK,
    )
    IP6_OUT_NO_ROUTES = (
        "kernel_ip6_out_no_routes",
        "Ip6OutNoRoutes",
        "IPv6 packets of this machine, such as answers, for which there was no route.",
        "Add the route.",
        CauseCode.NO_ROUTE_BACK,
    )
    IP_REASM_FAILS = (
        "kernel_ip_reasm_fails",
        "Ip.ReasmFails",
        "Failures to put IPv4 fragments together: some of them were lost, or memory was short.",
        "Send packets that fit the MTU, or raise `net.ipv4.ipfrag_high_thresh`.",
    )
    # ICMP, of all interfaces
    ICMP_UNANSWERED = (
        "kernel_icmp_unanswered",
        "Icmp.InEchos-Icmp.OutEchoReps",
        "IPv4 pings that got no answer: there was no route back, or a setting forbids answers.",
        "Add the route; see `sysctl net.ipv4.icmp_echo_ignore_all`.",
        CauseCode.NO_ROUTE_BACK,
    )
    ICMP6_UNANSWERED = (
        "kernel_icmp6_unanswered",
        "Icmp6InEchos-Icmp6OutEchoReplies",
        "IPv6 pings that got no answer: there was no route back, or a setting forbids answers.",
        "Add the route; see `sysctl net.ipv6.icmp.echo_ignore_all`.",
        CauseCode.NO_ROUTE_BACK,
    )
    ICMP_UNREACHABLE = (
        "kernel_icmp_unreachable",
        "Icmp.OutDestUnreachs",
        "Messages of this machine that an IPv4 packet could not be delivered; the kernel limits their rate, so that "
        "they are fewer than the packets.",
        "`vnetcard capture 'icmp[0] == 3'` shows which.",
        CauseCode.NEIGHBOUR_FAILED,
    )
    ICMP6_UNREACHABLE = (
        "kernel_icmp6_unreachable",
        "Icmp6OutDestUnreachs",
        "Messages of this machine that an IPv6 packet could not be delivered; the kernel limits their rate, so that "
        "they are fewer than the packets.",
        "`vnetcard capture 'icmp6[0] == 1'` shows which.",
        CauseCode.NEIGHBOUR_FAILED,
    )
    # UDP, of all interfaces
    UDP_RCVBUF_ERRORS = (
        "kernel_udp_rcvbuf_errors",
        "Udp.RcvbufErrors",
        "Datagrams over IPv4 that found their socket's receive buffer full.",
        "Read faster, or use a larger buffer (SO_RCVBUF, `sysctl net.core.rmem_max`).",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    UDP6_RCVBUF_ERRORS = (
        "kernel_udp6_rcvbuf_errors",
        "Udp6RcvbufErrors",
        "Datagrams over IPv6 that found their socket's receive buffer full.",
        "Read faster, or use a larger buffer (SO_RCVBUF, `sysctl net.core.rmem_max`).",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    UDP_MEM_ERRORS = (
        "kernel_udp_mem_errors",
        "Udp.MemErrors",
        "Datagrams over IPv4 that found the memory of all UDP sockets used up.",
        "Read faster, or raise `sysctl net.ipv4.udp_mem`.",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    UDP6_MEM_ERRORS = (
        "kernel_udp6_mem_errors",
        "Udp6MemErrors",
        "Datagrams over IPv6 that found the memory of all UDP sockets used up.",
        "Read faster, or raise `sysctl net.ipv4.udp_mem`.",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    UDP_NO_PORTS = (
        "kernel_udp_no_ports",
        "Udp.NoPorts",
        "Datagrams over IPv4 to a port at which no program listens.",
        "Start the receiver first, and check the port.",
    )
    UDP6_NO_PORTS = (
        "kernel_udp6_no_ports",
        "Udp6NoPorts",
        "Datagrams over IPv6 to a port at which no program listens.",
        "Start the receiver first, and check the port.",
    )
    UDP_CSUM_ERRORS = (
        "kernel_udp_csum_errors",
        "Udp.InCsumErrors",
        "Datagrams over IPv4 with a wrong checksum.",
        "Capture them: `vnetcard capture --tap port udp`.",
    )
    UDP6_CSUM_ERRORS = (
        "kernel_udp6_csum_errors",
        "Udp6InCsumErrors",
        "Datagrams over IPv6 with a wrong checksum.",
        "Capture them: `vnetcard capture --tap port udp`.",
    )
    UDP_REFUSED = (
        "kernel_udp_refused",
        "Udp.InErrors-Udp.RcvbufErrors-Udp.MemErrors-Udp.InCsumErrors",
        "Datagrams over IPv4 that a socket's own filter or an IPsec policy refused.",
        "Check the program that receives them, and `ip xfrm policy`.",
    )
    UDP6_REFUSED = (
        "kernel_udp6_refused",
        "Udp6InErrors-Udp6RcvbufErrors-Udp6MemErrors-Udp6InCsumErrors",
        "Datagrams over IPv6 that a socket's own filter or an IPsec policy refused.",
        "Check the program that receives them, and `ip xfrm policy`.",
    )
    # TCP, of all interfaces; the sender sends again what was discarded
    TCP_LISTEN_DROPS = (
        "kernel_tcp_listen_drops",
        "TcpExt.ListenDrops",
        "New TCP connections that a listening program did not accept in time, or for which memory was short.",
        "Accept faster, or use a longer queue (`listen`, `sysctl net.core.somaxconn`).",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    TCP_BACKLOG_DROPS = (
        "kernel_tcp_backlog_drops",
        "TcpExt.TCPBacklogDrop",
        "TCP segments that came while the program held its socket and its backlog was full.",
        "Read faster, or use a larger buffer (SO_RCVBUF).",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    TCP_RCVQ_DROPS = (
        "kernel_tcp_rcvq_drops",
        "TcpExt.TCPRcvQDrop+TcpExt.TCPZeroWindowDrop",
        "TCP segments that found their socket's receive queue full.",
        "Read faster, or use a larger buffer (SO_RCVBUF).",
        CauseCode.APPLICATION_TOO_SLOW,
    )
    TCP_IN_ERRORS = (
        "kernel_tcp_in_errors",
        "Tcp.InErrs",
        "TCP segments with a wrong checksum or an impossible header.",
        "Capture them: `vnetcard capture --tap port tcp`.",
    )
