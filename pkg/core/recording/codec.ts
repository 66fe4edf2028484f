import { createHmac } from "node:crypto";
import { Address, AddressRange, Prefix, parseAddress } from "#pkg/net";

/** What JSON has. */
export type Plain = null | string | number | boolean | readonly Plain[] | { readonly [key: string]: Plain };

/** Replaces a secret: the same text for the same secret, from which the secret cannot be found. */
export type Hide = (secret: string) => string;

/** By a key that is nowhere else, so that nobody can try secrets: not even short ones can be found. */
export function hideByKey(key: Uint8Array): Hide {
  return (secret) => `hidden-${createHmac("sha256", key).update(secret).digest("hex").slice(0, 12)}`;
}

/** Fields of these names have texts that nobody may see, wherever they are. */
const secretFields: ReadonlySet<string> = new Set(["password", "secretText"]);
// Deeper than anything of ours; what is decoded may come from anywhere.
export const maxDepth = 64;

/**
 * A value in JSON's terms. A value that JSON lacks is an object with one key that begins with `@`: `@ip`, `@net`, `@range`, `@map`,
 * `@set`, `@hex`, `@big`, `@num`, `@none`. Fields that are undefined are left out. A value that cannot be recorded is replaced by its
 * class, as `@other`: the recording goes on in any case. Values that are plain already are not copied.
 */
export function encode(value: unknown, hide: Hide): Plain {
  if (typeof value === "string") return value; // Most are, and need no function of their own.
  return encodeValue(value, (each) => encode(each, hide), hide);
}

/** @param inner encodes what the value has in it */
export function encodeValue(value: unknown, inner: (value: unknown) => Plain, hide: Hide): Plain {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : { "@num": String(value) };
    case "bigint":
      return { "@big": value.toString() };
    case "undefined":
      return { "@none": 0 };
  }
  if (value === null) return null;
  if (Array.isArray(value)) return encodeArray(value, inner);
  if (value instanceof Address) return { "@ip": addressText(value) };
  if (value instanceof Prefix) return { "@net": [addressText(value.address), value.length] };
  if (value instanceof AddressRange) return { "@range": [addressText(value.first), addressText(value.last)] };
  if (value instanceof Map) return { "@map": [...value].map(([key, each]) => [inner(key), inner(each)]) };
  if (value instanceof Set) return { "@set": [...value].map(inner) };
  if (value instanceof Uint8Array) return { "@hex": Buffer.from(value).toString("hex") };
  if (typeof value === "object") return encodeObject(value, inner, hide);
  return { "@other": typeof value };
}

// Depth of an event, its configuration, the list of pools, one pool, and its lists.
const maxPieceDepth = 5;

// A piece has at most so many values: one of a Service has some forty.
const maxPieceValues = 100;

/** The JSON of `encode(value)`, in pieces, for values of any size that do not change meanwhile. */
export function* encodePieces(value: unknown, hide: Hide, depth = 0): Generator<string, void> {
  const isDivided = depth < maxPieceDepth && roomBeside(value, maxPieceValues) < 0;
  if (isDivided && Array.isArray(value)) {
    let separator = "[";
    for (const each of value) {
      yield separator;
      yield* encodePieces(each, hide, depth + 1);
      separator = ",";
    }
    yield value.length === 0 ? "[]" : "]";
  } else if (
    isDivided &&
    typeof value === "object" &&
    value !== null &&
    isRecord(value) &&
    !Object.keys(value).some((key) => key.startsWith("@"))
  ) {
    let separator = "{";
    for (const [key, each] of Object.entries(value)) {
      if (each === undefined) continue;
      yield `${separator}${JSON.stringify(key)}:`;
      if (secretFields.has(key)) yield JSON.stringify(encodeField(key, each, (inner) => encode(inner, hide), hide));
      else yield* encodePieces(each, hide, depth + 1);
      separator = ",";
    }
    yield separator === "{" ? "{}" : "}";
  } else yield JSON.stringify(encode(value, hide));
}

/** How many more values there is room for beside a value and those inside it; negative if there is no room for them. */
function roomBeside(value: unknown, room: number): number {
  let left = room - 1;
  if (typeof value !== "object" || value === null || !(Array.isArray(value) || isRecord(value))) return left;
  for (const each of Array.isArray(value) ? value : Object.values(value)) {
    if (left < 0) return left;
    left = roomBeside(each, left);
  }
  return left;
}

export function isRecord(value: object): value is Record<string, unknown> {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function encodeField(key: string, value: unknown, inner: (value: unknown) => Plain, hide: Hide): Plain {
  return secretFields.has(key) && typeof value === "string" ? hide(value) : inner(value);
}

function encodeArray(values: readonly unknown[], inner: (value: unknown) => Plain): Plain {
  const encoded = values.map(inner);
  return encoded.some((each, index) => each !== values[index]) ? encoded : (values as readonly Plain[]);
}

function encodeObject(value: object, inner: (value: unknown) => Plain, hide: Hide): Plain {
  if (!isRecord(value)) return { "@other": String(value.constructor?.name) };
  const keys = Object.keys(value);
  const encoded: Plain[] = [];
  let isPlain = true;
  for (const key of keys) {
    const each = value[key];
    const one = each === undefined ? null : encodeField(key, each, inner, hide);
    encoded.push(one);
    isPlain &&= (one === each || each === undefined) && !key.startsWith("@"); // JSON leaves undefined fields out.
  }
  if (isPlain) return value as Plain;
  const entries = keys.flatMap((key, index): [string, Plain][] =>
    value[key] === undefined ? [] : [[key, encoded[index] ?? null]],
  );
  return entries.some(([key]) => key.startsWith("@")) ? { "@object": entries } : Object.fromEntries(entries);
}

function addressText(address: Address): string {
  const text = address.toString();
  return parseAddress(text)?.equals(address) === true ? text : `IPv6 ${address.value}`;
}

/** Undoes `encode`. @throws {TypeError} for text that it cannot have made */
export function decode(plain: Plain, depth = 0): unknown {
  if (depth > maxDepth) throw new TypeError(`Cannot read a recording: it is nested deeper than ${maxDepth}`);
  return decodeValue(plain, (each) => decode(each, depth + 1));
}

/** @param inner decodes what it has in it */
export function decodeValue(plain: Plain, inner: (plain: Plain) => unknown): unknown {
  if (typeof plain !== "object" || plain === null) return plain;
  if (isList(plain)) return plain.map((each) => inner(each));
  const tagged = tagOf(plain);
  if (tagged !== undefined) return decodeTagged(tagged[0], tagged[1], inner);
  return Object.fromEntries(Object.entries(plain).map(([key, each]) => [key, inner(each)]));
}

/** The tag of a value that JSON lacks, and the value behind it. */
export function tagOf(plain: Plain): readonly [tag: string, of: Plain] | undefined {
  if (typeof plain !== "object" || plain === null || isList(plain)) return undefined;
  for (const key in plain) return key.startsWith("@") && Object.keys(plain).length === 1 ? [key, plain[key] ?? null] : undefined;
  return undefined;
}

function decodeTagged(tag: string, plain: Plain, inner: (plain: Plain) => unknown): unknown {
  switch (tag) {
    case "@none":
      return undefined;
    case "@num":
      return plain === "Infinity" ? Infinity : plain === "-Infinity" ? -Infinity : Number.NaN;
    case "@big":
      if (typeof plain === "string" && /^-?[0-9]{1,50}$/.test(plain)) return BigInt(plain);
      break;
    case "@hex":
      if (typeof plain === "string" && /^([0-9a-f]{2})*$/.test(plain)) return new Uint8Array(Buffer.from(plain, "hex"));
      break;
    case "@ip":
      return readAddress(plain);
    case "@net":
      if (isList(plain) && typeof plain[1] === "number") return new Prefix(readAddress(plain[0]), plain[1]);
      break;
    case "@range":
      if (isList(plain)) return new AddressRange(readAddress(plain[0]), readAddress(plain[1]));
      break;
    case "@set":
      if (isList(plain)) return new Set(plain.map((each) => inner(each)));
      break;
    case "@map":
      if (isPairs(plain)) return new Map(plain.map(([key, each]) => [inner(key), inner(each)]));
      break;
    case "@object":
      if (isPairs(plain)) return Object.fromEntries(plain.map(([key, each]) => [String(key), inner(each)]));
      break;
  }
  throw new TypeError(`Cannot read a recording: found ${tag} ${JSON.stringify(plain).slice(0, 100)}`);
}

function readAddress(plain: Plain | undefined): Address {
  if (typeof plain === "string") {
    const [, value] = /^IPv6 ([0-9]{1,39})$/.exec(plain) ?? [];
    const address = value === undefined ? parseAddress(plain) : new Address("IPv6", BigInt(value));
    if (address !== undefined) return address;
  }
  throw new TypeError(`Cannot read a recording: found the address ${JSON.stringify(plain)?.slice(0, 100)}`);
}

export function isList(plain: Plain): plain is readonly Plain[] {
  return Array.isArray(plain);
}

function isPairs(plain: Plain): plain is readonly (readonly [Plain, Plain])[] {
  return isList(plain) && plain.every((each) => isList(each) && each.length === 2);
}
