/** The part of DER (ITU-T X.690) that a certificate needs, written and never read. Each function gives one whole element. */
const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

export function sequence(...elements: readonly Uint8Array[]): Uint8Array {
  return element(tag.sequence, Buffer.concat(elements));
}

export function set(...elements: readonly Uint8Array[]): Uint8Array {
  return element(tag.set, Buffer.concat(elements));
}

/** Context-specific: around another element, or in place of its tag. */
export function context(number: number, content: Uint8Array, form: "constructed" | "primitive" = "constructed"): Uint8Array {
  return element((form === "constructed" ? 0xa0 : 0x80) | number, content);
}

/** @param octets of a number that is not negative, the most significant first */
export function integer(octets: Uint8Array): Uint8Array {
  const start = octets.findIndex((octet) => octet !== 0);
  const digits = start < 0 ? Uint8Array.of(0) : octets.subarray(start);
  return element(tag.integer, (digits[0] ?? 0) > 0x7f ? Buffer.concat([Uint8Array.of(0), digits]) : digits);
}

export function boolean(value: boolean): Uint8Array {
  return element(tag.boolean, Uint8Array.of(value ? 0xff : 0));
}

export function octetString(content: Uint8Array): Uint8Array {
  return element(tag.octetString, content);
}

/** @param unused how many bits at the end do not count */
export function bitString(unused: number, content: Uint8Array): Uint8Array {
  return element(tag.bitString, Buffer.concat([Uint8Array.of(unused), content]));
}

export function utf8String(text: string): Uint8Array {
  return element(tag.utf8String, Buffer.from(text, "utf8"));
}

/** @param id with dots, its first two numbers below 3 and 40 */
export function objectId(id: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = id.split(".").map(Number);
  return element(tag.objectId, Uint8Array.from([40 * first + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** In whole seconds: UTCTime through 2049, GeneralizedTime after it (RFC 5280, section 4.1.2.5). */
export function time(date: Date): Uint8Array {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050
    ? element(tag.utcTime, Buffer.from(text.slice(2), "ascii"))
    : element(tag.generalizedTime, Buffer.from(text, "ascii"));
}

function element(tagOctet: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(tagOctet), length(content.length), content]);
}

function length(octets: number): Uint8Array {
  if (octets < 0x80) return Uint8Array.of(octets);
  const digits: number[] = [];
  for (let left = octets; left > 0; left >>>= 8) digits.unshift(left & 0xff);
  return Uint8Array.of(0x80 | digits.length, ...digits);
}
