import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyAsPath } from "./testing/arbitraries.ts";
import { external, hex, mandatory, updateBody } from "./testing/octets.ts";
import { readUpdate } from "./testing/update-reader.ts";
import { decodeUpdate } from "./update-decoder.ts";
import { encodeAttributes } from "./update-encoder.ts";

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
  { name: "AS numbers that fit need no AS4_PATH", asns: [65_535], want: "40010102 400204 0201 ffff" },
  {
    name: "others are AS_TRANS, and the path as it is in AS4_PATH",
    asns: [65_536, 7],
    want: "40010102 400206 0202 5ba0 0007 c0110a 0202 00010000 00000007",
  },
];
for (const { name, asns, want } of encoded)
  test(`4.2.2 ${name}`, () => {
    assert.equal(hex(encodeAttributes({ asPath: asns }, twoOctet)), want.replaceAll(" ", ""));
  });

test("property: a path survives a peer without four-octet AS numbers", () => {
  fc.assert(
    fc.property(anyAsPath, (asns) => {
      const attributes = hex(encodeAttributes({ asPath: asns }, twoOctet));
      const update = readUpdate(updateBody({ attributes: attributes + mandatory.nextHop, nlri: "08 0a" }), twoOctet);
      assert.deepEqual(update.attributes?.asPath, asns.length === 0 ? [] : [{ type: "sequence", asns }]);
    }),
  );
});
