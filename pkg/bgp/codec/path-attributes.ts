import { NotificationCode, NotificationError, UpdateMessageError } from "./notification-error.ts";

/** RFC 4271, section 4.3. `optional` and `transitive` belong to the type; the other flags depend on the message. */
export const AttributeFlag = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const;

/** The path attributes that this package knows, by IANA's names and numbers. */
export const AttributeType = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  multiExitDisc: 4,
  localPref: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReachNlri: 14,
  mpUnreachNlri: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  ipv6ExtendedCommunities: 25,
  largeCommunities: 32,
  onlyToCustomer: 35,
} as const;

const names = new Map<number, string>(
  Object.entries(AttributeType).map(([name, type]) => [type, name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toUpperCase()]),
);

/** In words and in numbers: `LOCAL_PREF (5)`. */
export function attributeName(type: number): string {
  return `${names.get(type) ?? "attribute"} (${type})`;
}

/** The two flags that each type of attribute has, always. */
export const attributeFlags = {
  wellKnown: AttributeFlag.transitive,
  optionalTransitive: AttributeFlag.optional | AttributeFlag.transitive,
  optionalNonTransitive: AttributeFlag.optional,
} as const;

/** One path attribute as it was received; all octets are views. */
export class RawAttribute {
  /** Flags, type, length and value. */
  readonly octets: Uint8Array;
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;

  constructor(octets: Uint8Array, valueOffset: number) {
    this.octets = octets;
    [this.flags = 0, this.type = 0] = octets;
    this.value = octets.subarray(valueOffset);
  }

  /** An error with the attribute as its data, as RFC 4271, section 6.3, wants it. */
  error(subcode: number, found: string): NotificationError {
    return updateError(subcode, `${attributeName(this.type)} has ${found}`, this.octets);
  }
}

/** The attributes of an UPDATE, up to where their lengths contradict the field's. */
export interface AttributeList {
  readonly attributes: readonly RawAttribute[];
  /** The error at the end of the field (RFC 7606, section 4). */
  readonly cut: { readonly error: NotificationError; readonly type: number | undefined } | undefined;
}

/** Splits the field of path attributes (RFC 4271, section 4.3). */
export function splitAttributes(field: Uint8Array): AttributeList {
  const attributes: RawAttribute[] = [];
  let offset = 0;
  while (offset < field.length) {
    const left = field.subarray(offset);
    const [flags = 0, type, high = 0, low = 0] = left;
    const headerLength = (flags & AttributeFlag.extendedLength) !== 0 ? 4 : 3;
    const length = headerLength + (headerLength === 4 ? high * 256 + low : high);
    if (left.length < headerLength || left.length < length) {
      const found = `the last attribute is cut short: it begins ${left.length} octets before the end of the field`;
      return { attributes, cut: { error: updateError(UpdateMessageError.malformedAttributeList, found), type } };
    }
    attributes.push(new RawAttribute(left.subarray(0, length), headerLength));
    offset += length;
  }
  return { attributes, cut: undefined };
}

export function updateError(subcode: number, found: string, data?: Uint8Array): NotificationError {
  return new NotificationError(NotificationCode.updateMessage, subcode, `Cannot decode UPDATE: ${found}`, data);
}
