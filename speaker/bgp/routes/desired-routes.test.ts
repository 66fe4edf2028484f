import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RouteAttributes } from "#pkg/bgp";
import { type Config, parseConfig } from "#pkg/config";
import { type Prefix, parseAddress, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { Advertised, BgpRoute, SlotPaths } from "#pkg/placement";
import { DesiredRoutes, type Paths } from "./desired-routes.ts";

const names = ["x", "y", "z"];
function advertisementsOf(texts: readonly string[]) {
  const peers = names.map((name, i) => `{name: ${name}, my-asn: 1, peer-asn: 2, peer-address: 192.0.2.${i}}`);
  const pool = `{name: a, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [${texts}]}`;
  const config: Config | undefined = parseConfig(`{peers: [${peers}], address-pools: [${pool}]}`).config;
  assert.ok(config);
  return config.pools[0]?.advertisements ?? [];
}
function via(text: string, peers: readonly string[], order = 0, slots: SlotPaths = new Map()): Advertised {
  const [advertisement] = advertisementsOf([text]);
  assert.ok(advertisement);
  return { advertisement, peers: { IPv4: peers, IPv6: peers }, order, slots };
}
function route(prefix: string, through: Advertised, weight = 1): BgpRoute {
  const found = parsePrefix(prefix);
  assert.ok(found);
  return { prefix: found, via: through, weight };
}

/** The peers' knowledge, and the changes since the last call. */
class Peers {
  readonly known = new Map<string, RouteAttributes>(); // peer and prefix -> attributes
  readonly paths: Paths[] = [];
  readonly #changes: string[] = [];

  advertise(peer: string, prefix: Prefix, attributes: RouteAttributes): void {
    const { localPref, med, linkBandwidth } = attributes;
    this.known.set(`${peer} ${prefix}`, attributes);
    this.#changes.push(`${peer} + ${prefix} ${localPref ?? "-"} ${med ?? "-"} ${(linkBandwidth ?? 0) / 125e6}`);
  }

  advertisePaths(peer: string, prefix: Prefix, paths: Paths): void {
    if (paths.only !== undefined) this.known.set(`${peer} ${prefix}`, paths.only);
    this.#changes.push(`${peer} + ${prefix} ${[...paths.all].map(([path, { nextHop }]) => `${path}:${nextHop}`).join(" ")}`);
    this.paths.push(paths);
  }

  withdraw(peer: string, prefix: Prefix): void {
    assert.ok(this.known.delete(`${peer} ${prefix}`), "was never advertised");
    this.#changes.push(`${peer} - ${prefix}`);
  }

  changes(): string[] {
    return this.#changes.splice(0);
  }
}
const a = address("198.51.100.1");
const b = address("198.51.100.2");

test("DesiredRoutes: a prefix lives while any address asks for it, and is advertised once", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const all = via("{localpref: 5}", ["x", "y"]);
  desired.set(a, [route("198.51.100.0/24", all)]);
  assert.deepEqual(peers.changes(), ["x + 198.51.100.0/24 5 - 0", "y + 198.51.100.0/24 5 - 0"]);
  desired.set(b, [route("198.51.100.0/24", all)]);
  desired.set(a, []);
  assert.deepEqual(peers.changes(), []);
  desired.set(b, []);
  assert.deepEqual(peers.changes(), ["x - 198.51.100.0/24", "y - 198.51.100.0/24"]);
});

test("DesiredRoutes: prefixes share their paths, which stay the same for as long as one of them has these", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const slots = (): SlotPaths => {
    const hops = ["10.0.0.1", "10.0.0.2"].map((text, index) => ({ path: index + 1, nextHop: address(text), isOwn: false }));
    return new Map([["IPv4", hops]]);
  };
  const first = via("{localpref: 5}", ["x"], 0, slots());
  desired.set(a, [route("198.51.100.1/32", first)]);
  desired.set(b, [route("198.51.100.2/32", first)]);
  assert.equal(peers.paths[0]?.all, peers.paths[1]?.all);
  desired.set(b, []);
  peers.changes();
  desired.set(a, [route("198.51.100.1/32", via("{localpref: 5}", ["x"], 0, slots()))]);
  assert.deepEqual(peers.changes(), [], "equal ones are no change");
  desired.set(a, []);
  desired.set(a, [route("198.51.100.1/32", first)]);
  assert.deepEqual(peers.changes(), ["x - 198.51.100.1/32", "x + 198.51.100.1/32 1:10.0.0.1 2:10.0.0.2"]);
});

test("DesiredRoutes: of several for one prefix and peer, the last in the configuration counts", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const first = route("198.51.100.1/32", via("{localpref: 1}", ["x", "y"], 0));
  const last = route("198.51.100.1/32", via("{localpref: 2}", ["y"], 1));
  desired.set(a, [last, first]);
  assert.deepEqual(peers.changes(), ["x + 198.51.100.1/32 1 - 0", "y + 198.51.100.1/32 2 - 0"]);
  desired.set(a, [first]);
  assert.deepEqual(peers.changes(), ["y + 198.51.100.1/32 1 - 0"]);
});

test("DesiredRoutes: weights of the addresses in one prefix add up", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const weighted = via("{weight: endpoints}", ["x"]);
  desired.set(a, [route("198.51.100.0/24", weighted, 2)]);
  desired.set(b, [route("198.51.100.0/24", weighted, 3)]);
  desired.set(a, [route("198.51.100.0/24", weighted, 1)]);
  desired.set(b, []);
  assert.deepEqual(
    peers.changes(),
    [2, 5, 4, 1].map((weight) => `x + 198.51.100.0/24 - - ${weight}`),
  );
});

for (const [name, slots] of [
  ["of a route", new Map()],
  ["of a path", new Map([["IPv4", [{ path: 1, nextHop: address("10.0.0.1"), isOwn: false }]]])],
] satisfies [string, SlotPaths][])
  test(`DesiredRoutes: the weight ${name} has all addresses, also of an advertisement that was made anew between them`, () => {
    const peers = new Peers();
    const desired = new DesiredRoutes(peers);
    const made = () => via("{weight: endpoints}", ["x"], 0, slots);
    desired.set(a, [route("198.51.100.0/24", made(), 2)]);
    desired.set(b, [route("198.51.100.0/24", made(), 3)]);
    assert.equal(peers.known.get("x 198.51.100.0/24")?.linkBandwidth, 5 * 125e6);
    peers.changes();
    desired.set(a, [route("198.51.100.0/24", made(), 2)]);
    assert.deepEqual(peers.changes(), []);
  });

test("DesiredRoutes: without a weight, more endpoints are no news", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const plain = via("{med: 1}", ["x"]);
  desired.set(a, [route("198.51.100.1/32", plain, 2)]);
  peers.changes();
  desired.set(a, [route("198.51.100.1/32", plain, 3)]);
  assert.deepEqual(peers.changes(), []);
});

test("DesiredRoutes: an equal configuration changes nothing", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const text = "{communities: [no-export, '1:2', 'large:1:2:3'], next-hop: 192.0.2.7}";
  desired.set(a, [route("198.51.100.1/32", via(text, ["x"]))]);
  peers.changes();
  desired.set(a, [
    route("198.51.100.1/32", via("{communities: ['large:1:2:3', '1:2', no-export], next-hop: 192.0.2.7}", ["x"], 3)),
  ]);
  assert.deepEqual(peers.changes(), []);
  const [attributes] = peers.known.values();
  assert.deepEqual(attributes, {
    localPref: undefined,
    med: undefined,
    asPathPrepend: 0,
    linkBandwidth: undefined,
    communities: [65538, 0xffffff01],
    largeCommunities: [{ globalAdministrator: 1, localData1: 2, localData2: 3 }],
    nextHop: parseAddress("192.0.2.7"),
  });
});

test("DesiredRoutes: a route to slots has a path for each, and prefixes of the same slot have one object", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const slots = (...paths: number[]): SlotPaths =>
    new Map([["IPv4", paths.map((path) => ({ path, nextHop: address(`10.0.0.${path}`), isOwn: path < 10 }))]]);
  const before = via("{med: 1}", ["x"], 0, slots(1, 2));
  desired.set(a, [route("198.51.100.1/32", before)]);
  desired.set(b, [route("198.51.100.2/32", before)]);
  assert.deepEqual(peers.changes(), ["x + 198.51.100.1/32 1:10.0.0.1 2:10.0.0.2", "x + 198.51.100.2/32 1:10.0.0.1 2:10.0.0.2"]);
  const [one, other] = peers.paths;
  assert.equal(one?.all.get(2), other?.all.get(2));
  desired.set(a, [route("198.51.100.1/32", via("{med: 1}", ["x"], 0, slots(1, 2)))]);
  assert.deepEqual(peers.changes(), [], "other objects that say the same");
  desired.set(a, [route("198.51.100.1/32", via("{med: 1}", ["x"], 0, slots(2, 3)))]);
  assert.deepEqual(peers.changes(), ["x + 198.51.100.1/32 2:10.0.0.2 3:10.0.0.3"]);
  assert.equal(peers.paths.at(-1)?.all.get(2), other?.all.get(2), "it is not sent again");
  desired.set(a, [route("198.51.100.1/32", via("{med: 1}", ["x"]))]);
  desired.set(b, []);
  assert.deepEqual(peers.changes(), ["x + 198.51.100.1/32 - 1 0", "x - 198.51.100.2/32"]);
});

test("DesiredRoutes: a router that takes one path gets one to a slot of this node, the same as long as it is", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const only = (...paths: number[]): string => {
    const slots: SlotPaths = new Map([
      ["IPv4", paths.map((path) => ({ path, nextHop: address(`10.0.0.${path}`), isOwn: path < 10 }))],
    ]);
    desired.set(a, [route("198.51.100.1/32", via("{med: 1}", ["x"], 0, slots))]);
    return `${peers.paths.at(-1)?.only?.nextHop}`;
  };
  for (let own = 1; own < 10; own++) assert.equal(only(own, 10, 11, 12), `10.0.0.${own}`);
  assert.equal(only(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), "10.0.0.9");
  assert.equal(only(9, 10), "10.0.0.9");
  assert.match(only(1, 2, 10), /^10\.0\.0\.[12]$/);
  assert.match(only(10, 11), /^10\.0\.0\.1[01]$/, "one of others before none");
});

test("DesiredRoutes: each family has its next hop", () => {
  const peers = new Peers();
  const desired = new DesiredRoutes(peers);
  const both = via("{next-hop: 192.0.2.7, next-hop-v6: '2001:db8::7'}", ["x"]);
  desired.set(a, [route("198.51.100.1/32", both)]);
  desired.set(address("2001:db8:1::1"), [route("2001:db8:1::1/128", both)]);
  assert.deepEqual(
    [...peers.known.values()].map(({ nextHop }) => `${nextHop}`),
    ["192.0.2.7", "2001:db8::7"],
  );
});

test("DesiredRoutes: whatever changes in whatever order, peers get what a fresh computation yields", () => {
  const texts = ["{localpref: 1}", "{localpref: 2}", "{med: 1, weight: endpoints}", "{localpref: 1, communities: [no-export]}"];
  const reach = fc
    .tuple(fc.constantFrom(...texts), fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }), fc.nat(1000))
    .map(([text, peers, order]) => via(text, peers, order));
  const addresses = Array.from({ length: 6 }, (_, i) => address(`198.51.100.${i}`));
  const lengths = [29, 31, 32];
  const scenario = fc.uniqueArray(reach, { minLength: 1, maxLength: 5, selector: ({ order }) => order }).chain((vias) =>
    fc.array(
      fc.record({
        address: fc.constantFrom(...addresses),
        parts: fc.uniqueArray(fc.record({ through: fc.constantFrom(...vias), length: fc.constantFrom(...lengths) }), {
          maxLength: 4,
          selector: ({ through }) => through,
        }),
        weight: fc.integer({ min: 1, max: 3 }),
      }),
      { maxLength: 30 },
    ),
  );
  fc.assert(
    fc.property(scenario, (steps) => {
      const peers = new Peers();
      const desired = new DesiredRoutes(peers);
      const state = new Map<string, readonly BgpRoute[]>(); // address -> routes
      for (const { address: of, parts, weight } of steps) {
        const routes = parts.map(({ through, length }) => route(`${of}/${length}`, through, weight));
        state.set(`${of}`, routes);
        desired.set(of, routes);
        assert.deepEqual(new Map([...peers.known].map(([key, one]) => [key, saying(one)])), naive([...state.values()].flat()));
        const all = names.flatMap((peer) => [...desired.of(peer)].map(([prefix, one]) => [`${peer} ${prefix}`, one] as const));
        assert.deepEqual(new Map(all), peers.known);
        const objects = new Set(peers.known.values());
        assert.equal(
          new Set([...objects].map((one) => JSON.stringify(one))).size,
          objects.size,
          "equal attributes are one object",
        );
      }
      for (const of of addresses) desired.set(of, []);
      assert.equal(peers.known.size, 0);
    }),
  );
});

const saying = ({ localPref, med, communities, linkBandwidth }: RouteAttributes) =>
  JSON.stringify([localPref ?? null, med ?? null, communities.length, (linkBandwidth ?? 0) / 125e6]);

/** peer and prefix -> what it should get */
function naive(routes: readonly BgpRoute[]): Map<string, string> {
  const known = new Map<string, string>();
  for (const peer of names)
    for (const prefix of new Set(routes.map((one) => `${one.prefix}`))) {
      const asked = routes.filter((one) => `${one.prefix}` === prefix && one.via.peers.IPv4.includes(peer));
      const last = asked.toSorted((one, other) => one.via.order - other.via.order).at(-1)?.via;
      if (last === undefined) continue;
      const { localPref, med, communities, weightByEndpoints } = last.advertisement;
      const weight = asked.filter((one) => one.via === last).reduce((sum, one) => sum + one.weight, 0);
      const text = JSON.stringify([localPref ?? null, med ?? null, communities.length, weightByEndpoints ? weight : 0]);
      known.set(`${peer} ${prefix}`, text);
    }
  return known;
}
