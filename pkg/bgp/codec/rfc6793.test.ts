import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { AsPathSegment } from "./messages.ts";
import { anyAsPath } from "./testing/arbitraries.ts";
import { external, hex, mandatory, updateBody } from "./testing/octets.ts";
import { mergeAs4Path, readUpdate } from "./testing/update-reader.ts";
import { decodeUpdate } from "./update-decoder.ts";
import { encodeAttributes } from "./update-encoder.ts";

// RFC 6793, section 4.2.3. A path is written as in `1 {2 3} (4 5) [6 7]`: a sequence, a set, a confederation's sequence and its set.
const brackets = { "{": "set", "(": "confedSequence", "[": "confedSet" } as const;

function path(text: string): AsPathSegment[] {
  return Array.from(text.matchAll(/([{([])?(\d[\d ]*)/g), ([, bracket, numbers = ""]) => ({
    type: bracket === undefined ? "sequence" : brackets[bracket as keyof typeof brackets],
    asns: numbers.trim().split(" ").map(Number),
  }));
}

const merges: { name: string; asPath: string; as4Path: string; want: string }[] = [
  { name: "the same length: AS4_PATH alone", asPath: "23456 2", as4Path: "70000 2", want: "70000 2" },
  { name: "what AS_PATH has more is in front", asPath: "5 6 23456 2", as4Path: "70000 2", want: "5 6 70000 2" },
  { name: "an AS4_PATH that is longer is ignored", asPath: "23456", as4Path: "70000 2", want: "23456" },
  { name: "a set counts as one, in both", asPath: "5 {23456 7 8}", as4Path: "{70000 7}", want: "5 {70000 7}" },
  { name: "a set in front is taken whole", asPath: "{5 6} 23456", as4Path: "70000", want: "{5 6} 70000" },
  { name: "a confederation in front counts nothing, and stays", asPath: "(9) 23456", as4Path: "70000", want: "(9) 70000" },
  { name: "so does one behind what is prepended", asPath: "5 [9 8] 23456", as4Path: "70000", want: "5 [9 8] 70000" },
  { name: "one further on is in AS4_PATH, or is not at all", asPath: "23456 (9) 2", as4Path: "70000 2", want: "70000 2" },
  { name: "a confederation in AS4_PATH is discarded", asPath: "5 23456", as4Path: "(9) 70000", want: "5 70000" },
  { name: "an empty AS4_PATH changes nothing", asPath: "5 {6 7}", as4Path: "", want: "5 {6 7}" },
];
for (const { name, asPath, as4Path, want } of merges)
  test(`4.2.3 ${name}`, () => {
    const plain = (segments: readonly AsPathSegment[]) => segments.flatMap(({ type, asns }) => asns.map((asn) => [type, asn]));
    assert.deepEqual(plain(mergeAs4Path(path(asPath), path(as4Path))), plain(path(want)));
  });

const twoOctet = { ...external, fourOctetAsn: false };
const asPath = "400204 0201 5ba0";
const as4Path = "c01106 0201 00011170";
const aggregator = (asn: string) => `c00706 ${asn} c0000201`;
const as4Aggregator = "c01208 00011170 c0000201";
for (const { name, attributes } of [
  { name: "AS4_PATH", attributes: as4Path },
  {
    name: "AS4_AGGREGATOR beside an AGGREGATOR with another AS number",
    attributes: aggregator("fde9") + as4Path + as4Aggregator,
  },
  { name: "with AS_TRANS", attributes: aggregator("5ba0") + as4Path + as4Aggregator },
  { name: "AGGREGATOR alone", attributes: aggregator("fde9") + as4Path },
])
  test(`4.2.3 in an UPDATE there may be: ${name}`, () => {
    const body = updateBody({ attributes: mandatory.origin + asPath + mandatory.nextHop + attributes, nlri: "08 0a" });
    const { announced, forgiven } = decodeUpdate(body, twoOctet);
    assert.deepEqual([announced, forgiven], [1, []]);
  });

const encoded: { name: string; asns: number[]; want: string }[] = [
  { name: "AS numbers that fit need no AS4_PATH", asns: [65_535], want: `${mandatory.origin} 400204 0201 ffff` },
  {
    name: "others are AS_TRANS, and the path as it is in AS4_PATH",
    asns: [65_536, 7],
    want: `${mandatory.origin} 400206 0202 5ba0 0007 c0110a 0202 00010000 00000007`,
  },
];
for (const { name, asns, want } of encoded)
  test(`4.2.2 ${name}`, () => {
    const attributes = { origin: "igp", asPath: [{ type: "sequence", asns }] } as const;
    assert.equal(hex(encodeAttributes(attributes, twoOctet)), want.replaceAll(" ", ""));
  });

test("4.2.2 a confederation is not in AS4_PATH", () => {
  const asPath = [{ type: "confedSequence", asns: [70_000] } as const, { type: "sequence", asns: [70_001] } as const];
  const octetsOfBoth = hex(encodeAttributes({ origin: "igp", asPath }, twoOctet));
  assert.match(octetsOfBoth, /03015ba002015ba0c01106020100011171$/);
});

test("property: a path survives a peer without four-octet AS numbers", () => {
  fc.assert(
    fc.property(anyAsPath, (segments) => {
      const attributes = hex(encodeAttributes({ origin: "igp", asPath: segments }, twoOctet));
      const update = readUpdate(updateBody({ attributes: attributes + mandatory.nextHop, nlri: "08 0a" }), twoOctet);
      assert.deepEqual(update.attributes?.asPath, segments);
    }),
  );
});
