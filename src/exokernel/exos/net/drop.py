# SPDX-License-Identifier: MIT
"""Why a frame went no further. Every check of the network has a reason of its own here and every reason has a counter
in the interface, so nothing is lost silently. The checks return `Drop.NONE` when the frame may go on.
"""

from enum import IntEnum


class Drop(IntEnum):
    """The reasons, in the order in which a frame meets them."""

    NONE = 0
    ETHERNET_LENGTH = 1  # shorter than its header, or longer than a frame can be
    ETHERNET_SOURCE = 2  # a group address cannot send
    ETHERNET_DESTINATION = 3  # for another station, or for a group we did not join
    ETHERNET_KIND = 4  # neither ARP nor IPv4
    ARP_MALFORMED = 5  # not Ethernet and IPv4, too short, an unknown operation, an impossible sender
    ARP_CONFLICT = 6  # somebody else uses our address
    IPV4_LENGTH = 7  # shorter than a header
    IPV4_VERSION = 8
    IPV4_HEADER_LENGTH = 9  # less than five words, or more than there are
    IPV4_TOTAL_LENGTH = 10  # less than the header, or more than arrived
    IPV4_CHECKSUM = 11
    IPV4_DESTINATION = 12  # not our address; broadcasts have no service on this floor
    IPV4_SOURCE = 13  # a group, a broadcast, loopback, "this network" or ourselves: not to be answered
    IPV4_FRAGMENT = 14
    IPV4_PROTOCOL = 15
    ICMP_LENGTH = 16
    ICMP_CHECKSUM = 17
    ICMP_KIND = 18  # not an echo request
    UDP_LENGTH = 19  # less than the header, or more than arrived
    UDP_CHECKSUM = 20
    UDP_PORT = 21  # nobody listens there, or port 0
    TCP_LENGTH = 22  # shorter than its header
    TCP_CHECKSUM = 23
    TCP_PORT = 24  # nobody listens there and no connection is known, or port 0
    TCP_SEQUENCE = 25  # outside the window, or an acknowledgment of what was never sent
    TCP_MEMORY = 26  # no connection or buffer was free; it will be sent again
    SEND_LENGTH = 27  # ours: longer than one frame carries
    SEND_NEIGHBOUR = 28  # ours: nobody answered for that address, or a later frame took the waiting place
    SEND_BUSY = 29  # ours: the device had no room
    SEND_PORT = 30  # ours: to port 0, which is nobody's (a sender there wants no answer, RFC 768)


REASONS = len(Drop)
