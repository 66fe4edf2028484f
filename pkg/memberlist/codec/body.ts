import { MemberlistError, type Reader, type Writer } from "./memberlist-error.ts";
import {
  type AddressOctets,
  type Endpoint,
  isAddress,
  type NodeName,
  type Source,
  sharedAddress,
  type Versions,
} from "./messages.ts";
import { type Fields, type FieldValue, readMap, writeFields } from "./msgpack.ts";

/** A field that is left out. */
const absent = null;

/** A property of a message, and the fields of the message's body that hold it. */
interface Property<Value> {
  readonly names: readonly string[];
  /** The values of these fields, in the order of `names`. */
  write(value: Value): readonly (FieldValue | typeof absent)[];
  read(fields: Fields): Value;
}

/** The body of a message: its properties, in a map of fields that stand bytewise ascending, as peers want them. */
export class Body<Values extends object> {
  readonly #properties: readonly (readonly [string, Property<unknown>])[];
  readonly #names: readonly string[];
  readonly #order: readonly number[]; // places in #names, in the order on the wire

  constructor(properties: { readonly [Key in keyof Values]-?: Property<Values[Key]> }) {
    this.#properties = Object.entries<Property<unknown>>(properties);
    const names = this.#properties.flatMap(([, { names }]) => names);
    this.#names = names;
    this.#order = [...names.keys()].sort((a, b) => ((names[a] ?? "") < (names[b] ?? "") ? -1 : 1));
  }

  write(writer: Writer, message: Values): void {
    const values: (FieldValue | typeof absent)[] = [];
    for (const [key, property] of this.#properties) values.push(...property.write(message[key as keyof Values]));
    const fields: [string, FieldValue][] = [];
    for (const place of this.#order) {
      const value = values[place];
      if (value !== absent) fields.push([this.#names[place] ?? "", value]);
    }
    writeFields(writer, fields);
  }

  /**
   * @param begun the message so far, to which the properties are added
   * @throws {MemberlistError} `malformed` for a body cut short, of other types, or with values that a property cannot have
   */
  read<Begun extends object>(reader: Reader, begun: Begun): Begun & Values {
    const fields = readMap(reader, this.#names);
    const message: Record<string, unknown> = begun as Record<string, unknown>;
    for (const [key, property] of this.#properties) message[key] = property.read(fields);
    return message as Begun & Values;
  }
}

function property<Value extends FieldValue>(name: string, read: (fields: Fields) => Value): Property<Value> {
  return { names: [name], write: (value) => [value], read };
}

export const unsigned = (name: string, max = 0xffff_ffff) => property(name, (fields) => fields.unsigned(name, max));
export const boolean = (name: string) => property(name, (fields) => fields.boolean(name));
export const latin1 = (name: string) => property(name, (fields) => fields.latin1(name));
/** Undefined for nil, which is not the same as an empty one. */
export const optionalLatin1 = (name: string) => property(name, (fields) => fields.optionalLatin1(name));
export const octets = (name: string) => property(name, (fields) => fields.octets(name));

/** A node's name, which is not empty. */
export function name(field: string): Property<NodeName> {
  return property(field, (fields) => {
    const name = fields.latin1(field);
    if (name === "") throw new MemberlistError("malformed", `Cannot decode ${field} as a node's name: it is empty`);
    return name;
  });
}

/** Of any length: see `isAddress`. */
export function address(field: string): Property<AddressOctets> {
  return property(field, (fields) => sharedAddress(fields.latin1(field)));
}

/** The port may be 0: the receiver then takes its own. */
export function endpoint(addressField: string): Property<Endpoint> {
  return {
    names: [addressField, "Port"],
    write: ({ address, port }) => [address, port],
    read(fields) {
      const address = sharedAddress(fields.latin1(addressField));
      if (!isAddress(address))
        throw new MemberlistError("malformed", `Cannot decode ${addressField} as an address: it has ${address.length} octets`);
      return { address, port: fields.unsigned("Port", 0xffff) };
    },
  };
}

/** Absent unless both address and port are usable, as peers do: the answer then goes to where the packet came from. */
export const source: Property<Source | undefined> = {
  names: ["SourceAddr", "SourceNode", "SourcePort"],
  write(source) {
    if (source === undefined) return [absent, absent, absent];
    return [source.address, source.node === "" ? absent : source.node, source.port];
  },
  read(fields) {
    const address = sharedAddress(fields.latin1("SourceAddr"));
    const port = fields.unsigned("SourcePort", 0xffff);
    const node = fields.latin1("SourceNode");
    return isAddress(address) && port !== 0 ? { address, port, node } : undefined;
  },
};

/**
 * Six octets. Fewer end the process of every peer that learns of them, so that nobody may pass them on; more are ignored, as
 * peers do.
 */
export const versions: Property<Versions> = {
  names: ["Vsn"],
  write: (versions) => [Uint8Array.from(versions)],
  read(fields) {
    const octets = fields.octets("Vsn") ?? [];
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = octets;
    if (octets.length < 6) throw new MemberlistError("malformed", "Cannot decode Vsn as six versions: it is shorter");
    return [a, b, c, d, e, f];
  },
};
