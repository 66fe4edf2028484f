import { addressFamily } from "./codec/socket-address.ts";
import { close, openSocket } from "./descriptors.ts";
import { check, libc } from "./libc.ts";

const levelIpv6 = 41; // IPPROTO_IPV6
const optionJoin = 20; // IPV6_JOIN_GROUP
const optionLeave = 21; // IPV6_LEAVE_GROUP
// The kernel keeps a socket's memberships within net.core.optmem_max, by default 20 KiB on older kernels: more than 300 of them.
const maxPerSocket = 256;

interface Socket {
  readonly fd: number;
  members: number;
}

/**
 * One interface's memberships in IPv6 multicast groups. The kernel tells routers and snooping switches by MLD (RFC 3810), also
 * again when the interface comes up or gets its carrier back, and lets the interface's hardware pass the frames; what arrives is
 * read elsewhere. They end when this is disposed, or with the interface.
 */
export class MulticastMemberships implements Disposable {
  readonly #interfaceIndex: number;
  readonly #sockets: Socket[] = [];
  readonly #joined = new Map<bigint, Socket>(); // group -> the socket that holds the membership

  constructor(interfaceIndex: number) {
    this.#interfaceIndex = interfaceIndex;
  }

  /** Joins `group`, 128 bits. One that was joined is left before, because the kernel may have forgotten it. @throws {SystemCallError} */
  join(group: bigint): void {
    this.leave(group);
    const socket = this.#socketWithRoom();
    const result = libc.setsockopt(socket.fd, levelIpv6, optionJoin, request(group, this.#interfaceIndex), requestSize);
    check("setsockopt", `join a multicast group on interface ${this.#interfaceIndex}`, result);
    socket.members++;
    this.#joined.set(group, socket);
  }

  /** Does nothing for a group that was not joined. */
  leave(group: bigint): void {
    const socket = this.#joined.get(group);
    if (socket === undefined) return;
    this.#joined.delete(group);
    socket.members--;
    // It can only fail because the membership is gone already.
    libc.setsockopt(socket.fd, levelIpv6, optionLeave, request(group, this.#interfaceIndex), requestSize);
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#sockets) close(fd);
    this.#sockets.length = 0;
    this.#joined.clear();
  }

  #socketWithRoom(): Socket {
    const known = this.#sockets.find(({ members }) => members < maxPerSocket);
    if (known !== undefined) return known;
    const socket = { fd: openSocket("open a socket for multicast groups", addressFamily.IPv6, "datagram"), members: 0 };
    this.#sockets.push(socket);
    return socket;
  }
}

const requestSize = 20;

/** struct ipv6_mreq: the group in network order, then the interface. */
function request(group: bigint, interfaceIndex: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(requestSize));
  view.setBigUint64(0, group >> 64n);
  view.setBigUint64(8, BigInt.asUintN(64, group));
  view.setInt32(16, interfaceIndex, true);
  return new Uint8Array(view.buffer);
}
