import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./parse.ts";
import { countUsable } from "./pool-size.ts";

const cases: { addresses: string; avoid?: boolean; want: bigint }[] = [
  { addresses: "192.0.2.0/24", want: 256n },
  { addresses: "192.0.2.0/24", avoid: true, want: 254n },
  { addresses: "192.0.2.1-192.0.2.254", avoid: true, want: 254n },
  { addresses: "192.0.2.255-192.0.3.0", avoid: true, want: 0n },
  { addresses: "192.0.2.255-192.0.3.1", avoid: true, want: 1n },
  { addresses: "192.0.2.0/32, 192.0.2.7/32", avoid: true, want: 1n },
  { addresses: "10.0.0.0/8", avoid: true, want: 2n ** 24n - 2n * 65536n },
  { addresses: "0.0.0.0/0, '::/0'", avoid: true, want: 2n ** 32n - 2n ** 25n + 2n ** 128n },
  { addresses: "2001:db8::/120", avoid: true, want: 256n },
];
for (const { addresses, avoid = false, want } of cases) {
  test(`countUsable: ${addresses}${avoid ? " without .0 and .255" : ""} holds ${want}`, () => {
    const text = `address-pools: [{name: a, protocol: layer2, avoid-buggy-ips: ${avoid}, addresses: [${addresses}]}]`;
    assert.deepEqual(parseConfig(text).config?.pools.map(countUsable), [want]);
  });
}
