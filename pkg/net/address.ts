/** An address family, named as Kubernetes names it (`spec.ipFamilies`), in the order in which ties are broken. */
export type Family = "IPv4" | "IPv6";
export const families = ["IPv4", "IPv6"] as const;

const bits: Record<Family, number> = { IPv4: 32, IPv6: 128 };
const dot = 0x2e; // "."
const digitZero = 0x30;
const digitNine = 0x39;
const v4Mapped = 0xffffn << 32n; // ::ffff:0:0/96 (RFC 4291, section 2.5.5.2).

/** One address; immutable. Compare with `equals` or `compare`, use `toString()` as a map's key. */
export class Address {
  readonly family: Family;
  /** The address as an unsigned number, most significant bit first. */
  readonly value: bigint;
  #text: string | undefined;

  /**
   * An IPv6 `value` in ::ffff:0:0/96 stays IPv6 here; only what comes from outside, as text or octets, becomes IPv4.
   * @throws {RangeError} when `value` does not fit the family
   */
  constructor(family: Family, value: bigint) {
    if (value < 0n || value >> BigInt(bits[family]) !== 0n)
      throw new RangeError(`Cannot make an ${family} address: value is ${value}`);
    this.family = family;
    this.value = value;
  }

  /** 32 or 128. */
  get bits(): number {
    return bits[this.family];
  }

  /** From 4 or 16 octets in network order; an IPv4-mapped IPv6 address becomes IPv4. @throws {RangeError} for any other length */
  static fromBytes(bytes: Uint8Array): Address {
    if (bytes.length !== 4 && bytes.length !== 16)
      throw new RangeError(`Cannot make an address: ${bytes.length} octets, wanted 4 or 16`);
    let value = 0n;
    for (const byte of bytes) value = (value << 8n) | BigInt(byte);
    return bytes.length === 4 ? new Address("IPv4", value) : fromIpv6Value(value);
  }

  /** 4 or 16 octets in network order. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.bits / 8);
    let rest = this.value;
    for (let i = bytes.length - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
    return bytes;
  }

  equals(other: Address): boolean {
    return this.family === other.family && this.value === other.value;
  }

  /** IPv4 before IPv6, then by number. */
  compare(other: Address): number {
    if (this.family !== other.family) return this.family === "IPv4" ? -1 : 1;
    return this.value < other.value ? -1 : this.value > other.value ? 1 : 0;
  }

  toString(): string {
    this.#text ??= this.family === "IPv4" ? ipv4Text(Number(this.value)) : ipv6Text(this.value);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** fe80::/10, which means something on one link only (RFC 4291, section 2.5.6). Not 169.254.0.0/16. */
export function isLinkLocal({ family, value }: Address): boolean {
  return family === "IPv6" && value >> 118n === 0x3fan;
}

/** @returns a host as it stands in a URL, and before a port: an IPv6 address in brackets (RFC 3986, section 3.2.2), all else as it is */
export function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Reads an address as Go's `net.ParseIP` does. @returns undefined for anything else: a zone, a port, a prefix, blanks, leading zeros */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(":")) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : fromIpv6Value(value);
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : new Address("IPv4", BigInt(value));
}

function fromIpv6Value(value: bigint): Address {
  return value >> 32n === 0xffffn ? new Address("IPv4", value ^ v4Mapped) : new Address("IPv6", value);
}

/** By characters: statuses and cluster addresses of all Services are read again and again. */
function parseIpv4(text: string): number | undefined {
  let value = 0;
  let octets = 0; // Octets that a dot has ended.
  let octet = -1; // It has no digit yet.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === dot && octet >= 0) {
      value = value * 256 + octet;
      octets++;
      octet = -1;
    } else if (code >= digitZero && code <= digitNine && octet !== 0) {
      octet = Math.max(octet, 0) * 10 + code - digitZero;
      if (octet > 255) return undefined;
    } else return undefined; // Also what follows a zero at the beginning.
  }
  return octets === 3 && octet >= 0 ? value * 256 + octet : undefined;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return all.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** The 16-bit groups of one side of `::`; the last side may end in a dotted IPv4 address, which counts as two. */
function groups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const values: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (last && index === parts.length - 1 && part.includes(".")) {
      const dotted = parseIpv4(part);
      if (dotted === undefined) return undefined;
      values.push(Math.floor(dotted / 65536), dotted % 65536);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) values.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return values;
}

function ipv4Text(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** RFC 5952, section 4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function ipv6Text(value: bigint): string {
  const all = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let start = -1;
  let length = 1; // A run must beat this: a single zero group is not shortened.
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && all[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
    i += run;
  }
  const hex = (from: number, to?: number): string =>
    all
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return start < 0 ? hex(0) : `${hex(0, start)}::${hex(start + length)}`;
}
