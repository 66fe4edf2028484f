import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bfd } from "#pkg/bfd";
import { SimulatedClock } from "#pkg/clock/testing";
import { parseConfig } from "#pkg/config";
import { reached } from "#pkg/config/testing";
import { parsePrefix } from "#pkg/net";
import { bfdEnds, PeerBfd } from "./peer-bfd.ts";
import { NodeInterfaces } from "./testing/node-interfaces.ts";

const subnets = ["192.0.2.0/24", "2001:db8::/64"].map((text) => parsePrefix(text) ?? assert.fail(text));
const cases = [
  { name: "eBGP is over one hop", peer: "peer-asn: 2, peer-address: 192.0.2.1", multihop: false },
  {
    name: "eBGP with an address of no subnet is over one hop, as BGP is",
    peer: "peer-asn: 2, peer-address: 198.51.100.1",
    multihop: false,
  },
  { name: "multihop eBGP is over several", peer: "peer-asn: 2, peer-address: 192.0.2.1, ebgp-multihop: true", multihop: true },
  { name: "iBGP on a subnet of the node is over one hop", peer: "peer-asn: 1, peer-address: '2001:db8::1'", multihop: false },
  { name: "iBGP with another address is over several", peer: "peer-asn: 1, peer-address: 198.51.100.1", multihop: true },
];
for (const { name, peer, multihop } of cases)
  test(`bfdEnds: ${name}`, () => {
    const { config } = parseConfig(`peers: [{my-asn: 1, ${peer}, source-address: 192.0.2.9}]`);
    const parsed = reached(config?.peers[0]);
    const ends = bfdEnds(parsed, subnets);
    assert.deepEqual(ends, { peer: parsed.address, local: parsed.sourceAddress, interface: undefined, multihop });
  });

for (const isBgpEstablished of [true, false])
  test(`what is known of a path begins when its peer gets a profile; BGP is ${isBgpEstablished ? "" : "not "}established`, () => {
    const { config } = parseConfig("peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1}]\nbfd-profiles: [{name: p}]");
    const peer = reached(config?.peers[0]);
    const profile = config?.bfdProfiles.get("p");
    assert.ok(profile);
    const clock = new SimulatedClock();
    const watch: Bfd["watch"] = () => ({ status: { verdict: "unknown", reason: "" }, configure() {}, [Symbol.dispose]() {} });
    const bfd = new PeerBfd({ watch }, clock, () => {});
    clock.advanceBy(3_600_000);
    bfd.configure(peer, profile, isBgpEstablished);
    clock.advanceBy(5_000);
    bfd.configure(peer, profile, isBgpEstablished);
    assert.equal(bfd.seconds, 5);
  });

test("a session moves to other ends when the node has other addresses", async (t) => {
  const { config } = parseConfig(
    "peers: [{my-asn: 1, peer-asn: 1, peer-address: 192.0.2.1, bfd-strict: true, bfd-profile: p}]\nbfd-profiles: [{name: p}]",
  );
  const peer = reached(config?.peers[0]);
  const profile = config?.bfdProfiles.get("p");
  assert.ok(profile);
  const interfaces = new NodeInterfaces(t);
  await interfaces.set([]);
  const calls: string[] = [];
  const watch: Bfd["watch"] = ({ multihop }) => {
    const hops = multihop ? "several hops" : "one hop";
    calls.push(hops);
    return { status: { verdict: "unknown", reason: "" }, configure() {}, [Symbol.dispose]: () => calls.push(`not ${hops}`) };
  };
  const bfd = new PeerBfd({ watch }, new SimulatedClock(), () => {});
  bfd.configure(peer, profile, false);
  bfd.start();
  assert.deepEqual(calls, ["several hops"], "before the node has its address");
  await interfaces.set(["192.0.2.9/24"]);
  bfd.start();
  bfd.start();
  assert.deepEqual(calls, ["several hops", "not several hops", "one hop"]);
});
