import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "./parse.ts";
import { isSlotPool, slotPools } from "./slots.ts";

const peers = "peers: [{my-asn: 1, peer-asn: 2, peer-address: 10.0.0.254}]";
const slots = "next-hop-slots: 10.0.0.224/28";
const pool = (name: string, rest: string, addresses = "198.51.100.0/28", protocol = "bgp") =>
  `{name: ${name}, protocol: ${protocol}, addresses: [${addresses}], ${rest}}`;
const parse = (...pools: string[]) => parseConfig(`{${peers}, address-pools: [${pools}]}`);
const other = "198.51.100.16/28";

for (const { name, pools, path = "address-pools[0].next-hop-slots", message } of [
  {
    name: "layer 2 alone",
    pools: [pool("a", slots, "198.51.100.0/28", "layer2")],
    message: 'only a pool with "protocol: bgp" can have these',
  },
  {
    name: "too many",
    pools: [pool("a", "next-hop-slots: 10.0.0.0/24")],
    message: 'must hold 16 to 64 addresses, an IPv4 /28 to /26 or an IPv6 /124 to /122, but "10.0.0.0/24" holds 256',
  },
  {
    name: "too few",
    pools: [pool("a", "next-hop-slots: '2001:db8::/125'")],
    message: 'must hold 16 to 64 addresses, an IPv4 /28 to /26 or an IPv6 /124 to /122, but "2001:db8::/125" holds 8',
  },
  {
    name: "a whole subnet of IPv6",
    pools: [pool("a", "next-hop-slots: '2001:db8::/64'")],
    message: 'must hold 16 to 64 addresses, an IPv4 /28 to /26 or an IPv6 /124 to /122, but "2001:db8::/64" holds many more',
  },
  {
    name: "a range",
    pools: [pool("a", "next-hop-slots: 10.0.0.1-10.0.0.16")],
    message: 'must be a CIDR of 16 to 64 addresses, an IPv4 /28 to /26 or an IPv6 /124 to /122, but is "10.0.0.1-10.0.0.16"',
  },
  {
    name: "two of one family",
    pools: [pool("a", "next-hop-slots: [10.0.0.224/28, 10.0.1.224/28]")],
    path: "address-pools[0].next-hop-slots[1]",
    message: "10.0.0.224/28 holds the IPv4 slots of this pool already: write one prefix",
  },
  {
    name: "addresses of a pool",
    pools: [pool("a", slots), pool("lan", "auto-assign: true", "10.0.0.0/24", "layer2")],
    message: '"10.0.0.224/28" shares addresses with "10.0.0.0/24" in pool "lan" (address-pools[1].addresses[0])',
  },
  {
    name: "slots of another pool in part",
    pools: [pool("a", slots), pool("b", "next-hop-slots: 10.0.0.192/26", other)],
    path: "address-pools[1].next-hop-slots",
    message: '"10.0.0.192/26" shares addresses with "10.0.0.224/28" in pool "a" (address-pools[0].next-hop-slots)',
  },
  {
    name: "slots of another pool for other nodes",
    pools: [pool("a", slots), pool("b", `${slots}, interfaces: [eth1]`, other)],
    path: "address-pools[1].next-hop-slots",
    message:
      '10.0.0.224/28 are the slots of pool "a" as well (address-pools[0].next-hop-slots): both must have the same node-selectors and interfaces',
  },
  {
    name: "beside another next hop",
    pools: [pool("a", `${slots}, bgp-advertisements: [{next-hop: 10.0.0.9}]`)],
    message: "an advertisement of the pool has the next hop 10.0.0.9, and slots are next hops too: take one of the two away",
  },
])
  test(`next-hop-slots: refused: ${name}`, () => {
    const [problem, ...more] = parse(...pools).problems.filter(({ severity }) => severity === "error");
    assert.deepEqual([problem?.path, problem?.message, more], [path, message, []]);
  });

test("next-hop-slots: pools may share slots; each set is one pool, whose owners the pool selects", () => {
  const chosen = `${slots}, interfaces: [eth1], node-selectors: [{match-labels: {edge: ''}}]`;
  const { config, problems } = parse(pool("a", chosen), pool("b", chosen, other));
  assert.deepEqual(problems, []);
  const [found, ...more] = slotPools(config ?? assert.fail());
  assert.ok(isSlotPool(found) && more.length === 0);
  assert.deepEqual(
    [`${found.slots}`, found.ranges.map(String), found.protocols, found.interfaces, found.nodeSelectors.length],
    ["10.0.0.224/28", ["10.0.0.224-10.0.0.239"], ["layer2"], ["eth1"], 1],
  );
});

test("next-hop-slots: nodes that cannot deliver leave shared slots to others where any of the pools asks for that", () => {
  const [alive, delivering] = ["alive", "delivering"].map((when) => `${slots}, announce-when: ${when}`);
  for (const [first, second, want] of [
    [alive, delivering, "delivering"],
    [delivering, alive, "delivering"],
    [alive, alive, "alive"],
  ] as const) {
    const { config } = parse(pool("a", `${first}`), pool("b", `${second}`, other));
    assert.equal(slotPools(config ?? assert.fail())[0]?.announceWhen, want);
  }
});

test("next-hop-slots: of both families are two sets, and a family without slots is warned of", () => {
  const dual = "198.51.100.0/28, 2001:db8:1::/120";
  const both = parse(pool("a", "next-hop-slots: [10.0.0.224/28, '2001:db8::e0/124']", dual));
  assert.deepEqual(both.problems, []);
  assert.deepEqual(
    slotPools(both.config ?? assert.fail()).map((one) => `${one.slots}`),
    ["10.0.0.224/28", "2001:db8::e0/124"],
  );
  const [warning] = parse(pool("a", slots, dual)).problems;
  assert.equal(warning?.message, "has no IPv6 prefix: the next hop of the pool's IPv6 routes is the node that advertises them");
});

test("next-hop-slots: without peers nothing is warned of: the routes may be static", () => {
  assert.deepEqual(parseConfig(`{address-pools: [${pool("a", slots)}]}`).problems, []);
});
