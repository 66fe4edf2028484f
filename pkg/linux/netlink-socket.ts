import { decodeNeighbor, encodeNeighborRequest } from "./codec/netlink.ts";
import { close, openSocket } from "./descriptors.ts";
import { attachFilter, check, checkNonBlocking, levelSocket, libc, optionReceiveBuffer } from "./libc.ts";

const familyNetlink = 16; // AF_NETLINK
const protocols = { route: 0, netfilter: 12 } as const; // NETLINK_ROUTE, NETLINK_NETFILTER
const levelNetlink = 270; // SOL_NETLINK
const optionAddMembership = 1; // NETLINK_ADD_MEMBERSHIP
const optionShortAnswers = 10; // NETLINK_CAP_ACK: the answer to a request does not repeat it.
const optionStrict = 12; // NETLINK_GET_STRICT_CHK: a dump has only the requested entries. Before Linux 4.20 it has all entries of its kind.
/** Groups that tell of changes. */
export const NetlinkGroup = { link: 1, ipv4Address: 5, ipv4Route: 7, ipv6Address: 9, ipv6Route: 11 } as const;
const linkGroups = [NetlinkGroup.link, NetlinkGroup.ipv4Address, NetlinkGroup.ipv6Address];
const addressLength = 12; // struct sockaddr_nl
const optionReceiveBufferForce = 33; // SO_RCVBUFFORCE
const senderOffset = 4; // nl_pid
const flagTruncate = 0x20; // MSG_TRUNC: return the real length.
// The kernel fills at most 32 KiB of a dump at once, and a notification about one link is far below that.
const bufferSize = 1 << 16;
const receiveBufferSize = 1 << 20;

interface NetlinkSocketOptions {
  /** rtnetlink when unset. */
  readonly protocol?: keyof typeof protocols;
  /** Groups of links and addresses when unset. */
  readonly groups?: readonly number[];
  /** The kernel leaves other routes out of dumps of routes. */
  readonly strict?: boolean;
  /** A classic BPF program for received messages. */
  readonly filter?: Uint8Array;
  /** How much may wait to be read, in octets; the default is cut to net.core.rmem_max, this needs the capability NET_ADMIN. */
  readonly receiveBuffer?: number;
}

/** Talks netlink (netlink(7)), and hears of what its groups tell. Never blocks for an answer. */
export class NetlinkSocket implements Disposable {
  readonly fd: number;
  readonly #buffer = new Uint8Array(bufferSize);
  readonly #address = new Uint8Array(addressLength);
  readonly #addressLength = new Uint32Array(1);

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** @throws {SystemCallError} */
  static open(options: NetlinkSocketOptions = {}): NetlinkSocket {
    const { protocol = "route", groups = linkGroups, strict = false, filter, receiveBuffer } = options;
    const attempted = `open a netlink socket for ${protocol}`;
    using stack = new DisposableStack();
    const socket = stack.use(new NetlinkSocket(openSocket(attempted, familyNetlink, "raw", protocols[protocol])));
    const { fd } = socket;
    const address = new Uint8Array(addressLength);
    address[0] = familyNetlink;
    check("bind", attempted, libc.bind(fd, address, addressLength));
    check("setsockopt", attempted, libc.setsockopt(fd, levelSocket, optionReceiveBuffer, Int32Array.of(receiveBufferSize), 4));
    if (receiveBuffer !== undefined) libc.setsockopt(fd, levelSocket, optionReceiveBufferForce, Int32Array.of(receiveBuffer), 4);
    for (const option of strict ? [optionShortAnswers, optionStrict] : [])
      libc.setsockopt(fd, levelNetlink, option, Int32Array.of(1), 4); // Old kernels lack them, and the answers are checked.
    if (filter !== undefined) attachFilter(fd, filter, attempted);
    for (const group of groups)
      check("setsockopt", attempted, libc.setsockopt(fd, levelNetlink, optionAddMembership, Int32Array.of(group), 4));
    stack.move();
    return socket;
  }

  /** Sends a request. The kernel works on it before this returns, and may wait there for its own lock on links. @throws {SystemCallError} */
  send(request: Uint8Array): void {
    checkNonBlocking("send", "send a netlink request", libc.send(this.fd, request, request.length, 0));
  }

  /**
   * Reads the next datagram of the kernel. @returns a view valid until the next call; undefined if no datagram waits
   * @throws {SystemCallError} ENOBUFS when messages were lost, so that everything must be asked for again
   */
  receive(): Uint8Array | undefined {
    for (;;) {
      this.#addressLength[0] = addressLength;
      const result = libc.recvfrom(this.fd, this.#buffer, bufferSize, flagTruncate, this.#address, this.#addressLength);
      const length = checkNonBlocking("recvfrom", "receive a netlink message", result);
      if (length === undefined) return undefined;
      const sender = new DataView(this.#address.buffer).getUint32(senderOffset, true);
      if (sender !== 0) continue; // Not the kernel: a privileged process may send to anyone.
      return this.#buffer.subarray(0, length); // Cut when longer than the buffer, which the decoder refuses.
    }
  }

  /** The kernel's datagrams that wait, or come while these are read: see `receive`. */
  *received(): Generator<Uint8Array, undefined> {
    for (let datagram = this.receive(); datagram !== undefined; datagram = this.receive()) yield datagram;
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

/** The kernel's table of the link-layer addresses of its neighbors (RFC 826, RFC 4861). */
export class Neighbors implements Disposable {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** @throws {SystemCallError} */
  constructor() {
    this.#socket = NetlinkSocket.open({ groups: [] });
  }

  /** The MAC address of a neighbor, 6 bytes; undefined while the kernel has none, and before Linux 5.0, which knows only the whole table. @throws {SystemCallError} */
  find(interfaceIndex: number, address: Uint8Array): Uint8Array | undefined {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeNeighborRequest(interfaceIndex, address, sequence)); // The answer is there when this returns.
    for (const answer of this.#socket.received()) {
      const mac = decodeNeighbor(answer, sequence);
      if (mac !== undefined) return mac;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** The index of the interface with this name; undefined if there is no such interface. */
export function interfaceIndexOf(name: string): number | undefined {
  return libc.interfaceIndex(name) || undefined;
}

const nameSize = 16; // IF_NAMESIZE, with the octet that ends it.

/** The name of the interface with this name or second name (altname), as the kernel tells it; undefined if there is no such interface. */
export function interfaceNameOf(name: string): string | undefined {
  const octets = Buffer.alloc(nameSize);
  if (libc.interfaceName(interfaceIndexOf(name) ?? 0, octets) === null) return undefined;
  return octets.toString("utf8", 0, octets.indexOf(0));
}
