import { MemberlistError, Reader, type Writer } from "./memberlist-error.ts";

/**
 * The subset of MessagePack's old specification that HashiCorp's messages are made of: a map of field names to unsigned
 * integers, booleans, octet strings and nil. Octet strings are always `raw`: the oldest peers refuse `bin` and never send `str 8`.
 * A string holds one character per octet; `undefined` is nil.
 */
export type FieldValue = number | boolean | string | Uint8Array | undefined;

/** Writes a map whose fields are in the order given, which peers want bytewise ascending; at most 15 fields, unsigned 32-bit integers. */
export function writeFields(writer: Writer, fields: readonly (readonly [name: string, FieldValue])[]): void {
  writer.u8(0x80 + fields.length);
  for (const [name, value] of fields) {
    writeRawLength(writer, name.length);
    writer.latin1(name);
    writeValue(writer, value);
  }
}

function writeValue(writer: Writer, value: FieldValue): void {
  if (value === undefined) writer.u8(0xc0);
  else if (typeof value === "boolean") writer.u8(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") writeUnsigned(writer, value);
  else {
    writeRawLength(writer, value.length);
    if (typeof value === "string") writer.latin1(value);
    else writer.put(value);
  }
}

function writeUnsigned(writer: Writer, value: number): void {
  if (value < 0x80) writer.u8(value);
  else if (value < 0x100) writer.u8(0xcc).u8(value);
  else if (value < 0x1_0000) writer.u8(0xcd).u16(value);
  else writer.u8(0xce).u32(value);
}

function writeRawLength(writer: Writer, length: number): void {
  if (length < 32) writer.u8(0xa0 + length);
  else if (length < 0x1_0000) writer.u8(0xda).u16(length);
  else writer.u8(0xdb).u32(length);
}

/**
 * Passes an item of any type (the new specification's too) without recursion, so that nesting costs nothing.
 * @throws {MemberlistError} `malformed` for 0xc1, the one octet that begins no item
 */
function skipItem(reader: Reader): void {
  for (let pending = 1; pending > 0; ) {
    const first = reader.u8();
    const { lengthWidth, fixed, children } = layoutOf(first);
    const count = lengthWidth === 0 ? inlineCount(first) : reader.unsigned(lengthWidth);
    reader.skip(fixed + (children === 0 ? count : 0));
    pending += count * children - 1;
  }
}

interface Layout {
  /** Octets of the field that counts octets or children. */
  readonly lengthWidth: number;
  /** Octets that always follow. */
  readonly fixed: number;
  /** Items per count; 0 where it counts octets. */
  readonly children: number;
}

const plain = (fixed: number): Layout => ({ lengthWidth: 0, fixed, children: 0 });
const counted = (lengthWidth: number, children = 0, fixed = 0): Layout => ({ lengthWidth, fixed, children });
const single = plain(0);
const inlineMap = counted(0, 2);
const inlineArray = counted(0, 1);
/** 0xc0 to 0xdf. */
const layouts: readonly (Layout | undefined)[] = [
  ...[single, undefined, single, single], // nil, never used, false, true
  ...[counted(1), counted(2), counted(4)], // bin
  ...[counted(1, 0, 1), counted(2, 0, 1), counted(4, 0, 1)], // ext, with an octet for its type
  ...[plain(4), plain(8)], // float
  ...[plain(1), plain(2), plain(4), plain(8)], // uint
  ...[plain(1), plain(2), plain(4), plain(8)], // int
  ...[plain(2), plain(3), plain(5), plain(9), plain(17)], // fixext
  ...[counted(1), counted(2), counted(4)], // str
  ...[counted(2, 1), counted(4, 1)], // array
  ...[counted(2, 2), counted(4, 2)], // map
];

function layoutOf(first: number): Layout {
  if (first < 0x80 || first >= 0xc0 + layouts.length) return single;
  if (first < 0x90) return inlineMap;
  if (first < 0xa0) return inlineArray;
  if (first < 0xc0) return single;
  const layout = layouts[first - 0xc0];
  if (layout === undefined) throw malformed("Cannot decode an item", `it begins with 0x${first.toString(16)}`);
  return layout;
}

/** The count inside the first octet of a short map, array or octet string. */
function inlineCount(first: number): number {
  if (first >= 0x80 && first < 0xa0) return first & 0x0f;
  return first >= 0xa0 && first < 0xc0 ? first & 0x1f : 0;
}

/**
 * The fields of one map that its reader asked for, by their names. It behaves like HashiCorp's decoders: keys come in any order, unknown
 * keys are skipped, the last of repeated keys counts, nil and missing fields are zero values, and integers have any width and sign. All
 * getters raise `malformed` for a value of another type or out of range.
 */
export class Fields {
  readonly #octets: Uint8Array;
  readonly #names: readonly string[];
  readonly #offsets: readonly number[];

  /** @param offsets where the value of each name begins; 0 if the name is absent */
  constructor(octets: Uint8Array, names: readonly string[], offsets: readonly number[]) {
    this.#octets = octets;
    this.#names = names;
    this.#offsets = offsets;
  }

  /** An integer from 0 to `max`, which is less than 2^53. */
  unsigned(name: string, max: number): number {
    const reader = this.#at(name);
    const value = reader === undefined ? 0 : readInteger(reader);
    if (value === undefined || value < 0 || value > max)
      throw malformed(`Cannot decode ${name} as an integer from 0 to ${max}`, `${value ?? "it is none"}`);
    return value;
  }

  boolean(name: string): boolean {
    const first = this.#at(name)?.u8() ?? 0xc2;
    if (first === 0xc3 || first === 1) return true;
    if (first === 0xc2 || first === 0) return false;
    throw malformed(`Cannot decode ${name} as a boolean`, `it begins with 0x${first.toString(16)}`);
  }

  /** A copy of an octet string; undefined for nil, which is not the same as an empty one. */
  octets(name: string): Uint8Array | undefined {
    const reader = this.#at(name);
    return reader?.copy(readRawLength(reader, name));
  }

  /** An octet string as a string with one character per octet. */
  latin1(name: string): string {
    return this.optionalLatin1(name) ?? "";
  }

  /** The same; undefined for nil, which is not the same as an empty one. */
  optionalLatin1(name: string): string | undefined {
    const reader = this.#at(name);
    return reader?.latin1(readRawLength(reader, name));
  }

  /** Like `octets`, but a view: a reference to it keeps the whole input in memory. */
  view(name: string): Uint8Array | undefined {
    const reader = this.#at(name);
    return reader?.take(readRawLength(reader, name));
  }

  /** A reader at the field's value; undefined if it is nil or missing. */
  #at(name: string): Reader | undefined {
    const offset = this.#offsets[this.#names.indexOf(name)] ?? 0;
    return offset === 0 || this.#octets[offset] === 0xc0 ? undefined : new Reader(this.#octets, offset);
  }
}

/** Reads one map and leaves the reader behind it. `names` are those of the fields to keep; all other values are only passed. */
export function readMap(reader: Reader, names: readonly string[]): Fields {
  const { octets } = reader;
  const offsets = new Array<number>(names.length).fill(0);
  for (let entries = readMapLength(reader); entries > 0; entries--) {
    const length = readRawLength(reader, "a field's name");
    const start = reader.skip(length);
    const place = names.findIndex((name) => isAt(name, octets, start, length));
    if (place >= 0) offsets[place] = reader.offset;
    skipItem(reader);
  }
  return new Fields(octets, names, offsets);
}

/** Whether a name, one octet a character, is there: it is told without a string for each that arrives. */
function isAt(name: string, octets: Uint8Array, start: number, length: number): boolean {
  if (name.length !== length) return false;
  for (let index = 0; index < length; index++) if (octets[start + index] !== name.charCodeAt(index)) return false;
  return true;
}

/** Whether an item that begins so is a map. */
export function isMapHeader(first: number | undefined): boolean {
  return first !== undefined && ((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf);
}

function readMapLength(reader: Reader): number {
  const first = reader.u8();
  if (!isMapHeader(first)) throw malformed("Cannot decode a map", `it begins with 0x${first.toString(16)}`);
  if (first === 0xde) return reader.u16();
  return first === 0xdf ? reader.u32() : first & 0x0f;
}

/** Length of the octet string that follows. */
function readRawLength(reader: Reader, name: string): number {
  const first = reader.u8();
  if ((first & 0xe0) === 0xa0) return first & 0x1f;
  if (first === 0xd9 || first === 0xc4) return reader.u8();
  if (first === 0xda || first === 0xc5) return reader.u16();
  if (first === 0xdb || first === 0xc6) return reader.u32();
  throw malformed(`Cannot decode ${name} as an octet string`, `it begins with 0x${first.toString(16)}`);
}

/** Undefined for an item that is no integer. */
function readInteger(reader: Reader): number | undefined {
  const first = reader.u8();
  if (first < 0x80) return first;
  if (first >= 0xe0) return first - 0x100;
  if (first >= 0xcc && first <= 0xcf) return reader.unsigned(1 << (first - 0xcc));
  return first >= 0xd0 && first <= 0xd3 ? reader.signed(1 << (first - 0xd0)) : undefined;
}

function malformed(attempted: string, found: string): MemberlistError {
  return new MemberlistError("malformed", `${attempted}: ${found}`);
}
