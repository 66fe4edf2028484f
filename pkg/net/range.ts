import { Address, type Family, parseAddress } from "./address.ts";
import { Prefix } from "./prefix.ts";

/** Why a text is not a range. */
export type RangeProblem = "notARange" | "badFirst" | "badLast" | "mixedFamilies" | "lastBeforeFirst";

/** All addresses from `first` to `last`, both included; never empty; immutable. */
export class AddressRange {
  readonly first: Address;
  readonly last: Address;

  /** @throws {RangeError} for mixed families or a last below the first */
  constructor(first: Address, last: Address) {
    if (first.family !== last.family || first.value > last.value) throw new RangeError(`Cannot make a range: ${first}-${last}`);
    this.first = first;
    this.last = last;
  }

  static ofPrefix(prefix: Prefix): AddressRange {
    return new AddressRange(prefix.first, prefix.last);
  }

  get family(): Family {
    return this.first.family;
  }

  get size(): bigint {
    return this.last.value - this.first.value + 1n;
  }

  contains(address: Address): boolean {
    return address.family === this.family && this.first.value <= address.value && address.value <= this.last.value;
  }

  overlaps(other: AddressRange): boolean {
    return this.family === other.family && this.first.value <= other.last.value && other.first.value <= this.last.value;
  }

  /** The fewest CIDR prefixes that hold exactly these addresses, lowest first; at most 2 × bits − 2 of them. */
  toPrefixes(): Prefix[] {
    const prefixes: Prefix[] = [];
    const { family, bits } = this.first;
    let start = this.first.value;
    while (start <= this.last.value) {
      let hostBits = start === 0n ? bits : trailingZeros(start);
      while (start + (1n << BigInt(hostBits)) - 1n > this.last.value) hostBits--;
      prefixes.push(new Prefix(new Address(family, start), bits - hostBits));
      start += 1n << BigInt(hostBits);
    }
    return prefixes;
  }

  /** How many `toPrefixes` are, found without making them. */
  get prefixCount(): number {
    if (this.#isPrefix) return 1;
    const { below, above } = this.#halves;
    return countOnes(below) + countOnes(above);
  }

  /** The first of the largest of `toPrefixes`, found without making them. */
  get largestPrefix(): Prefix {
    const { family, bits } = this.first;
    if (this.#isPrefix) return new Prefix(this.first, bits - highestBit(this.size));
    const { middle, below, above } = this.#halves;
    const [hostBits, hostBitsAbove] = [highestBit(below), highestBit(above)];
    return hostBits < hostBitsAbove
      ? new Prefix(new Address(family, middle), bits - hostBitsAbove)
      : new Prefix(new Address(family, middle - (1n << BigInt(hostBits))), bits - hostBits);
  }

  get #isPrefix(): boolean {
    const hostMask = this.size - 1n;
    return ((this.size | this.first.value) & hostMask) === 0n;
  }

  /**
   * The range in two halves: below the address where the highest bit in which both ends differ becomes 1, and the rest. Each half begins
   * or ends at a multiple of more than its size. So each bit that is set in its size stands for one prefix, the largest one at that address.
   */
  get #halves(): { readonly middle: bigint; readonly below: bigint; readonly above: bigint } {
    const { value: first } = this.first;
    const { value: last } = this.last;
    const shift = BigInt(Math.max(0, highestBit(first ^ last)));
    const middle = (last >> shift) << shift;
    return { middle, below: middle - first, above: last - middle + 1n };
  }

  toString(): string {
    return `${this.first}-${this.last}`;
  }
}

/** Reads `first-last`, with blanks around the dash allowed; returns the problem of other text. */
export function parseRange(text: string): AddressRange | RangeProblem {
  const [left, right, ...more] = text.split("-");
  if (left === undefined || right === undefined || more.length > 0) return "notARange";
  const first = parseAddress(left.trim());
  if (first === undefined) return "badFirst";
  const last = parseAddress(right.trim());
  if (last === undefined) return "badLast";
  if (first.family !== last.family) return "mixedFamilies";
  return first.value > last.value ? "lastBeforeFirst" : new AddressRange(first, last);
}

/** Counted from 0; -1 where none is set. */
function highestBit(value: bigint): number {
  return value === 0n ? -1 : value.toString(2).length - 1;
}

function countOnes(value: bigint): number {
  return value.toString(2).replaceAll("0", "").length;
}

function trailingZeros(value: bigint): number {
  let count = 0;
  for (let rest = value; (rest & 1n) === 0n; rest >>= 1n) count++;
  return count;
}
