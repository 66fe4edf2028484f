import { check, checkNonBlocking, filterProgramSize, flagCloseOnExec, flagNonBlocking, levelSocket, libc } from "./libc.ts";

const familyPacket = 17; // AF_PACKET
const typeDatagram = 2; // SOCK_DGRAM
const optionAttachFilter = 26; // SO_ATTACH_FILTER
const addressOctets = 20; // struct sockaddr_ll

/** Sends and receives the packets of one EtherType on one interface, without their Ethernet headers (packet(7)). Never blocks. */
export class CookedPacketSocket implements Disposable {
  readonly fd: number;
  readonly #interfaceIndex: number;
  readonly #etherType: number;
  readonly #room: Uint8Array;
  readonly #address = new Uint8Array(addressOctets);
  readonly #addressLength = new Uint32Array(1);

  private constructor(fd: number, interfaceIndex: number, etherType: number, octets: number) {
    this.fd = fd;
    this.#interfaceIndex = interfaceIndex;
    this.#etherType = etherType;
    this.#room = new Uint8Array(octets);
  }

  /**
   * `filter` is a classic BPF program over the packet; `octets` is the most that is kept of one.
   * @throws {SystemCallError} EPERM without CAP_NET_RAW; ENODEV when the interface is gone
   */
  static open(interfaceIndex: number, etherType: number, filter: Uint8Array, octets: number): CookedPacketSocket {
    const attempted = `open a packet socket on interface ${interfaceIndex}`;
    // Protocol 0 receives nothing until the bind below names one.
    const fd = check("socket", attempted, libc.socket(familyPacket, typeDatagram | flagNonBlocking | flagCloseOnExec, 0));
    const socket = new CookedPacketSocket(fd, interfaceIndex, etherType, octets);
    try {
      const program = { len: filter.length / 8, filter };
      check("setsockopt", attempted, libc.attachFilter(fd, levelSocket, optionAttachFilter, program, filterProgramSize));
      check("bind", attempted, libc.bind(fd, socket.#linkAddress(new Uint8Array(0)), addressOctets));
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends a packet to a MAC address. @returns false when the send queue is full, and it is lost @throws {SystemCallError} */
  send(packet: Uint8Array, mac: Uint8Array): boolean {
    const result = libc.sendto(this.fd, packet, packet.length, 0, this.#linkAddress(mac), addressOctets);
    return checkNonBlocking("sendto", "send a packet", result) !== undefined;
  }

  /**
   * The next packet that came, a view valid until the next call; undefined when none is waiting.
   * @throws {SystemCallError} ENETDOWN once after the interface went down or away
   */
  receive(): Uint8Array | undefined {
    this.#addressLength[0] = addressOctets;
    const result = libc.recvfrom(this.fd, this.#room, this.#room.length, 0, this.#address, this.#addressLength);
    const length = checkNonBlocking("recvfrom", "receive a packet", result);
    return length === undefined ? undefined : this.#room.subarray(0, length);
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }

  /** struct sockaddr_ll: family, protocol in network order, interface, and the MAC with its length. */
  #linkAddress(mac: Uint8Array): Uint8Array {
    const view = new DataView(new ArrayBuffer(addressOctets));
    view.setUint16(0, familyPacket, true);
    view.setUint16(2, this.#etherType);
    view.setInt32(4, this.#interfaceIndex, true);
    view.setUint8(11, mac.length);
    const bytes = new Uint8Array(view.buffer);
    bytes.set(mac, 12);
    return bytes;
  }
}
