import { Address, type Family, parseAddress } from "./address.ts";

/** A CIDR prefix: the masked address and its length in bits; immutable. */
export class Prefix {
  readonly address: Address;
  readonly length: number;
  #text: string | undefined;

  /** Host bits of `address` are cleared. @throws {RangeError} for a length the family does not have */
  constructor(address: Address, length: number) {
    if (!Number.isInteger(length) || length < 0 || length > address.bits)
      throw new RangeError(`Cannot make an ${address.family} prefix: length is ${length}`);
    const hostBits = BigInt(address.bits - length);
    const value = (address.value >> hostBits) << hostBits;
    this.address = value === address.value ? address : new Address(address.family, value);
    this.length = length;
  }

  get family(): Family {
    return this.address.family;
  }

  get first(): Address {
    return this.address;
  }

  get last(): Address {
    return new Address(this.family, this.address.value + this.size - 1n);
  }

  /** How many addresses it holds. */
  get size(): bigint {
    return 1n << BigInt(this.address.bits - this.length);
  }

  contains(address: Address): boolean {
    if (address.family !== this.family) return false;
    const hostBits = BigInt(address.bits - this.length);
    return address.value >> hostBits === this.address.value >> hostBits;
  }

  equals(other: Prefix): boolean {
    return this.length === other.length && this.address.equals(other.address);
  }

  toString(): string {
    this.#text ??= `${this.address}/${this.length}`;
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

/**
 * Reads `address/length`; host bits are cleared. A prefix of IPv4-mapped addresses (`::ffff:192.0.2.0/120`) becomes IPv4, so that
 * it cannot hide an overlap. @returns undefined for anything else, such as a length with a sign
 */
export function parsePrefix(text: string): Prefix | undefined {
  const [left, right, ...more] = text.split("/");
  if (left === undefined || right === undefined || more.length > 0 || !/^\d+$/.test(right)) return undefined;
  const address = parseAddress(left);
  if (address === undefined) return undefined;
  const mapped = address.family === "IPv4" && left.includes(":");
  const length = Number(right) - (mapped ? 96 : 0);
  return length < 0 || length > address.bits ? undefined : new Prefix(address, length);
}
