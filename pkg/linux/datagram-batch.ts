import { MessageBlock } from "./message-block.ts";

/** A datagram with what the kernel knows of its way. All octets are views into the batch, valid until the next are received. */
export interface ReceivedDatagram {
  readonly bytes: Uint8Array;
  /** 4 or 16 octets in network order. */
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly interfaceIndex: number;
  /** The TTL or hop limit that it came with. */
  readonly ttl: number;
}

const nameOctets = 28; // struct sockaddr_in6, of which struct sockaddr_in is shorter.
const controlOctets = 128;
// struct cmsghdr: its length with what follows, level, type. The next begins at a multiple of 8.
const controlHeaderOctets = 16;

const familyInet = 2;
const levelIp = 0; // IPPROTO_IP
const levelIpv6 = 41; // IPPROTO_IPV6
const ControlType = { ipTtl: 2, ipPacketInfo: 8, ipv6PacketInfo: 50, ipv6HopLimit: 52 } as const;

/** Room for the datagrams that one system call receives. */
export class DatagramBatch {
  readonly capacity: number;
  readonly #messages: MessageBlock;

  /** `octets`: the most that is kept of a datagram. */
  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.#messages = new MessageBlock(capacity, { octets, nameOctets, controlOctets });
  }

  /** For `UdpSocket`: where `struct mmsghdr[capacity]` is, ready to be filled. */
  prepare(): bigint {
    return this.#messages.prepare();
  }

  /** Datagram `i` of those received last; undefined where the kernel did not say whence and where it came. */
  datagram(i: number): ReceivedDatagram | undefined {
    const messages = this.#messages;
    const { view } = messages;
    const name = messages.name(i);
    const v4 = view.getUint16(name, true) === familyInet;
    let ttl: number | undefined;
    let destination: Uint8Array | undefined;
    let interfaceIndex = 0;
    const end = messages.controlEnd(i);
    for (let at = messages.control(i); at + controlHeaderOctets <= end; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < controlHeaderOctets || at + length > end) break;
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      const data = at + controlHeaderOctets;
      if (level === levelIp && type === ControlType.ipTtl) ttl = view.getInt32(data, true);
      else if (level === levelIpv6 && type === ControlType.ipv6HopLimit) ttl = view.getInt32(data, true);
      else if (level === levelIp && type === ControlType.ipPacketInfo) {
        interfaceIndex = view.getInt32(data, true);
        destination = messages.bytes(data + 8, 4);
      } else if (level === levelIpv6 && type === ControlType.ipv6PacketInfo) {
        interfaceIndex = view.getInt32(data + 16, true);
        destination = messages.bytes(data, 16);
      }
      at += Math.ceil(length / 8) * 8;
    }
    if (ttl === undefined || destination === undefined) return undefined;
    return {
      bytes: messages.message(i),
      source: v4 ? messages.bytes(name + 4, 4) : messages.bytes(name + 8, 16),
      sourcePort: view.getUint16(name + 2),
      destination,
      interfaceIndex,
      ttl,
    };
  }
}
