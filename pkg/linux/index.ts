/**
 * What Node lacks of Linux: packet sockets, UDP with what the kernel knows of each datagram's way, options of TCP sockets, memberships in
 * multicast groups, rtnetlink, eventfd and poll, through FFI (koffi), for little-endian machines of 64 bits. System calls never block,
 * except those of `PollSet`; a failed one throws `SystemCallError`. The netlink codec, the link table and the packet filters are pure.
 * Everything acts on the network namespace of the process, whatever /sys or /proc is mounted. Not here: what Node does with TCP
 * sockets, routes, changing links.
 */
export { CookedPacketSocket } from "./cooked-packet-socket.ts";
export { DatagramBatch, type ReceivedDatagram } from "./datagram-batch.ts";
export { SystemCallError } from "./error.ts";
export { EventFd } from "./event-fd.ts";
export { etherTypeFilter, icmpv6Filter, udpPortFilter } from "./filter.ts";
export { type Arrival, ReceiveBatch, type ReceivedFrame, SendBatch } from "./frame-batch.ts";
export { interfaceIndexOf } from "./interface-index.ts";
export { LinkTable, type LinkTableEffect, type TableLink } from "./link-table.ts";
export { MulticastMemberships } from "./multicast-memberships.ts";
export { Neighbors } from "./neighbors.ts";
export {
  decodeNetlink,
  type InterfaceAddress,
  type Link,
  NetlinkError,
  type NetlinkMessage,
} from "./netlink.ts";
export { NetlinkSocket } from "./netlink-socket.ts";
export { EtherType, PacketSocket, type SendFailure } from "./packet-socket.ts";
export { PollSet } from "./poll-set.ts";
export { TcpSocket } from "./tcp-socket.ts";
export { becomeRealTime, becomeUrgent } from "./thread-priority.ts";
export { socketAddress, UdpSocket, type UdpSocketOptions } from "./udp-socket.ts";
