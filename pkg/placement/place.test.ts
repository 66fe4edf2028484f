import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import type { Pool } from "#pkg/config";
import { type Address, parseAddress } from "#pkg/net";
import { elect, type Holder, place } from "#pkg/placement";

function ip(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
}
const layer2: Pool = {
  ...{ name: "lan", protocol: "layer2", ranges: [], cidrs: [], autoAssign: true, avoidBuggyIPs: false, advertisements: [] },
  ...{ nodeSelectors: [], interfaces: [] },
};
const nodes = ["node1", "node2", "node3"];
const x = "192.0.2.1";
const y = "2001:db8::1";

interface Given {
  readonly service?: string;
  readonly addresses?: string[];
  readonly local?: boolean;
  /** `node` is a ready endpoint on it, `!node` one that is not ready. */
  readonly endpoints?: string[];
}
function holder({ service = "default/web", addresses = [x], local = false, endpoints = ["node1"] }: Given): Holder {
  return {
    service,
    addresses: addresses.map(ip),
    externalTrafficPolicy: local ? "Local" : "Cluster",
    endpoints: endpoints.map((text) => ({ nodeName: text.replace("!", ""), ready: !text.startsWith("!") })),
  };
}

const verdicts: {
  name: string;
  holders: Given[];
  pool?: Pool | null;
  active?: string[];
  candidates: string[];
  reasons: (string | true)[];
}[] = [
  { name: "under Cluster every active speaker is a candidate", holders: [{}], candidates: nodes, reasons: [true] },
  {
    name: "endpoints that are not ready do not count",
    holders: [{ endpoints: ["!node1"] }],
    candidates: [],
    reasons: ["noReadyEndpoint"],
  },
  { name: "no endpoint at all", holders: [{ endpoints: [] }], candidates: [], reasons: ["noReadyEndpoint"] },
  {
    name: "one ready endpoint among others is enough",
    holders: [{ endpoints: ["!node1", "node2"] }],
    candidates: nodes,
    reasons: [true],
  },
  { name: "nobody is active", holders: [{}], active: [], candidates: [], reasons: ["noActiveSpeaker"] },
  {
    name: "under Local only nodes with a ready endpoint",
    holders: [{ local: true, endpoints: ["node2", "!node3"] }],
    candidates: ["node2"],
    reasons: [true],
  },
  {
    name: "under Local an endpoint on a node without a speaker does not count",
    ...{ holders: [{ local: true, endpoints: ["node9"] }], candidates: [], reasons: ["noReadyEndpointOnActiveNode"] },
  },
  { name: "an address in no pool", holders: [{}], pool: null, candidates: [], reasons: ["ipNotAllowed"] },
  {
    name: "a pool of protocol bgp",
    holders: [{}],
    pool: { ...layer2, protocol: "bgp" },
    candidates: [],
    reasons: ["bgpNotAnnounced"],
  },
  {
    name: "a Service without endpoints does not hinder the one it shares with",
    ...{ holders: [{}, { service: "default/idle", endpoints: [] }], candidates: nodes, reasons: [true, "noReadyEndpoint"] },
  },
  {
    name: "Local and Cluster on one address go where Local has an endpoint",
    ...{
      holders: [{}, { service: "default/local", local: true, endpoints: ["node3"] }],
      candidates: ["node3"],
      reasons: [true, true],
    },
  },
];
for (const { name, holders, pool, active, candidates, reasons } of verdicts) {
  test(`place: ${name}`, () => {
    const placed = place(ip(x), holders.map(holder), pool === null ? undefined : (pool ?? layer2), active ?? nodes);
    assert.deepEqual(placed.candidates, candidates);
    assert.equal(placed.owner, elect(candidates, ip(x)));
    assert.deepEqual(
      [...placed.verdicts.values()].map((verdict) => verdict.announced || verdict.reason),
      reasons,
    );
  });
}

test("place: Services that can share no node go to one of them, and the other is told", () => {
  const a = holder({ service: "default/a", local: true, endpoints: ["node1"] });
  const b = holder({ service: "default/b", local: true, endpoints: ["node2"] });
  const placed = place(ip(x), [a, b], layer2, nodes);
  assert.deepEqual(placed.candidates, ["node1", "node2"]);
  const losers = [...placed.verdicts.values()].filter((verdict) => !verdict.announced);
  assert.deepEqual(losers, [{ announced: false, reason: "noReadyEndpointOnOwner" }]);
});

test("place: an address of a dual-stack Service follows its first one", () => {
  const dual = holder({ addresses: [y, x] });
  assert.equal(place(ip(x), [dual], layer2, nodes).owner, elect(nodes, ip(y)));
});

test("place: Services that share an address and differ in their first one elect by the shared address", () => {
  const dual = holder({ service: "default/dual", addresses: [y, x] });
  const single = holder({ service: "default/single", addresses: [x] });
  assert.equal(place(ip(x), [dual, single], layer2, nodes).owner, elect(nodes, ip(x)));
});

test("place: both addresses of a dual-stack Service are announced, by the same node", () => {
  const dual = holder({ addresses: [x, y] });
  const placed = [ip(x), ip(y)].map((address) => place(address, [dual], layer2, nodes));
  assert.deepEqual(
    placed.map(({ owner, verdicts }) => [owner, verdicts.get("default/web")]),
    Array(2).fill([elect(nodes, ip(x)), { announced: true }]),
  );
});

// Computed with coreutils: printf 'node1#192.0.2.1' | sha256sum, for each node.
test("elect: the smallest SHA-256 of node#address wins", () => {
  const digests = nodes.map((node) => [createHash("sha256").update(`${node}#192.0.2.1`).digest("hex"), node] as const).sort();
  assert.equal(digests[0]?.[0].slice(0, 8), "42a37b7a");
  assert.equal(elect(nodes, ip(x)), "node3");
});

test("elect: the order and number of mentions of candidates make no difference, and a loser's leaving moves nothing", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(names, fc.nat(), (candidates, pick) => {
      const owner = elect(candidates, ip(x));
      assert.equal(elect([...candidates, ...candidates].reverse(), ip(x)), owner);
      const leaver = candidates[pick % candidates.length];
      const rest = candidates.filter((node) => node !== leaver);
      if (leaver !== owner) assert.equal(elect(rest, ip(x)), owner);
    }),
  );
  assert.equal(elect([], ip(x)), undefined);
});

test("elect: an earlier election changes no answer, whatever it was", () => {
  const names = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 8 });
  const addresses = fc.constantFrom(...["192.0.2.1", "192.0.2.2", "192.0.2.3", y].map(ip));
  fc.assert(
    fc.property(names, addresses, names, addresses, (candidates, electionAddress, now, address) => {
      const before = { candidates, electionAddress, owner: elect(candidates, electionAddress) };
      assert.equal(elect(now, address, before), elect(now, address));
    }),
  );
});
