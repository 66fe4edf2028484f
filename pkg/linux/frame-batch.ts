import koffi from "koffi";

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

// struct mmsghdr of a 64-bit machine: struct msghdr, and the length of the message.
const headerOctets = 64;
const nameOffset = 0;
const nameLengthOffset = 8;
const vectorOffset = 16;
const vectorCountOffset = 24;
const messageLengthOffset = 56;
// struct iovec: where the frame is, and its length.
const vectorOctets = 16;
const vectorLengthOffset = 8;
const addressOctets = 20; // struct sockaddr_ll
const arrivalOffset = 10; // sll_pkttype

/** One block of memory: headers, then for each frame its vector, its address and its room. */
class Messages {
  readonly view: DataView<ArrayBuffer>;
  readonly capacity: number;
  readonly octets: number;
  readonly #address: bigint;

  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.octets = octets;
    this.view = new DataView(new ArrayBuffer(capacity * (headerOctets + vectorOctets + addressOctets + octets)));
    this.#address = koffi.address(this.view.buffer); // It stays there for as long as the buffer lives.
    for (let i = 0; i < capacity; i++) {
      this.view.setBigUint64(this.header(i) + vectorOffset, this.pointer(this.vector(i)), true);
      this.view.setBigUint64(this.header(i) + vectorCountOffset, 1n, true);
      this.view.setBigUint64(this.vector(i), this.pointer(this.room(i)), true);
      this.view.setBigUint64(this.vector(i) + vectorLengthOffset, BigInt(octets), true);
    }
  }

  header(i: number): number {
    return i * headerOctets;
  }

  vector(i: number): number {
    return this.capacity * headerOctets + i * vectorOctets;
  }

  address(i: number): number {
    return this.capacity * (headerOctets + vectorOctets) + i * addressOctets;
  }

  room(i: number): number {
    return this.capacity * (headerOctets + vectorOctets + addressOctets) + i * this.octets;
  }

  pointer(offset: number): bigint {
    return this.#address + BigInt(offset);
  }
}

/** Room for the frames that one system call receives. */
export class ReceiveBatch {
  readonly capacity: number;
  readonly #messages: Messages;

  /** `octets`: the most that is kept of a frame. */
  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.#messages = new Messages(capacity, octets);
    const { view } = this.#messages;
    for (let i = 0; i < capacity; i++)
      view.setBigUint64(this.#messages.header(i) + nameOffset, this.#messages.pointer(this.#messages.address(i)), true);
  }

  /** For `PacketSocket`: where `struct mmsghdr[capacity]` is, ready to be filled. */
  prepare(): bigint {
    for (let i = 0; i < this.capacity; i++)
      this.#messages.view.setUint32(this.#messages.header(i) + nameLengthOffset, addressOctets, true);
    return this.#messages.pointer(0);
  }

  /** Frame `i` of those received last, valid until the next are. */
  frame(i: number): ReceivedFrame {
    const { view } = this.#messages;
    const length = view.getUint32(this.#messages.header(i) + messageLengthOffset, true);
    return {
      frame: new Uint8Array(view.buffer, this.#messages.room(i), length),
      arrival: arrivals[view.getUint8(this.#messages.address(i) + arrivalOffset)] ?? "otherHost",
    };
  }
}

/** Frames that one system call sends. */
export class SendBatch {
  readonly capacity: number;
  readonly #messages: Messages;
  #size = 0;

  /** `octets`: the longest frame. */
  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.#messages = new Messages(capacity, octets);
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a copy of `frame`. @throws {RangeError} when the batch is full, or the frame is too long for it */
  push(frame: Uint8Array): void {
    const { view, capacity, octets } = this.#messages;
    if (this.#size === capacity || frame.length > octets)
      throw new RangeError(`Cannot add a frame of ${frame.length} octets: ${capacity - this.#size} fit, of ${octets} octets`);
    new Uint8Array(view.buffer, this.#messages.room(this.#size)).set(frame);
    view.setUint32(this.#messages.vector(this.#size++) + vectorLengthOffset, frame.length, true);
  }

  clear(): void {
    this.#size = 0;
  }

  /** For `PacketSocket`: where the `struct mmsghdr` of frame `i` is. */
  pointer(i: number): bigint {
    return this.#messages.pointer(this.#messages.header(i));
  }
}
