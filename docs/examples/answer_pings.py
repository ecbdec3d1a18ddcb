"""A card that is a scapy program: it answers the host's pings.  python3 answer_pings.py /run/card"""

import sys

from scapy.layers.inet import ICMP, IP

from vnetcard import PortClient

with PortClient.open(sys.argv[1], timeout=10) as port:
    print("connected", flush=True)
    for packet in port:
        ping = IP(packet)
        if ping.version == 4 and ICMP in ping and ping[ICMP].type == 8:
            reply = ICMP(type=0, id=ping[ICMP].id, seq=ping[ICMP].seq) / ping[ICMP].payload
            port.send(bytes(IP(src=ping.dst, dst=ping.src) / reply))
