"""Codes of errors: ``VnetcardError.code``, the ``code`` of ``--json`` error objects and of ``--json-log`` lines."""

from __future__ import annotations

from vnetcard.codes.code import Code


class ErrorCode(Code):
    """One for each kind of error; the first of each group is the default of its exception class."""

    # ConfigError: options, URLs, files
    BAD_CONFIG = "bad-config", "An option, argument, file or URL is invalid.", "Change what the message names."
    BAD_URL = "bad-url", "A window's, port's or engine's URL is invalid.", "Write it as the message shows."
    BROKEN_PLUGIN = (
        "broken-plugin",
        "A plug-in that registers a window or port kind cannot be used.",
        "Reinstall or uninstall the package that the message names.",
    )
    CONFIRMATION_NEEDED = "confirmation-needed", "The command would disturb a device.", "Add --yes."
    AMBIGUOUS_DEVICE = "ambiguous-device", "Several devices match the URL.", "Name one of those in the message."
    WINDOW_SIZE = (
        "window-size",
        "The memory is too small for a window, is not a power of two, or differs from the size asked for.",
        "Name another BAR or memory, or add +SIZE.",
    )
    BAD_ADDRESS = "bad-address", "An address is not IP/BITS of a unicast address.", "Write it as 10.10.10.1/24."
    BAD_ROUTE = "bad-route", "A route is not 'NETWORK/BITS [via GATEWAY] [metric N]'.", "Correct the --route."
    BAD_NETWORK = (
        "bad-network",
        "A value of --allow is not the network IP/BITS, or there are too many.",
        "Write it as 10.10.10.0/24 or fd00::/64.",
    )
    BAD_MAC = "bad-mac", "A MAC address is invalid, or no single interface can have it.", "Choose another --mac."
    BAD_NAME = "bad-name", "The kernel does not accept the name of an interface.", "Choose another --name."
    OUT_OF_RANGE = "out-of-range", "A number is outside its range.", "Choose one in the range that the message names."
    CONFIG_FILE = "config-file", "The file of --config cannot be read or is not TOML.", "Correct the file."
    CONFIG_KEY = "config-key", "The file of --config has an unknown key or a value of a wrong type.", "Correct it."
    NAMESPACE_MISSING = "namespace-missing", "There is no such network namespace.", "Create it with `ip netns add`."
    CONTROL_SOCKET = "control-socket", "The control socket cannot be created or asked.", "Set VNETCARD_RUN_DIR."
    FOREIGN_FILE = "foreign-file", "A file that was not installed by vnetcard is in the way.", "Move it away."
    NO_AGENT = "no-agent", "No agent of this window answers on this machine.", "Start one, or name its --window."
    FILE_UNWRITABLE = (
        "file-unwritable",
        "A file cannot be created or written: no permission, no such folder, or the disk is full.",
        "Name another file, or make room.",
    )
    BAD_CAPTURE = "bad-capture", "A file is no capture, or cannot be replayed.", "See the message."
    NO_TERMINAL = "no-terminal", "The command needs a terminal, or must not write to one.", "See the message."
    REMOTE_FAILED = "remote-failed", "The command on the other computer does not answer.", "See its message above."
    TARGET_UNKNOWN = "target-unknown", "The address of the peer is not known here.", "Name the address as a target."
    BAD_FILTER = "bad-filter", "The filter is not one that libpcap accepts.", "See pcap-filter(7)."
    TOOL_MISSING = "tool-missing", "A program or a Python package is not installed.", "Install what the message names."
    CACHE_UNUSABLE = "cache-unusable", "The user's cache cannot be written.", "Set XDG_CACHE_HOME to a writable folder."
    BAD_USER = "bad-user", "The user or group of --user does not exist, or cannot be used.", "See the message."
    NOT_ROOT = "not-root", "The command needs root.", "Run it as root."
    TUN_UNUSABLE = "tun-unusable", "The device /dev/net/tun is missing or may not be opened.", "See the message."
    # BuildFailed, LabError
    BUILD_FAILED = "build-failed", "Verilator or a compiler failed.", "See the log that the message names."
    AGENT_FAILED = "agent-failed", "An agent or simulator that the command started failed.", "See its output."
    # WindowUnavailable
    WINDOW_UNAVAILABLE = "window-unavailable", "The window's memory cannot be used.", "See the message."
    WINDOW_MISSING = (
        "window-missing",
        "The device or file of the window does not exist.",
        "See `vnetcard doctor` for the devices found; load the driver or rescan the bus.",
    )
    WINDOW_PERMISSION = (
        "window-permission",
        "The process may not open the device or file of the window.",
        "Run as root, or install the udev rule (`vnetcard install-units`) and join its group.",
    )
    WINDOW_UNTRUSTED = (
        "window-untrusted",
        "The window's file, a folder on its path or the process that offers it is another user's or open to others.",
        "Do what the message says; ?owner=USER and ?group=GROUP name whom to trust.",
    )
    WINDOW_BUSY = "window-busy", "Another program or driver has the device open.", "End that program."
    WINDOW_TAKEN = (
        "window-taken",
        "Another agent has this side of the window.",
        "Stop that agent, or name another --window.",
    )
    NO_ROOM = (
        "no-room",
        "The file system has no room for the window.",
        "Free some, or ask for a smaller window with +SIZE.",
    )
    WINDOW_UNMAPPABLE = (
        "window-unmappable",
        "The kernel does not let the device's memory be mapped.",
        "See the message; kernel lockdown and a bound driver are the usual causes.",
    )
    DEVICE_GONE = (
        "device-gone",
        "The device does not answer: it was removed, has lost power or is in reset.",
        "Power and program the card, then rescan the bus.",
    )
    WINDOW_LOST = (
        "window-lost",
        "A part of the window's memory is missing: its file was cut short, or its file system has no room for it.",
        "Make room, and find the program that changes the file; memfd: windows cannot be cut short.",
    )
    DRIVER_BOUND = (
        "driver-bound",
        "A kernel driver owns the device, or the driver that the window needs does not.",
        "Unbind or bind it as the message shows.",
    )
    DEVICE_BROKEN = "device-broken", "The device reports nonsense or moves less than asked.", "See the message."
    WINDOW_NOT_BUILT = (
        "window-not-built",
        "This build has no such windows: check: windows are for tests.",
        "Name another --window, or build the package with VNETCARD_CHECKED=1.",
    )
    ENGINE_MISSING = "engine-missing", "No DMA engine answers at the register page.", "Check the engine's address."
    ENGINE_STUCK = (
        "engine-stuck",
        "The DMA engine did not complete a request in time.",
        "See `vnetcard show registers`.",
    )
    IOMMU = "iommu", "The IOMMU is off, or keeps the device from the memory.", "See docs/bring-up.md."
    # WindowNotReady
    WINDOW_NOT_READY = (
        "window-not-ready",
        "The memory is there, but the host has not laid out a window in it.",
        "Start the host's agent; the card's agent waits for it.",
    )
    # PortUnavailable
    PORT_UNAVAILABLE = "port-unavailable", "The network interface cannot be opened or created.", "See the message."
    PORT_BUSY = "port-busy", "The interface's name is taken.", "Choose another --name, or stop its owner."
    PORT_PERMISSION = "port-permission", "Only root may do this to an interface.", "Run the command of the message."
    PORT_DRIVER = "port-driver", "The kernel has no TUN driver.", "Load it: `modprobe tun`."
    MAC_DIFFERS = (
        "mac-differs",
        "The peer's macvtap passes another MAC address than this side's interface has.",
        "Give both sides the same --mac, or only the one with the macvtap.",
    )
    MAC_UNKNOWN = (
        "mac-unknown",
        "The peer cannot know which MAC address this side's macvtap passes: the DMA engine does not carry it.",
        "Give both sides the same --mac.",
    )
    BRIDGE_UNUSABLE = (
        "bridge-unusable",
        "The interface cannot be a port of the bridge, or is no longer one.",
        "See the message; `bridge link` lists the ports of bridges.",
    )
    PORT_GONE = "port-gone", "The interface was deleted while the agent used it.", "Start the agent again."
    NAMESPACE_PERMISSION = "namespace-permission", "The network namespace may not be entered.", "Run as root."
    ADDRESS_CONFLICT = (
        "address-conflict",
        "Another interface of the namespace has the address or network of the link.",
        "Give the link another network, or put the agent into a namespace of its own with --netns.",
    )
    SAME_NAMESPACE = (
        "same-namespace",
        "Both ends of the link are in one network namespace, where the kernel bypasses the link.",
        "Start one agent with another --netns.",
    )
    ADDRESS_MISSING = "address-missing", "A configured address is not on the interface.", "See its cause."
    PEER_TRUSTED = (
        "peer-trusted",
        "Settings that keep the peer from configuring this machine's kernel cannot be set.",
        "Give the agent CAP_NET_ADMIN, set them as root, or start it with --trust-peer.",
    )
    ROUTE_CONFLICT = (
        "route-conflict",
        "Another interface has a route to the same destination, which is never replaced.",
        "Give the --route a metric: 'NETWORK via GATEWAY metric N'.",
    )
    ROUTE_MISSING = "route-missing", "A configured route is not in the kernel's table.", "See its cause."
    ROUTE_UNREACHABLE = (
        "route-unreachable",
        "The gateway of a route is in no network of the interface.",
        "Add a --route or an --address that contains the gateway.",
    )
    FAMILY_OFF = (
        "family-off",
        "IPv6 is switched off for the interface.",
        "Set the sysctl net.ipv6.conf.*.disable_ipv6 to 0, or boot without ipv6.disable=1.",
    )
    RESOURCE_LIMIT = (
        "resource-limit",
        "A limit on threads, file descriptors or memory was reached.",
        "Raise the limit that the message names.",
    )
    SYSTEM_CALL_FAILED = (
        "system-call-failed",
        "The system refused a call that an agent cannot do without.",
        "See the message; `--log-level debug` logs the place.",
    )
    # LayoutMismatch
    LAYOUT_MISMATCH = (
        "layout-mismatch",
        "The memory holds no window, a damaged one, or one of another wire format.",
        "Give both agents the same version and the same --queue-bytes.",
    )
    NO_WINDOW = "no-window", "The memory holds no vnetcard window.", "Check that the URL names the right memory."
    WIRE_FORMAT = "wire-format", "The window has a wire format of another version.", "Update the older agent."
    WINDOW_DAMAGED = (
        "window-damaged",
        "The window's superblock is damaged.",
        "Stop both agents and start them again; find the program that writes into the window.",
    )
    # FifoCorrupt
    FIFO_CORRUPT = "fifo-corrupt", "The peer wrote an impossible index or record.", "Restart the peer's program."
    # FrameTooLarge
    FRAME_TOO_LARGE = "frame-too-large", "The frame is longer than the link allows.", "Send at most the link's MTU."
    # PeerGone
    PEER_GONE = "peer-gone", "The other side or the agent does not answer.", "Start it."
    AGENT_REFUSED = "agent-refused", "The agent answers that it cannot do what was asked.", "See the message."
    PEER_UNRESPONSIVE = (
        "peer-unresponsive",
        "The process exists and does not answer: it is stopped or hangs.",
        "Continue it (SIGCONT), or end it and start it again.",
    )
    # Closed
    CLOSED = "closed", "The object was used after its close()."
