import { MessageBlock } from "./message-block.ts";

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

const addressOctets = 20; // struct sockaddr_ll
const arrivalOffset = 10; // sll_pkttype

/** Room for the frames that one system call receives. */
export class ReceiveBatch {
  readonly capacity: number;
  readonly #messages: MessageBlock;

  /** `octets`: the most that is kept of a frame. */
  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.#messages = new MessageBlock(capacity, { octets, nameOctets: addressOctets });
  }

  /** For `PacketSocket`: where `struct mmsghdr[capacity]` is, ready to be filled. */
  prepare(): bigint {
    return this.#messages.prepare();
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

  /** `octets`: the longest frame. */
  constructor(capacity: number, octets: number) {
    this.capacity = capacity;
    this.#messages = new MessageBlock(capacity, { octets });
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a copy of `frame`. @throws {RangeError} when the batch is full, or the frame is too long for it */
  push(frame: Uint8Array): void {
    const { capacity, octets } = this.#messages;
    if (this.#size === capacity || frame.length > octets)
      throw new RangeError(`Cannot add a frame of ${frame.length} octets: ${capacity - this.#size} fit, of ${octets} octets`);
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
