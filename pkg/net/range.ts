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

  toString(): string {
    return `${this.first}-${this.last}`;
  }
}

/** Reads `first-last`, with blanks around the dash allowed; otherwise says what is wrong. */
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

function trailingZeros(value: bigint): number {
  let count = 0;
  for (let rest = value; (rest & 1n) === 0n; rest >>= 1n) count++;
  return count;
}
