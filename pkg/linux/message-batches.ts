import koffi from "koffi";
import { decodeSender, type Sender, socketAddressSize } from "./codec/socket-address.ts";
import { checkNonBlocking, levelSocket, libc } from "./libc.ts";

// struct mmsghdr of a 64-bit machine: struct msghdr, and the length of the message.
const headerSize = 64;
const nameOffset = 0;
const nameLengthOffset = 8;
const vectorOffset = 16;
const vectorCountOffset = 24;
const controlOffset = 32;
const controlLengthOffset = 40;
const messageLengthOffset = 56;
// struct iovec: where the message is, and its length.
const vectorSize = 16;
const vectorLengthOffset = 8;

export interface MessageRoom {
  /** The most of a message. */
  readonly size: number;
  /** Size of the address that comes with a message; 0 for no address. */
  readonly nameSize?: number;
  /** Size of the control data that comes with it; 0 for no control data. */
  readonly controlSize?: number;
}

/**
 * One block of memory for the messages of a system call, as recvmmsg(2) and sendmmsg(2) have it: `struct mmsghdr[capacity]`, then the
 * vectors, then for each message its address, its control data and its room. Offsets are into `view`.
 */
export class MessageBlock {
  readonly view: DataView<ArrayBuffer>;
  readonly capacity: number;
  readonly size: number;
  readonly #nameSize: number;
  readonly #controlSize: number;
  readonly #slotSize: number;
  readonly #address: bigint;
  #spent: number; // The kernel has overwritten the lengths of this many first messages.

  constructor(capacity: number, { size, nameSize = 0, controlSize = 0 }: MessageRoom) {
    this.capacity = capacity;
    this.size = size;
    this.#spent = capacity;
    this.#nameSize = nameSize;
    this.#controlSize = controlSize;
    this.#slotSize = aligned(nameSize) + aligned(controlSize) + aligned(size);
    this.view = new DataView(new ArrayBuffer(capacity * (headerSize + vectorSize + this.#slotSize)));
    this.#address = koffi.address(this.view.buffer); // It stays there for as long as the buffer lives.
    for (let i = 0; i < capacity; i++) {
      if (nameSize > 0) this.#setPointer(this.#header(i) + nameOffset, this.name(i));
      if (controlSize > 0) this.#setPointer(this.#header(i) + controlOffset, this.control(i));
      this.#setPointer(this.#header(i) + vectorOffset, this.#vector(i));
      this.view.setBigUint64(this.#header(i) + vectorCountOffset, 1n, true);
      this.#setPointer(this.#vector(i), this.room(i));
      this.setLength(i, size);
    }
  }

  /** Receives what waits at a socket, by recvmmsg(2). `attempted` completes "Cannot …". @returns how many messages @throws {SystemCallError} */
  receive(fd: number, attempted: string): number {
    for (let i = 0; i < this.#spent; i++) {
      this.view.setUint32(this.#header(i) + nameLengthOffset, this.#nameSize, true);
      this.view.setBigUint64(this.#header(i) + controlLengthOffset, BigInt(this.#controlSize), true);
    }
    const result = libc.recvmmsg(fd, this.#address, this.capacity, 0, null);
    this.#spent = checkNonBlocking("recvmmsg", attempted, result) ?? 0;
    return this.#spent;
  }

  /** Where the `struct mmsghdr` of message `i` is. */
  pointer(i: number): bigint {
    return this.#address + BigInt(this.#header(i));
  }

  /** Sets the length of the message to send. */
  setLength(i: number, size: number): void {
    this.view.setBigUint64(this.#vector(i) + vectorLengthOffset, BigInt(size), true);
  }

  /** The message that was received. */
  message(i: number): Uint8Array {
    return this.bytes(this.room(i), this.view.getUint32(this.#header(i) + messageLengthOffset, true));
  }

  name(i: number): number {
    return this.capacity * (headerSize + vectorSize) + i * this.#slotSize;
  }

  /** A multiple of 8, as control data needs. */
  control(i: number): number {
    return this.name(i) + aligned(this.#nameSize);
  }

  /** Where the control data ends that was received. */
  controlEnd(i: number): number {
    return this.control(i) + Number(this.view.getBigUint64(this.#header(i) + controlLengthOffset, true));
  }

  room(i: number): number {
    return this.control(i) + aligned(this.#controlSize);
  }

  bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.view.buffer, offset, length);
  }

  #header(i: number): number {
    return i * headerSize;
  }

  #vector(i: number): number {
    return this.capacity * headerSize + i * vectorSize;
  }

  #setPointer(at: number, offset: number): void {
    this.view.setBigUint64(at, this.#address + BigInt(offset), true);
  }
}

function aligned(size: number): number {
  return Math.ceil(size / 8) * 8;
}

/**
 * How a frame came, by the kernel's judgement: `host` and `broadcast` are for this interface; `otherHost` also covers a VLAN that
 * the machine does not know; `outgoing` was sent by this machine.
 */
export type Arrival = "host" | "broadcast" | "multicast" | "otherHost" | "outgoing";
const arrivals: readonly Arrival[] = ["host", "broadcast", "multicast", "otherHost", "outgoing"]; // By linux/if_packet.h.

/** `frame` is a view into a batch, from the Ethernet header on, cut at what the filter keeps. */
export interface ReceivedFrame {
  readonly frame: Uint8Array;
  readonly arrival: Arrival;
}

const addressSize = 20; // struct sockaddr_ll
const arrivalOffset = 10; // sll_pkttype

/** Room for the frames that one system call receives. */
export class ReceiveBatch {
  readonly capacity: number;
  readonly #messages: MessageBlock;

  /** `size`: the most that is kept of a frame. */
  constructor(capacity: number, size: number) {
    this.capacity = capacity;
    this.#messages = new MessageBlock(capacity, { size, nameSize: addressSize });
  }

  /** For `PacketSocket`. */
  receive(fd: number): number {
    return this.#messages.receive(fd, "receive frames");
  }

  /** Frame `i` of those received last, valid until the next are. */
  frame(i: number): ReceivedFrame {
    const type = this.#messages.view.getUint8(this.#messages.name(i) + arrivalOffset);
    return { frame: this.#messages.message(i), arrival: arrivals[type] ?? "otherHost" };
  }
}

/** Frames that one system call sends. */
export class SendBatch {
  readonly capacity: number;
  readonly #messages: MessageBlock;
  #size = 0;

  /** `size`: the longest frame. */
  constructor(capacity: number, size: number) {
    this.capacity = capacity;
    this.#messages = new MessageBlock(capacity, { size });
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a copy of `frame`. @throws {RangeError} when the batch is full, or the frame is too long for it */
  push(frame: Uint8Array): void {
    const { capacity, size } = this.#messages;
    if (this.#size === capacity || frame.length > size)
      throw new RangeError(`Cannot add a frame of ${frame.length} bytes: ${capacity - this.#size} fit, of ${size} bytes`);
    this.#messages.bytes(this.#messages.room(this.#size), frame.length).set(frame);
    this.#messages.setLength(this.#size++, frame.length);
  }

  clear(): void {
    this.#size = 0;
  }

  /** For `PacketSocket`: where the `struct mmsghdr` of frame `i` is. */
  pointer(i: number): bigint {
    return this.#messages.pointer(i);
  }
}

/** A datagram and its sender. All bytes are views into the batch, valid until the next are received. */
export interface SentDatagram extends Sender {
  readonly bytes: Uint8Array;
}

/** A datagram with the kernel's data about its way. */
export interface ReceivedDatagram extends SentDatagram {
  readonly destination: Uint8Array;
  readonly interfaceIndex: number;
  /** The TTL or hop limit that it came with. */
  readonly ttl: number;
  /** When it arrived, in milliseconds since 1970 by the machine's date; undefined unless the socket stamps what arrives. */
  readonly arrivedAt: number | undefined;
}

const controlSize = 128;
// struct cmsghdr: its length with what follows, level, type. The next begins at a multiple of 8.
const controlHeaderSize = 16;

const levelIp = 0; // IPPROTO_IP
const levelIpv6 = 41; // IPPROTO_IPV6
const ControlType = { ipTtl: 2, ipPacketInfo: 8, timestamp: 35, ipv6PacketInfo: 50, ipv6HopLimit: 52 } as const;

/** Room for the datagrams that one system call receives. */
export class DatagramBatch {
  readonly capacity: number;
  readonly #messages: MessageBlock;

  /** `size`: the most that is kept of a datagram. */
  constructor(capacity: number, size: number) {
    this.capacity = capacity;
    this.#messages = new MessageBlock(capacity, { size, nameSize: socketAddressSize.IPv6, controlSize });
  }

  /** For `UdpSocket`. */
  receive(fd: number): number {
    return this.#messages.receive(fd, "receive datagrams");
  }

  /** Datagram `i` of those received last. */
  sent(i: number): SentDatagram {
    const messages = this.#messages;
    return { bytes: messages.message(i), ...decodeSender(messages.view, messages.name(i)) };
  }

  /** Datagram `i` of those received last; undefined where the kernel did not say where it came, as to a socket of both families. */
  datagram(i: number): ReceivedDatagram | undefined {
    const messages = this.#messages;
    const { view } = messages;
    let ttl: number | undefined;
    let destination: Uint8Array | undefined;
    let interfaceIndex = 0;
    let arrivedAt: number | undefined;
    const end = messages.controlEnd(i);
    for (let at = messages.control(i); at + controlHeaderSize <= end; ) {
      const length = Number(view.getBigUint64(at, true));
      if (length < controlHeaderSize || at + length > end) break;
      const level = view.getInt32(at + 8, true);
      const type = view.getInt32(at + 12, true);
      const data = at + controlHeaderSize;
      if (level === levelIp && type === ControlType.ipTtl) ttl = view.getInt32(data, true);
      else if (level === levelIpv6 && type === ControlType.ipv6HopLimit) ttl = view.getInt32(data, true);
      else if (level === levelIp && type === ControlType.ipPacketInfo) {
        interfaceIndex = view.getInt32(data, true);
        destination = messages.bytes(data + 8, 4);
      } else if (level === levelIpv6 && type === ControlType.ipv6PacketInfo) {
        interfaceIndex = view.getInt32(data + 16, true);
        destination = messages.bytes(data, 16);
      } else if (level === levelSocket && type === ControlType.timestamp)
        arrivedAt = Number(view.getBigInt64(data, true)) * 1000 + Number(view.getBigInt64(data + 8, true)) / 1e6; // struct timespec
      at += Math.ceil(length / 8) * 8;
    }
    if (ttl === undefined || destination === undefined) return undefined;
    return { ...this.sent(i), destination, interfaceIndex, ttl, arrivedAt };
  }
}
