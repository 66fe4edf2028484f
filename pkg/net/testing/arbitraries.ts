/** Any address and range, for the property tests. */
import fc from "fast-check";
import { Address, AddressRange, type Family } from "#pkg/net";

const bits: Record<Family, bigint> = { IPv4: 32n, IPv6: 128n };

/** Values with long runs of zeros and ones too, where text forms and splits are most often wrong. */
function anyValue(family: Family): fc.Arbitrary<bigint> {
  const max = (1n << bits[family]) - 1n;
  const sparse = fc
    .tuple(fc.bigInt({ min: 0n, max: 0xffffn }), fc.bigInt({ min: 0n, max: bits[family] - 1n }))
    .map(([value, shift]) => (value << shift) & max);
  return fc.oneof(
    fc.bigInt({ min: 0n, max }),
    sparse,
    sparse.map((value) => max - value),
  );
}

/** Every address that a text can name: an IPv4-mapped one names the IPv4 address. */
export const anyAddress: fc.Arbitrary<Address> = fc.oneof(
  anyValue("IPv4").map((value) => new Address("IPv4", value)),
  anyValue("IPv6")
    .filter((value) => value >> 32n !== 0xffffn)
    .map((value) => new Address("IPv6", value)),
);

export const anyRange: fc.Arbitrary<AddressRange> = fc.constantFrom<Family>("IPv4", "IPv6").chain((family) =>
  fc.tuple(anyValue(family), anyValue(family)).map(([a, b]) => {
    const [first, last] = a < b ? [a, b] : [b, a];
    return new AddressRange(new Address(family, first), new Address(family, last));
  }),
);

/** The addresses on both sides of both ends of a range, where the family has them. */
export function borders({ first, last }: { readonly first: Address; readonly last: Address }): Address[] {
  const values = [first.value - 1n, first.value, last.value, last.value + 1n];
  const max = (1n << bits[first.family]) - 1n;
  return values.filter((value) => value >= 0n && value <= max).map((value) => new Address(first.family, value));
}
