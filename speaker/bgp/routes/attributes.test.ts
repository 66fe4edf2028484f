import assert from "node:assert/strict";
import { test } from "node:test";
import { RoutesOut } from "#pkg/bgp";
import { parseConfig } from "#pkg/config";
import { address, prefix } from "#pkg/net/testing";
import { Attributes } from "./attributes.ts";

function advertisement(text: string) {
  const pool = `{name: a, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [${text}]}`;
  const [found] = parseConfig(`address-pools: [${pool}]`).config?.pools[0]?.advertisements ?? [];
  assert.ok(found);
  return found;
}

test("Attributes: equal ones are one object while in use, and forgotten afterwards", () => {
  const all = new Attributes();
  const [one, same, other] = ["{med: 1}", "{med: 1, aggregation-length: 24}", "{med: 2}"].map((text) => ({
    advertisement: advertisement(text),
  }));
  assert.ok(one && same && other);
  const first = all.acquire(one, "IPv4", 1);
  assert.equal(all.acquire(one, "IPv4", 7), first);
  assert.equal(all.acquire(same, "IPv4", 1), first);
  assert.equal(all.acquire(one, "IPv6", 1), first);
  assert.notEqual(all.acquire(other, "IPv4", 1), first);
  assert.notEqual(all.acquire({ ...one, lastResort: ["IPv6"] }, "IPv6", 1), first);
  assert.equal(all.acquire({ ...one, lastResort: ["IPv6"] }, "IPv4", 1), first);
  assert.equal(all.size, 3);
  for (let i = 0; i < 5; i++) all.release(first);
  assert.equal(all.size, 2);
  assert.deepEqual(all.acquire(one, "IPv4", 1), first);
});

test("Attributes: a weight is a link bandwidth of 1 Gbit/s for each endpoint", () => {
  const bandwidth = (text: string) => new Attributes().acquire({ advertisement: advertisement(text) }, "IPv4", 3).linkBandwidth;
  assert.equal(bandwidth("{weight: endpoints}"), 3 * 125_000_000);
  assert.equal(bandwidth("{}"), undefined);
});

for (const [kind, tooMany, text] of [
  ["standard", 980, (index: number) => `"1:${index}"`],
  ["large", 330, (index: number) => `"large:1:1:${index}"`],
] as const)
  test(`a route with as many ${kind} communities as the configuration takes fits into an UPDATE when the speaker stops`, () => {
    const read = (count: number) => {
      const entry = `{as-path-prepend: 10, med: 1, weight: endpoints, communities: [${Array.from({ length: count }, (_, i) => text(i))}]}`;
      return parseConfig(
        `address-pools: [{name: a, protocol: bgp, addresses: ["2001:db8::/64"], bgp-advertisements: [${entry}]}]`,
      ).config?.pools[0]?.advertisements[0];
    };
    let count: number = tooMany;
    while (read(count) === undefined) count--;
    const advertisement = read(count);
    assert.ok(advertisement);
    const routes = new RoutesOut();
    routes.advertise(prefix("2001:db8::1/128"), new Attributes().acquire({ advertisement }, "IPv6", 1));
    routes.setLeaving(true);
    const flags = { extendedMessage: false, routeRefresh: false, enhancedRouteRefresh: false, extendedNextHop: false };
    const none = {
      gracefulRestart: false,
      gracefulNotification: false,
      longLivedGracefulRestart: false,
      addPath: new Set<never>(),
    };
    const peer = { peerAsn: 1, peerRouterId: address("192.0.2.1"), peerRole: undefined, fourOctetAsn: false };
    routes.start(
      { ...flags, ...none, ...peer, holdTimeSeconds: 90, keepaliveSeconds: 30, families: new Set(["IPv6"]) },
      {
        asn: 4_200_000_000,
        internal: false,
        role: "provider",
        addresses: new Map([["IPv6", address("2001:db8:1::1")]]),
        linkLocal: address("fe80::1"),
        unnumbered: false,
      },
    );
    assert.ok((routes.next()?.length ?? 0) > 4000);
  });
