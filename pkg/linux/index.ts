/**
 * What Node lacks of Linux: packet sockets, UDP with the TTL, destination and interface of each datagram, options of TCP sockets,
 * memberships in multicast groups, rtnetlink (to read, to hear of changes, and to change), tables of the packet filter and tracked connections, eventfd, poll, the priority of threads, and
 * memory given back, through FFI (koffi), for little-endian 64-bit machines. System calls never block, except those of `PollSet`; a failed one throws
 * `SystemCallError`. Codecs, packet filters and the table of interfaces are pure (`codec/`). Everything acts on the network namespace of
 * the process, independent of the mounted /sys and /proc. A descriptor is closed with the thread that opened it, however the thread ends.
 * Left out: Node's own work with TCP sockets.
 */
export {
  datagramSampleFilter,
  etherTypeFilter,
  icmpv6Filter,
  refusalKeys,
  refusalProgram,
  routeProtocolFilter,
  sourcePortProgram,
  tcpPortFilter,
  udpPortFilter,
} from "./codec/filter.ts";
export { InterfaceTable, type InterfaceTableEffect, type TrackedInterface } from "./codec/interface-table.ts";
export {
  decodeNetlink,
  type InterfaceAddress,
  type NetlinkMessage,
  type NetworkInterface,
  type TableRoute,
} from "./codec/netlink.ts";
export type { KernelRequest } from "./codec/netlink-requests.ts";
export { NetlinkError } from "./codec/netlink-wire.ts";
export type {
  FilterChange,
  FilterElement,
  FilterExpression,
  FilterMessage,
  FilterQuery,
  FilterTable,
} from "./codec/nf-tables.ts";
export { socketAddress } from "./codec/socket-address.ts";
export { whyDescriptorsStay } from "./descriptors.ts";
export { SystemCallError, withinRoom } from "./libc.ts";
export { releaseFreedMemory, releaseProgramPages } from "./memory.ts";
export {
  type Arrival,
  DatagramBatch,
  ReceiveBatch,
  type ReceivedDatagram,
  SendBatch,
} from "./message-batches.ts";
export { MulticastMemberships } from "./multicast-memberships.ts";
export { Netfilter } from "./netfilter.ts";
export { interfaceIndexOf, interfaceNameOf, Neighbors, NetlinkGroup, NetlinkSocket } from "./netlink-socket.ts";
export { CookedPacketSocket, EtherType, PacketSocket } from "./packet-sockets.ts";
export { addressesByInterface, Rtnetlink } from "./rtnetlink.ts";
export { type AcceptedConnection, TcpSocket } from "./tcp-socket.ts";
export {
  becomeOrdinary,
  becomePrompt,
  becomeRealTime,
  becomeUrgent,
  EventFd,
  eventLoopFd,
  hurryMainThread,
  mayBeRealTime,
  noDescriptor,
  PollSet,
  withoutInterruption,
} from "./thread.ts";
export { UdpSocket } from "./udp-socket.ts";
