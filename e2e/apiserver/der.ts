/** Just enough DER (X.690) to write certificates. */

export function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x30, ...parts);
}

export function set(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x31, ...parts);
}

/** An unsigned integer of any length, most significant octet first. */
export function unsigned(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((octet) => octet !== 0);
  const significant = first < 0 ? Uint8Array.of(0) : octets.subarray(first);
  return (significant[0] ?? 0) >= 0x80 ? element(0x02, Uint8Array.of(0), significant) : element(0x02, significant);
}

export function yes(): Uint8Array {
  return element(0x01, Uint8Array.of(0xff));
}

export function octetString(content: Uint8Array): Uint8Array {
  return element(0x04, content);
}

/** `unused` bits at the end do not count. */
export function bitString(content: Uint8Array, unused = 0): Uint8Array {
  return element(0x03, Uint8Array.of(unused), content);
}

/** From dotted numbers. */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return element(0x06, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

export function utf8String(text: string): Uint8Array {
  return element(0x0c, new TextEncoder().encode(text));
}

/** UTCTime before 2050, as RFC 5280 demands (section 4.1.2.5), GeneralizedTime from then on. */
export function time(date: Date): Uint8Array {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  const generalized = date.getUTCFullYear() >= 2050;
  return element(generalized ? 0x18 : 0x17, new TextEncoder().encode(generalized ? digits : digits.slice(2)));
}

/** A context-specific element: constructed for explicit tags, primitive for implicit ones over plain content. */
export function tagged(number: number, content: Uint8Array, form: "constructed" | "primitive"): Uint8Array {
  return element((form === "constructed" ? 0xa0 : 0x80) | number, content);
}

function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag), length(content.length), content]);
}

function length(count: number): Uint8Array {
  if (count < 0x80) return Uint8Array.of(count);
  return count < 0x100 ? Uint8Array.of(0x81, count) : Uint8Array.of(0x82, count >> 8, count & 0xff);
}

function base128(value: number): number[] {
  const octets = [value & 0x7f];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift((rest & 0x7f) | 0x80);
  return octets;
}
