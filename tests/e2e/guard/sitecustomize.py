"""Put on PYTHONPATH, this forbids every Python process that inherits it to reach for anything but this machine.

A connection, a datagram or a name look-up that is not loopback is written to the file `NEXUS_GUARD_LOG` and refused before it
is made. Each guarded process writes its command line there, too, so that a test can see who was guarded.
"""

import ipaddress
import os
import sys
from pathlib import Path

LOG = Path(os.environ["NEXUS_GUARD_LOG"])
DESTINATIONS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getnameinfo": 0}
"""The events that carry an address, and at which position."""
LOOK_UPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def write(kind, text):
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"{kind}\t{os.getpid()}\t{text}\n")


def is_local(host):
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def watch(event, arguments):
    if event in LOOK_UPS:
        host = arguments[0]
    elif event in DESTINATIONS and isinstance(arguments[DESTINATIONS[event]], tuple):
        host = arguments[DESTINATIONS[event]][0]
    else:
        return  # another event, or an address of a local (Unix) socket
    if not is_local(host):
        write("REFUSED", f"{event} {host!r}")
        raise PermissionError(f"the guard refused {event} to {host!r}")


write("GUARDED", Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").replace("\n", " "))
sys.addaudithook(watch)
