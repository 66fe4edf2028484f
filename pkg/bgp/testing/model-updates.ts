import type { Negotiated } from "../session/state.ts";

/** UPDATEs of a router, none of which may end a session (RFC 4271, 4760, 7606, 9234). */
export const updateShapes = [
  "route",
  "withdrawal",
  "both",
  "endOfRib",
  "manyRoutes",
  "ipv6",
  "ipv6Withdrawal",
  "otherFamily",
  "unknownAttribute",
  "wrongOrigin",
  "shortAggregator",
  "twice",
  "onlyToCustomer",
  "noNextHop",
  "loop",
] as const;
export type UpdateShape = (typeof updateShapes)[number];

const prefix = [16, 10, 9];
const origin = [0x40, 1, 1, 0];
const nextHop = [0x40, 3, 4, 192, 0, 2, 2];
const ipv6Prefix = [32, 0x20, 0x01, 0x0d, 0xb8];
const ipv6NextHop = [16, 0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 2];
const reachIpv6 = [0, 2, 1, ...ipv6NextHop, 0, ...ipv6Prefix];

export function updateOf(
  shape: UpdateShape,
  asns: readonly number[],
  { fourOctetAsn }: Pick<Negotiated, "fourOctetAsn">,
): Uint8Array {
  const octetsOf = (asn: number) =>
    fourOctetAsn ? [asn >>> 24, (asn >>> 16) & 255, (asn >>> 8) & 255, asn & 255] : [asn >>> 8, asn & 255];
  const segment = (path: readonly number[]) => [2, path.length, ...path.flatMap(octetsOf)];
  const asPath = (path: readonly number[]) => [0x40, 2, segment(path).length, ...segment(path)];
  const [own = 0, neighbor = 0] = asns;
  const usual = [...origin, ...asPath([own]), ...nextHop];
  const many = Array.from({ length: 900 }, (_, index) => [24, 10, index >> 8, index & 255]).flat();
  const shapes: Readonly<Record<UpdateShape, readonly [withdrawn: number[], attributes: number[], announced: number[]]>> = {
    route: [[], usual, prefix],
    withdrawal: [prefix, [], []],
    both: [prefix, usual, [24, 10, 8, 1]],
    endOfRib: [[], [0x80, 15, 3, 0, 2, 1], []],
    manyRoutes: [[], usual, many],
    ipv6: [[], [...origin, ...asPath([own]), 0x80, 14, reachIpv6.length, ...reachIpv6], []],
    ipv6Withdrawal: [[], [0x80, 15, 3 + ipv6Prefix.length, 0, 2, 1, ...ipv6Prefix], []],
    otherFamily: [[], [...origin, ...asPath([own]), 0x80, 14, 9, 0, 1, 128, 4, 192, 0, 2, 2, 0], []],
    unknownAttribute: [[], [...usual, 0xe0, 200, 2, 1, 2], prefix],
    wrongOrigin: [[], [0x40, 1, 1, 9, ...asPath([own]), ...nextHop], prefix],
    shortAggregator: [[], [...usual, 0xc0, 7, 1, 0], prefix],
    twice: [[], [...usual, ...origin], prefix],
    onlyToCustomer: [[], [...usual, 0xc0, 35, 4, 0, 0, 0xfd, 0xea], prefix],
    noNextHop: [[], [...origin, ...asPath([own])], prefix],
    loop: [[], [...origin, ...asPath([own, neighbor]), ...nextHop], prefix],
  };
  const [withdrawn, attributes, announced] = shapes[shape];
  const two = (length: number) => [length >> 8, length & 255];
  const body = [...two(withdrawn.length), ...withdrawn, ...two(attributes.length), ...attributes, ...announced];
  return Uint8Array.from([...new Array<number>(16).fill(255), ...two(19 + body.length), 2, ...body]);
}
