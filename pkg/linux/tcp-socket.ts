import { constants } from "node:os";
import type { Address, Family } from "#pkg/net";
import { addressFamily, decodeSender, type Sender, socketAddress, socketAddressSize } from "./codec/socket-address.ts";
import { close, disown, openSocket, own } from "./descriptors.ts";
import { attachChoice, check, checkNonBlocking, failure, flagCloseOnExec, flagNonBlocking, levelSocket, libc } from "./libc.ts";

const levelTcp = 6; // IPPROTO_TCP
const optionReuseAddress = 2; // SO_REUSEADDR
const optionReusePort = 15; // SO_REUSEPORT
const optionDomain = 39; // SO_DOMAIN
const optionPeerName = 28; // SO_PEERNAME, which unlike getpeername knows the peer of a connection that was reset.
const optionMd5 = 14; // TCP_MD5SIG

/** Options that are the same for both families but for their numbers. */
const options = {
  IPv4: { level: 0, hopLimit: 2, minimumHopLimit: 21, trafficClass: 1 }, // IPPROTO_IP: IP_TTL, IP_MINTTL, IP_TOS
  IPv6: { level: 41, hopLimit: 16, minimumHopLimit: 73, trafficClass: 67 }, // IPPROTO_IPV6: IPV6_UNICAST_HOPS, IPV6_MINHOPCOUNT, IPV6_TCLASS
} as const;
const optionV6Only = 26; // IPV6_V6ONLY

const md5Size = 216; // struct tcp_md5sig
const md5KeyLengthOffset = 130;
const md5KeyOffset = 136;
const maxKeySize = 80; // TCP_MD5SIG_MAXKEYLEN

/** A connection that was accepted. */
export interface AcceptedConnection extends Sender {
  /** The caller's, to be closed. */
  readonly socket: TcpSocket;
}

/**
 * Sets options of a TCP socket that Node cannot set, above all before it connects or listens. As a listener it knows its clients even when
 * they are gone already. Node takes the descriptor for the rest (`new net.Socket({ fd })`, `server.listen({ fd })`), and closes it then.
 * Never blocks.
 */
export class TcpSocket implements Disposable {
  readonly fd: number;
  readonly family: Family;
  #owned: boolean;

  private constructor(fd: number, family: Family, owned: boolean) {
    this.fd = fd;
    this.family = family;
    this.#owned = owned;
  }

  /** @throws {SystemCallError} EAFNOSUPPORT where the machine lacks the family */
  static open(family: Family): TcpSocket {
    return new TcpSocket(openSocket(`open a TCP socket for ${family}`, addressFamily[family], "stream"), family, true);
  }

  /** One that belongs to somebody else, who closes it. @throws {SystemCallError} */
  static of(fd: number): TcpSocket {
    const domain = new Int32Array(1);
    const result = libc.getsockopt(fd, levelSocket, optionDomain, domain, Uint32Array.of(4));
    check("getsockopt", "tell the family of a socket", result);
    return new TcpSocket(fd, domain[0] === addressFamily.IPv6 ? "IPv6" : "IPv4", false);
  }

  /**
   * Listens once more where this listener does, which makes the two a group: a program chooses for each connection (`choose`). Another process that
   * listens there is refused as ever. @param first the first program: until it is there the kernel chooses by chance, for some microseconds.
   * @throws {SystemCallError}
   */
  listenTwice(backlog: number, first: Uint8Array): TcpSocket {
    using stack = new DisposableStack();
    const twin = stack.use(TcpSocket.open(this.family));
    const local = this.#name();
    if (this.family === "IPv6") twin.ipv6Only(this.#isIpv6Only());
    twin.reuseAddress();
    for (const one of [this, twin]) one.#set(levelSocket, optionReusePort, 1, "share a port");
    check("bind", "listen twice", libc.bind(twin.fd, local, local.length));
    using rehearsal = TcpSocket.open(this.family); // The first call takes milliseconds, the next one none.
    rehearsal.#set(levelSocket, optionReusePort, 1, "share a port");
    rehearsal.choose(first);
    twin.listen(backlog);
    twin.choose(first);
    stack.move();
    return twin;
  }

  /** @param interfaceIndex of a link-local address. @throws {SystemCallError} EADDRNOTAVAIL, EADDRINUSE, EACCES */
  bind(address: Address, port: number, interfaceIndex = 0): void {
    const local = socketAddress(address.toBytes(), port, interfaceIndex);
    check("bind", `bind to ${address} port ${port}`, libc.bind(this.fd, local, local.length));
  }

  /** @param backlog how many connections may wait to be accepted, and as many more. @throws {SystemCallError} EADDRINUSE */
  listen(backlog: number): void {
    check("listen", "listen", libc.listen(this.fd, backlog));
  }

  /** Begins to connect to where `other` listens. @throws {SystemCallError} */
  connectTo(other: TcpSocket): void {
    const to = other.#name();
    if (libc.connect(this.fd, to, to.length) === 0) return;
    const error = failure("connect", "connect to a listener");
    if (error.errno !== constants.errno.EINPROGRESS) throw error;
  }

  /** The port that it is bound to. @throws {SystemCallError} */
  get port(): number {
    return new DataView(this.#name().buffer).getUint16(2);
  }

  /** The other end of a connection, also of one that was reset meanwhile. @throws {SystemCallError} ENOTCONN where there never was one */
  get peer(): Sender {
    const name = new Uint8Array(socketAddressSize[this.family]); // No more than the kernel has, of which it makes an error.
    const result = libc.getsockopt(this.fd, levelSocket, optionPeerName, name, Uint32Array.of(name.length));
    check("getsockopt", "tell the peer", result);
    return decodeSender(new DataView(name.buffer));
  }

  /** @returns undefined where no connection waits. @throws {SystemCallError} EMFILE, ENFILE; it waits on then */
  accept(): AcceptedConnection | undefined {
    const name = new Uint8Array(socketAddressSize.IPv6);
    const flags = flagNonBlocking | flagCloseOnExec;
    const result = libc.accept4(this.fd, name, Uint32Array.of(name.length), flags);
    const fd = checkNonBlocking("accept4", "accept a connection", result);
    if (fd === undefined) return undefined;
    return { socket: new TcpSocket(own(fd), this.family, true), ...decodeSender(new DataView(name.buffer)) };
  }

  /** To be set before a listener binds: the port may be bound again while connections of a former listener fade away. */
  reuseAddress(): void {
    this.#set(levelSocket, optionReuseAddress, 1, "let the address be bound again");
  }

  /** Whether a listener for IPv6 leaves IPv4 to another, or takes that too. */
  ipv6Only(isOn: boolean): void {
    this.#set(options.IPv6.level, optionV6Only, Number(isOn), `listen on ${isOn ? "IPv6 alone" : "IPv6 and IPv4"}`);
  }

  /**
   * Has the kernel ask `program`, a classic BPF program, which socket of a group each connection is for, and no longer the former program:
   * 0 for the first, 1 for the second. Unlike a filter of a TCP socket since Linux 6.18, that takes no capability. @throws
   * {SystemCallError}
   */
  choose(program: Uint8Array): void {
    attachChoice(this.fd, program, "choose who gets a connection");
  }

  /**
   * Signs what is sent to `peer`, and drops what comes from it unsigned or with another key (RFC 2385); 1 to 80 bytes, undefined for no
   * longer. A listener may have many. @throws {RangeError} for a key of another length, {SystemCallError} ENOPROTOOPT where the kernel lacks it
   */
  setMd5Key(peer: Address, key: Uint8Array | undefined): void {
    if (key !== undefined && (key.length === 0 || key.length > maxKeySize))
      throw new RangeError(`Cannot set an MD5 key: it has ${key.length} bytes, wanted 1 to ${maxKeySize}`);
    const value = new Uint8Array(md5Size);
    value.set(socketAddress(peer.toBytes(), 0));
    value[md5KeyLengthOffset] = key?.length ?? 0;
    if (key !== undefined) value.set(key, md5KeyOffset);
    check("setsockopt", `set the MD5 key for ${peer}`, libc.setsockopt(this.fd, levelTcp, optionMd5, value, md5Size));
  }

  /** TTL or hop limit of sent packets, 1 to 255. @throws {SystemCallError} */
  setHopLimit(hops: number): void {
    const { level, hopLimit } = options[this.family];
    this.#set(level, hopLimit, hops, `set the hop limit to ${hops}`);
  }

  /** Drops what arrives with less (RFC 5082). @throws {SystemCallError} */
  setMinimumHopLimit(hops: number): void {
    const { level, minimumHopLimit } = options[this.family];
    this.#set(level, minimumHopLimit, hops, `set the least hop limit to ${hops}`);
  }

  /** The octet of the Type of Service or Traffic Class. @throws {SystemCallError} */
  setTrafficClass(octet: number): void {
    const { level, trafficClass } = options[this.family];
    this.#set(level, trafficClass, octet, `set the traffic class to ${octet}`);
  }

  /** From now on somebody else closes it. */
  release(): number {
    if (this.#owned) disown(this.fd);
    this.#owned = false;
    return this.fd;
  }

  [Symbol.dispose](): void {
    if (this.#owned) close(this.fd);
    this.#owned = false;
  }

  #name(): Uint8Array<ArrayBuffer> {
    const name = new Uint8Array(socketAddressSize[this.family]);
    check("getsockname", "tell the port", libc.getsockname(this.fd, name, Uint32Array.of(name.length)));
    return name;
  }

  #isIpv6Only(): boolean {
    const value = new Int32Array(1);
    const result = libc.getsockopt(this.fd, options.IPv6.level, optionV6Only, value, Uint32Array.of(4));
    check("getsockopt", "tell whether IPv4 is listened on", result);
    return value[0] === 1;
  }

  #set(level: number, option: number, value: number, attempted: string): void {
    check("setsockopt", attempted, libc.setsockopt(this.fd, level, option, Int32Array.of(value), 4));
  }
}
