import koffi from "koffi";

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

// struct mmsghdr of a 64-bit machine: struct msghdr, and the length of the message.
const headerOctets = 64;
const nameOffset = 0;
const nameLengthOffset = 8;
const vectorOffset = 16;
const vectorCountOffset = 24;
const controlOffset = 32;
const controlLengthOffset = 40;
const messageLengthOffset = 56;
const vectorOctets = 16;
const vectorLengthOffset = 8;
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
  readonly #octets: number;
  readonly #view: DataView<ArrayBuffer>;
  readonly #address: bigint;

  /** `octets`: the most that is kept of a datagram. */
  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.#octets = Math.ceil(octets / 8) * 8;
    this.#view = new DataView(new ArrayBuffer(capacity * (headerOctets + vectorOctets + this.#slotOctets)));
    this.#address = koffi.address(this.#view.buffer); // It stays there for as long as the buffer lives.
    for (let i = 0; i < capacity; i++) {
      const header = i * headerOctets;
      const vector = capacity * headerOctets + i * vectorOctets;
      this.#setPointer(header + nameOffset, this.#name(i));
      this.#setPointer(header + vectorOffset, vector);
      this.#view.setBigUint64(header + vectorCountOffset, 1n, true);
      this.#setPointer(header + controlOffset, this.#control(i));
      this.#setPointer(vector, this.#room(i));
      this.#view.setBigUint64(vector + vectorLengthOffset, BigInt(octets), true);
    }
  }

  /** For `UdpSocket`: where `struct mmsghdr[capacity]` is, ready to be filled. */
  prepare(): bigint {
    for (let i = 0; i < this.capacity; i++) {
      this.#view.setUint32(i * headerOctets + nameLengthOffset, nameOctets, true);
      this.#view.setBigUint64(i * headerOctets + controlLengthOffset, BigInt(controlOctets), true);
    }
    return this.#address;
  }

  /** Datagram `i` of those received last; undefined where the kernel did not say whence and where it came. */
  datagram(i: number): ReceivedDatagram | undefined {
    const view = this.#view;
    const name = this.#name(i);
    const v4 = view.getUint16(name, true) === familyInet;
    let ttl: number | undefined;
    let destination: Uint8Array | undefined;
    let interfaceIndex = 0;
    const end = this.#control(i) + Number(view.getBigUint64(i * headerOctets + controlLengthOffset, true));
    for (let at = this.#control(i); at + controlHeaderOctets <= end; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < controlHeaderOctets || at + length > end) break;
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      const data = at + controlHeaderOctets;
      if (level === levelIp && type === ControlType.ipTtl) ttl = view.getInt32(data, true);
      else if (level === levelIpv6 && type === ControlType.ipv6HopLimit) ttl = view.getInt32(data, true);
      else if (level === levelIp && type === ControlType.ipPacketInfo) {
        interfaceIndex = view.getInt32(data, true);
        destination = this.#bytes(data + 8, 4);
      } else if (level === levelIpv6 && type === ControlType.ipv6PacketInfo) {
        interfaceIndex = view.getInt32(data + 16, true);
        destination = this.#bytes(data, 16);
      }
      at += Math.ceil(length / 8) * 8;
    }
    if (ttl === undefined || destination === undefined) return undefined;
    return {
      bytes: this.#bytes(this.#room(i), view.getUint32(i * headerOctets + messageLengthOffset, true)),
      source: v4 ? this.#bytes(name + 4, 4) : this.#bytes(name + 8, 16),
      sourcePort: view.getUint16(name + 2),
      ...{ destination, interfaceIndex, ttl },
    };
  }

  get #slotOctets(): number {
    return 32 + controlOctets + this.#octets; // The address is given a multiple of 8, as the control data needs.
  }

  #name(i: number): number {
    return this.capacity * (headerOctets + vectorOctets) + i * this.#slotOctets;
  }

  #control(i: number): number {
    return this.#name(i) + 32;
  }

  #room(i: number): number {
    return this.#control(i) + controlOctets;
  }

  #bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, offset, length);
  }

  #setPointer(at: number, offset: number): void {
    this.#view.setBigUint64(at, this.#address + BigInt(offset), true);
  }
}
