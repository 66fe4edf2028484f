import { unsupportedMediaType } from "./api-error.ts";
import type { Json, JsonObject } from "./json.ts";
import { type FieldType, kinds, type Message, messages } from "./protobuf-messages.ts";

/** What Kubernetes' protobuf bodies are sent as. Newer Go clients, `kubectl create` and `kubectl auth` among them, know no other way. */
export const protobufMediaType = "application/vnd.kubernetes.protobuf";

const magic = Buffer.from("k8s\0");
const envelope: Message = { 1: ["typeMeta", "TypeMeta"], 2: ["raw", "bytes"] };

/**
 * Reads an object in Kubernetes' protobuf: the magic octets, an envelope with kind and version, and in it the object. Only kinds and
 * fields that command line tools create are known.
 * @throws {ApiError} 415 for another kind, for a field that is set but not known, and for octets that are no protobuf
 */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic)) throw cannot("it does not begin with the magic octets");
  const { typeMeta, raw } = decode("envelope", envelope, body.subarray(magic.length)) as {
    typeMeta?: { apiVersion?: string; kind?: string };
    raw?: string;
  };
  const kind = typeMeta?.kind ?? "";
  const message = kinds.includes(kind) ? messages[kind] : undefined;
  if (message === undefined) throw cannot(`${kind} is not among the kinds that this server reads as protobuf; send JSON`);
  return { ...typeMeta, ...decode(kind, message, Buffer.from(raw ?? "", "base64")) };
}

function decode(name: string, message: Message, octets: Buffer): JsonObject {
  const result: Record<string, Json> = {};
  const reader = new Reader(octets);
  while (!reader.done) {
    const { field, value } = reader.next();
    const known = message[field];
    if (known === undefined) {
      if (isZero(value)) continue; // Go writes fields that are not set, too.
      throw cannot(`field ${field} of ${name} is not known to this server as protobuf; send JSON`);
    }
    const [property, type] = known;
    if (type === "ignored") continue;
    if (type.endsWith("[]")) {
      const items = (result[property] as Json[] | undefined) ?? [];
      result[property] = [...items, decodeValue(type.slice(0, -2) as FieldType, value)];
    } else if (type === "map<string>" || type === "map<bytes>") {
      const entry = decode(
        "map",
        { 1: ["key", "string"], 2: ["value", type === "map<bytes>" ? "bytes" : "string"] },
        octetsOf(value),
      );
      result[property] = { ...(result[property] as JsonObject | undefined), [String(entry.key ?? "")]: entry.value ?? "" };
    } else if (type.endsWith("?") || !isZero(value)) result[property] = decodeValue(type, value);
  }
  return result;
}

type WireValue = bigint | Buffer;

function isZero(value: WireValue): boolean {
  return typeof value === "bigint" ? value === 0n : value.length === 0;
}

function octetsOf(value: WireValue): Buffer {
  if (typeof value === "bigint") throw cannot("a number is where there should be octets");
  return value;
}

function decodeValue(type: FieldType, value: WireValue): Json {
  switch (type) {
    case "string":
      return octetsOf(value).toString();
    case "bytes":
      return octetsOf(value).toString("base64");
    case "int":
    case "int?":
      if (typeof value !== "bigint") throw cannot("octets are where there should be a number");
      return Number(BigInt.asIntN(64, value));
    case "bool?":
      return value !== 0n;
    case "IntOrString": {
      const {
        type: isText,
        int,
        text,
      } = decode(type, { 1: ["type", "int"], 2: ["int", "int"], 3: ["text", "string"] }, octetsOf(value));
      return isText === 1 ? (text ?? "") : (int ?? 0);
    }
    default: {
      const message = messages[type];
      if (message === undefined) throw new Error(`Cannot decode protobuf: there is no message ${type}`);
      return decode(type, message, octetsOf(value));
    }
  }
}

const wireType = { varint: 0, fixed64: 1, octets: 2, fixed32: 5 } as const;

class Reader {
  readonly #octets: Buffer;
  #offset = 0;

  constructor(octets: Buffer) {
    this.#octets = octets;
  }

  get done(): boolean {
    return this.#offset >= this.#octets.length;
  }

  next(): { field: number; value: WireValue } {
    const key = this.#varint();
    const field = Number(key >> 3n);
    switch (Number(key & 7n)) {
      case wireType.varint:
        return { field, value: this.#varint() };
      case wireType.fixed64:
        return { field, value: this.#take(8) };
      case wireType.octets:
        return { field, value: this.#take(Number(this.#varint())) };
      case wireType.fixed32:
        return { field, value: this.#take(4) };
      default:
        throw cannot(`wire type ${key & 7n} is not one`);
    }
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const octet = this.#octets[this.#offset++];
      if (octet === undefined) throw cannot("it ends in the middle of a number");
      value |= BigInt(octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw cannot("a number has more than ten octets");
  }

  #take(length: number): Buffer {
    if (length > this.#octets.length - this.#offset) throw cannot("it ends in the middle of a field");
    this.#offset += length;
    return this.#octets.subarray(this.#offset - length, this.#offset);
  }
}

function cannot(why: string): Error {
  return unsupportedMediaType(`the body of the request was in protobuf and could not be read: ${why}`);
}
