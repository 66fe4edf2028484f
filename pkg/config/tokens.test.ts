import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Assembly, type Peer, parseConfig, peersOfNode, type Token, takeApart } from "#pkg/config";
import { Address, AddressRange, Prefix } from "#pkg/net";

/** A value as it arrives in another thread. */
function sent(value: unknown, length: number): unknown {
  const assembly = new Assembly();
  const pieces = [...takeApart(value, length)];
  const last = pieces.map((piece) => assembly.add(structuredClone(piece)));
  assert.deepEqual(last, [...Array<boolean>(pieces.length - 1).fill(false), true]);
  return assembly.value;
}

test("what is put together is what was taken apart, wherever it was cut", () => {
  const address = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => new Address("IPv4", value)),
    fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((value) => new Address("IPv6", value)),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom<Token>(undefined, true, 0, -1.5, Number.NaN, "", "layer2"),
      fc.string(),
      address,
      address.map((one) => new AddressRange(one, one)),
      address.map((one) => new Prefix(one, one.family === "IPv4" ? 28 : 124)),
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(fc.constantFrom("a", "b", "c"), tie("value"), { noNullPrototype: true }),
      fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 5 }).map((entries) => new Map(entries)),
    ),
  }));
  fc.assert(
    fc.property(value, fc.constantFrom(1, 3, 1_000), (value, length) => {
      assert.deepEqual(sent(value, length), value);
    }),
  );
});

test("a configuration of every kind of field arrives as it is, and so do problems", () => {
  const text = `
bfd-profiles: [{name: fast, receive-interval: 50}]
bgp-communities: {no-export: "65535:65281", large: "large:1:2:3"}
peers:
- {name: a, my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, source-address: 192.0.2.9, router-id: 192.0.2.8, bfd-profile: fast,
   password-secret: {name: s, key: k}, node-selectors: [{match-labels: {a: b}, match-expressions: [{key: c, operator: In, values: [d]}]}]}
- {my-asn: 1, peer-asn: 2, peer-address: "fe80::1", interface: eth0, source-interface: eth0, password: p, hold-time: 9s}
address-pools:
- {name: a, protocol: layer2, addresses: [192.0.2.10-192.0.2.20, "2001:db8::/64"], interfaces: [eth1], l2-placement: sticky}
- {name: b, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [{communities: [no-export, large], next-hop: 192.0.2.7, peers: [a]}]}
`;
  const parsed = parseConfig(text);
  assert.ok(parsed.config, JSON.stringify(parsed.problems));
  for (const length of [1, 1_000]) assert.deepEqual(sent(parsed, length), parsed);
  const refused = parseConfig("address-pools: 7\npeers: [{}]");
  assert.deepEqual(sent(refused, 10), refused);
});

test("a peer with values of each node arrives with all its fields", () => {
  const { config } = parseConfig(
    "peers: [{peer-asn: 2, peer-address: 192.0.2.1, password-secret: {name: s}, node-selectors: [{match-labels: {a: b}}], from-node: {my-asn: {label: asn}}}]",
  );
  assert.ok(config);
  const arrived = sent(config, 10) as typeof config;
  assert.equal(JSON.stringify(arrived), JSON.stringify(config));
  assert.deepEqual(peersOfNode(arrived.peers[0] as Peer, { labels: { asn: "7" }, annotations: {} })[0], {
    ...config.peers[0],
    myAsn: 7,
    fromNode: undefined,
  });
});

test("pieces are of the length that is asked for, whatever the configuration", () => {
  const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join("");
  const pool = "address-pools:\n- name: a\n  protocol: layer2\n  addresses:\n";
  const parsed = parseConfig(`${pool}${lines(30_000, (i) => `  - 10.${i >> 8}.${i & 255}.0/28\n`)}`);
  assert.equal(parsed.config?.pools[0]?.ranges.length, 30_000);
  const lengths = [...takeApart(parsed, 2_000)].map((piece) => piece.length);
  assert.ok(
    Math.max(...lengths) < 2_050 && lengths.length > 50,
    `${lengths.length} pieces, the longest of ${Math.max(...lengths)}`,
  );
});

test("what has no place in a configuration is refused", () => {
  for (const value of [null, Symbol("a"), new Set(), () => {}]) assert.throws(() => [...takeApart([value], 10)], TypeError);
});
