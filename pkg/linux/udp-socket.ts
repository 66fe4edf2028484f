import { Address } from "#pkg/net";
import { addressFamily, decodeSender, socketAddress, socketAddressSize } from "./codec/socket-address.ts";
import { close, openSocket } from "./descriptors.ts";
import {
  attachFilter,
  check,
  checkNonBlocking,
  detachFilter,
  levelSocket,
  libc,
  optionReceiveBuffer,
  SystemCallError,
} from "./libc.ts";
import type { DatagramBatch } from "./message-batches.ts";

const levelIp = 0; // IPPROTO_IP
const levelIpv6 = 41; // IPPROTO_IPV6
const optionsOfFamily = {
  IPv4: [
    { level: levelIp, name: 1, of: "trafficClass" }, // IP_TOS
    { level: levelIp, name: 2, of: "ttl" }, // IP_TTL
    { level: levelIp, name: 8, of: "on" }, // IP_PKTINFO
    { level: levelIp, name: 12, of: "on" }, // IP_RECVTTL
  ],
  IPv6: [
    { level: levelIpv6, name: 26, of: "on" }, // IPV6_V6ONLY
    { level: levelIpv6, name: 67, of: "trafficClass" }, // IPV6_TCLASS
    { level: levelIpv6, name: 16, of: "ttl" }, // IPV6_UNICAST_HOPS
    { level: levelIpv6, name: 49, of: "on" }, // IPV6_RECVPKTINFO
    { level: levelIpv6, name: 51, of: "on" }, // IPV6_RECVHOPLIMIT
  ],
} as const;
// Room for datagrams that arrive while nobody reads, for example while this process is stopped. The kernel doubles it and cuts it to
// net.core.rmem_max.
const receiveBufferSize = 2 << 20;
const optionTimestamp = 35; // SO_TIMESTAMPNS
const optionMemoryInfo = 55; // SO_MEMINFO
const memoryInfoWords = 9; // SK_MEMINFO_VARS
const dropsWord = 8; // SK_MEMINFO_DROPS
const anyPort = 9;

export interface UdpSocketOptions {
  readonly family: "IPv4" | "IPv6";
  /** 4 or 16 bytes in network order; any address of the machine when unset. */
  readonly address?: Uint8Array | undefined;
  /** For a link-local `address`; 0 otherwise. */
  readonly interfaceIndex?: number | undefined;
  readonly port: number;
  /** Datagrams leave with this TTL or hop limit. */
  readonly ttl: number;
  /** The octet of DSCP and ECN of sent packets. */
  readonly trafficClass: number;
}

/** Sends datagrams, and receives them with the TTL that they came with, their destination and interface (ip(7), ipv6(7)). Never blocks. */
export class UdpSocket implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * The port is this socket's alone.
   * @throws {SystemCallError} EADDRINUSE when another has the port; EADDRNOTAVAIL when the machine does not have the address;
   *   EAFNOSUPPORT without IPv6
   */
  static open({ family, address, interfaceIndex = 0, port, ttl, trafficClass }: UdpSocketOptions): UdpSocket {
    const attempted = `open UDP port ${port} for ${family}`;
    using stack = new DisposableStack();
    const socket = stack.use(new UdpSocket(openSocket(attempted, addressFamily[family], "datagram")));
    const values = { on: 1, ttl, trafficClass };
    for (const { level, name, of } of optionsOfFamily[family]) set(socket.fd, level, name, values[of], attempted);
    set(socket.fd, levelSocket, optionReceiveBuffer, receiveBufferSize, attempted);
    const local = socketAddress(address ?? new Uint8Array(family === "IPv4" ? 4 : 16), port, interfaceIndex);
    check("bind", attempted, libc.bind(socket.fd, local, local.length));
    stack.move();
    return socket;
  }

  /**
   * The address that packets to another one leave from; undefined where the kernel has no way there, as without IPv6, or does not say.
   * @param interfaceIndex of a link-local address
   */
  static sourceTo(to: Address, interfaceIndex = 0): Address | undefined {
    try {
      using socket = new UdpSocket(openSocket("choose an address", addressFamily[to.family], "datagram"));
      const far = socketAddress(to.toBytes(), anyPort, interfaceIndex);
      if (libc.connect(socket.fd, far, far.length) !== 0) return undefined;
      const near = new Uint8Array(socketAddressSize[to.family]);
      check("getsockname", "choose an address", libc.getsockname(socket.fd, near, Uint32Array.of(near.length)));
      return Address.fromBytes(decodeSender(new DataView(near.buffer)).source);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return undefined;
    }
  }

  /** Reads the datagrams that are waiting, as many as `batch` takes. @returns how many there are in it now @throws {SystemCallError} */
  receive(batch: DatagramBatch): number {
    return batch.receive(this.fd);
  }

  /**
   * `to` is of `socketAddress`. @returns false when the send queue is full, and it is lost
   * @throws {SystemCallError} such as ENETUNREACH, EHOSTUNREACH, EPERM from a packet filter
   */
  send(bytes: Uint8Array, to: Uint8Array): boolean {
    const result = libc.sendto(this.fd, bytes, bytes.length, 0, to, to.length);
    return checkNonBlocking("sendto", "send a datagram", result) !== undefined;
  }

  /**
   * Has the kernel ask `filter`, a classic BPF program, whether to keep what arrives from now on, in place of one that it asked before;
   * undefined: it keeps all. @throws {SystemCallError}
   */
  filter(filter: Uint8Array | undefined): void {
    detachFilter(this.fd, "keep all datagrams"); // The kernel has no room for two large ones at once.
    if (filter !== undefined) attachFilter(this.fd, filter, "filter datagrams");
  }

  /** Has each datagram that arrives from now on say when. @throws {SystemCallError} */
  stampArrivals(): void {
    set(this.fd, levelSocket, optionTimestamp, 1, "stamp datagrams");
  }

  /** How many datagrams the kernel dropped so far, for the filter or for lack of room, modulo 2^32. @throws {SystemCallError} */
  drops(): number {
    const values = new Uint32Array(memoryInfoWords);
    const length = Uint32Array.of(values.byteLength);
    const result = libc.getsockopt(this.fd, levelSocket, optionMemoryInfo, values, length);
    check("getsockopt", "count dropped datagrams", result);
    return values[dropsWord] ?? 0;
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

function set(fd: number, level: number, name: number, value: number, attempted: string): void {
  check("setsockopt", attempted, libc.setsockopt(fd, level, name, Int32Array.of(value), 4));
}
