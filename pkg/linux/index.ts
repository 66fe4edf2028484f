/**
 * What Node lacks of Linux: packet sockets, UDP with the TTL, destination and interface of each datagram, options of TCP sockets,
 * memberships in multicast groups, rtnetlink, eventfd, poll and the priority of threads, through FFI (koffi), for little-endian 64-bit
 * machines. System calls never block, except those of `PollSet`; a failed one throws `SystemCallError`. Codecs, packet filters and the
 * table of interfaces are pure (`codec/`). Everything acts on the network namespace of the process, whatever /sys or /proc is mounted.
 * Not here: what Node does with TCP sockets, routes, changing interfaces.
 */
export { etherTypeFilter, icmpv6Filter, udpPortFilter } from "./codec/filter.ts";
export { InterfaceTable, type InterfaceTableEffect, type TrackedInterface } from "./codec/interface-table.ts";
export { decodeNetlink, NetlinkError, type NetlinkMessage, type NetworkInterface } from "./codec/netlink.ts";
export { SystemCallError } from "./libc.ts";
export { type Arrival, DatagramBatch, ReceiveBatch, type ReceivedDatagram, SendBatch } from "./message-batches.ts";
export { MulticastMemberships } from "./multicast-memberships.ts";
export { interfaceIndexOf, Neighbors, NetlinkSocket } from "./netlink-socket.ts";
export { CookedPacketSocket, EtherType, PacketSocket } from "./packet-sockets.ts";
export { TcpSocket } from "./tcp-socket.ts";
export { becomeRealTime, becomeUrgent, EventFd, PollSet } from "./thread.ts";
export { socketAddress, UdpSocket } from "./udp-socket.ts";
