import { ofInterface } from "./codec/filter.ts";
import { close, closeAside, openSocket } from "./descriptors.ts";
import {
  attachFilter,
  check,
  checkNonBlocking,
  failure,
  levelSocket,
  libc,
  optionReceiveBuffer,
  type SystemCallError,
} from "./libc.ts";
import type { ReceiveBatch, SendBatch } from "./message-batches.ts";

/** `experimental`: the first of the two local ones (IEEE 802, section 9.2.3). */
export const EtherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, experimental: 0x88b5 } as const;

/** A frame of a batch that could not be sent. */
export interface SendFailure {
  readonly index: number;
  /** Such as EAGAIN when the send queue is full, ENOBUFS, ENETDOWN, ENXIO. */
  readonly error: SystemCallError;
}

const familyPacket = 17; // AF_PACKET
const levelPacket = 263; // SOL_PACKET
const optionStatistics = 6; // PACKET_STATISTICS
const addressLength = 20; // struct sockaddr_ll
// Room for a burst. The kernel doubles it and cuts it to net.core.rmem_max; that is some hundred small frames.
const receiveBufferSize = 1 << 20;

/** Sends and receives the Ethernet frames of one EtherType on one interface (packet(7)). Never blocks. */
export class PacketSocket implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /**
   * `filter` is a classic BPF program (see `etherTypeFilter`). It is attached before the socket can receive, so that no frame slips by.
   * @throws {SystemCallError} EPERM without CAP_NET_RAW; ENODEV when the interface is gone
   */
  static open(interfaceIndex: number, etherType: number, filter: Uint8Array): PacketSocket {
    const attempted = `open a packet socket on interface ${interfaceIndex}`;
    // Protocol 0 receives nothing until the bind below names one.
    using stack = new DisposableStack();
    const socket = stack.use(new PacketSocket(openSocket(attempted, familyPacket, "raw")));
    attachFilter(socket.fd, ofInterface(interfaceIndex, filter), attempted);
    const size = Int32Array.of(receiveBufferSize);
    check("setsockopt", attempted, libc.setsockopt(socket.fd, levelSocket, optionReceiveBuffer, size, 4));
    check("bind", attempted, libc.bind(socket.fd, linkAddress(interfaceIndex, etherType), addressLength));
    stack.move();
    return socket;
  }

  /** Proves that this process may open packet sockets. @throws {SystemCallError} EPERM without CAP_NET_RAW */
  static probe(): void {
    close(openSocket("open a packet socket", familyPacket, "raw"));
  }

  /**
   * Reads the frames that are waiting, as many as `batch` takes. @returns how many there are in it now
   * @throws {SystemCallError} ENETDOWN once after the interface went down or away; the socket goes on if it comes up again
   */
  receive(batch: ReceiveBatch): number {
    return batch.receive(this.fd);
  }

  /** Sends the frames of `batch` in order; they stay in it. One that cannot be sent does not keep back the next. */
  send(batch: SendBatch): SendFailure[] {
    const failures: SendFailure[] = [];
    for (let next = 0; next < batch.size; ) {
      const result = libc.sendmmsg(this.fd, batch.pointer(next), batch.size - next, 0);
      if (result > 0) next += result;
      else failures.push({ index: next++, error: failure("sendmmsg", "send a frame") });
    }
    return failures;
  }

  /** How many frames the kernel dropped since the last call because the receive queue was full. @throws {SystemCallError} */
  takeDropped(): number {
    const statistics = new Uint32Array(2); // struct tpacket_stats: packets, of which drops. Reading resets them.
    const result = libc.getsockopt(this.fd, levelPacket, optionStatistics, statistics, Uint32Array.of(8));
    check("getsockopt", "read the statistics of a packet socket", result);
    return statistics[1] ?? 0;
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }

  /** Closes it beside this thread, for which the kernel takes some 13 ms. To be called by a thread that enters its event loop. */
  closeAside(): void {
    closeAside(this.fd);
  }
}

/** Sends and receives the packets of one EtherType on one interface, without their Ethernet headers (packet(7)). Never blocks. */
export class CookedPacketSocket implements Disposable {
  readonly fd: number;
  readonly #interfaceIndex: number;
  readonly #etherType: number;
  readonly #room: Uint8Array;
  readonly #address = new Uint8Array(addressLength);
  readonly #addressLength = new Uint32Array(1);

  private constructor(fd: number, interfaceIndex: number, etherType: number, size: number) {
    this.fd = fd;
    this.#interfaceIndex = interfaceIndex;
    this.#etherType = etherType;
    this.#room = new Uint8Array(size);
  }

  /**
   * `filter` is a classic BPF program over the packet; `size` is the most that is kept of one.
   * @throws {SystemCallError} EPERM without CAP_NET_RAW; ENODEV when the interface is gone
   */
  static open(interfaceIndex: number, etherType: number, filter: Uint8Array, size: number): CookedPacketSocket {
    const attempted = `open a packet socket on interface ${interfaceIndex}`;
    // Protocol 0 receives nothing until the bind below names one.
    using stack = new DisposableStack();
    const fd = openSocket(attempted, familyPacket, "datagram");
    const socket = stack.use(new CookedPacketSocket(fd, interfaceIndex, etherType, size));
    attachFilter(fd, ofInterface(interfaceIndex, filter), attempted);
    check("bind", attempted, libc.bind(fd, linkAddress(interfaceIndex, etherType), addressLength));
    stack.move();
    return socket;
  }

  /** Sends a packet to a MAC address. @returns false when the send queue is full, and it is lost @throws {SystemCallError} */
  send(packet: Uint8Array, mac: Uint8Array): boolean {
    const result = libc.sendto(
      this.fd,
      packet,
      packet.length,
      0,
      linkAddress(this.#interfaceIndex, this.#etherType, mac),
      addressLength,
    );
    return checkNonBlocking("sendto", "send a packet", result) !== undefined;
  }

  /**
   * The next packet that came, a view valid until the next call; undefined if no packet waits.
   * @throws {SystemCallError} ENETDOWN once after the interface went down or away
   */
  receive(): Uint8Array | undefined {
    this.#addressLength[0] = addressLength;
    const result = libc.recvfrom(this.fd, this.#room, this.#room.length, 0, this.#address, this.#addressLength);
    const length = checkNonBlocking("recvfrom", "receive a packet", result);
    return length === undefined ? undefined : this.#room.subarray(0, length);
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

const noMac: Uint8Array = new Uint8Array();

/** struct sockaddr_ll: family, protocol in network order, interface, and the MAC address with its length. */
function linkAddress(interfaceIndex: number, etherType: number, mac = noMac): Uint8Array {
  const view = new DataView(new ArrayBuffer(addressLength));
  view.setUint16(0, familyPacket, true);
  view.setUint16(2, etherType);
  view.setInt32(4, interfaceIndex, true);
  view.setUint8(11, mac.length);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(mac, 12);
  return bytes;
}
