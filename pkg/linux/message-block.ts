import koffi from "koffi";

// struct mmsghdr of a 64-bit machine: struct msghdr, and the length of the message.
const headerOctets = 64;
const nameOffset = 0;
const nameLengthOffset = 8;
const vectorOffset = 16;
const vectorCountOffset = 24;
const controlOffset = 32;
const controlLengthOffset = 40;
const messageLengthOffset = 56;
// struct iovec: where the message is, and its length.
const vectorOctets = 16;
const vectorLengthOffset = 8;

export interface MessageRoom {
  /** The most of a message. */
  readonly octets: number;
  /** Of the address that a message comes with; 0 for none. */
  readonly nameOctets?: number;
  /** Of the control data that it comes with; 0 for none. */
  readonly controlOctets?: number;
}

/**
 * One block of memory for the messages of a system call, as recvmmsg(2) and sendmmsg(2) have it: `struct mmsghdr[capacity]`, then the
 * vectors, then for each message its address, its control data and its room. Offsets are into `view`.
 */
export class MessageBlock {
  readonly view: DataView<ArrayBuffer>;
  readonly capacity: number;
  readonly octets: number;
  readonly #nameOctets: number;
  readonly #controlOctets: number;
  readonly #slotOctets: number;
  readonly #address: bigint;

  constructor(capacity: number, { octets, nameOctets = 0, controlOctets = 0 }: MessageRoom) {
    this.capacity = capacity;
    this.octets = octets;
    this.#nameOctets = nameOctets;
    this.#controlOctets = controlOctets;
    this.#slotOctets = aligned(nameOctets) + aligned(controlOctets) + aligned(octets);
    this.view = new DataView(new ArrayBuffer(capacity * (headerOctets + vectorOctets + this.#slotOctets)));
    this.#address = koffi.address(this.view.buffer); // It stays there for as long as the buffer lives.
    for (let i = 0; i < capacity; i++) {
      if (nameOctets > 0) this.#setPointer(this.#header(i) + nameOffset, this.name(i));
      if (controlOctets > 0) this.#setPointer(this.#header(i) + controlOffset, this.control(i));
      this.#setPointer(this.#header(i) + vectorOffset, this.#vector(i));
      this.view.setBigUint64(this.#header(i) + vectorCountOffset, 1n, true);
      this.#setPointer(this.#vector(i), this.room(i));
      this.setLength(i, octets);
    }
  }

  /** Has the kernel fill in all of it again. @returns where `struct mmsghdr[capacity]` is */
  prepare(): bigint {
    for (let i = 0; i < this.capacity; i++) {
      this.view.setUint32(this.#header(i) + nameLengthOffset, this.#nameOctets, true);
      this.view.setBigUint64(this.#header(i) + controlLengthOffset, BigInt(this.#controlOctets), true);
    }
    return this.#address;
  }

  /** Where the `struct mmsghdr` of message `i` is. */
  pointer(i: number): bigint {
    return this.#address + BigInt(this.#header(i));
  }

  /** The message to send has so many octets. */
  setLength(i: number, octets: number): void {
    this.view.setBigUint64(this.#vector(i) + vectorLengthOffset, BigInt(octets), true);
  }

  /** The message that was received. */
  message(i: number): Uint8Array {
    return this.bytes(this.room(i), this.view.getUint32(this.#header(i) + messageLengthOffset, true));
  }

  name(i: number): number {
    return this.capacity * (headerOctets + vectorOctets) + i * this.#slotOctets;
  }

  /** A multiple of 8, as control data needs. */
  control(i: number): number {
    return this.name(i) + aligned(this.#nameOctets);
  }

  /** Where the control data ends that was received. */
  controlEnd(i: number): number {
    return this.control(i) + Number(this.view.getBigUint64(this.#header(i) + controlLengthOffset, true));
  }

  room(i: number): number {
    return this.control(i) + aligned(this.#controlOctets);
  }

  bytes(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.view.buffer, offset, length);
  }

  #header(i: number): number {
    return i * headerOctets;
  }

  #vector(i: number): number {
    return this.capacity * headerOctets + i * vectorOctets;
  }

  #setPointer(at: number, offset: number): void {
    this.view.setBigUint64(at, this.#address + BigInt(offset), true);
  }
}

function aligned(octets: number): number {
  return Math.ceil(octets / 8) * 8;
}
