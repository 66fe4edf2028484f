/** RFC 4271, section 4.3. Of these, `optional` and `transitive` belong to the type; the others depend on the message. */
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
