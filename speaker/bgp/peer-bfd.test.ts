import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "#pkg/config";
import { parsePrefix } from "#pkg/net";
import { bfdEnds } from "./peer-bfd.ts";

const subnets = ["192.0.2.0/24", "2001:db8::/64"].map((text) => parsePrefix(text) ?? assert.fail(text));
const cases = [
  { name: "eBGP is over one hop", peer: "peer-asn: 2, peer-address: 192.0.2.1", multihop: false },
  { name: "eBGP with a stranger is over one hop, as BGP is", peer: "peer-asn: 2, peer-address: 198.51.100.1", multihop: false },
  { name: "multihop eBGP is over several", peer: "peer-asn: 2, peer-address: 192.0.2.1, ebgp-multihop: true", multihop: true },
  { name: "iBGP on a subnet of the node is over one hop", peer: "peer-asn: 1, peer-address: '2001:db8::1'", multihop: false },
  { name: "iBGP with another address is over several", peer: "peer-asn: 1, peer-address: 198.51.100.1", multihop: true },
];
for (const { name, peer, multihop } of cases)
  test(`bfdEnds: ${name}`, () => {
    const { config } = parseConfig(`peers: [{my-asn: 1, ${peer}, source-address: 192.0.2.9}]`);
    const [parsed] = config?.peers ?? [];
    assert.ok(parsed);
    const ends = bfdEnds(parsed, subnets);
    assert.deepEqual(ends, { peer: parsed.address, local: parsed.sourceAddress, interface: undefined, multihop });
  });
