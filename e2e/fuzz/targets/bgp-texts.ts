import assert from "node:assert/strict";
import { advertisementsFor, parseConfig, peersOfNode } from "#pkg/config";
import { octetsOf, type Target, textOf } from "../target.ts";

const { config } = parseConfig(`peers:
- name: tors
  my-asn: 64512
  password-secret: {name: s}
  from-node:
    peer-address: {annotation: tor}
    peer-asn: {annotation: tor-asn}
    router-id: {annotation: id}
    source-address: {annotation: source}
    password-secret-key: {label: rack}
bgp-communities: {gold: "64512:100"}
address-pools:
- name: a
  protocol: bgp
  addresses: [192.0.2.0/24]
  bgp-advertisements:
  - service-selectors: [{match-labels: {exposure: public}}]
    communities: ["64512:1"]
    communities-from: {annotation: communities, allowed: [gold, no-export, "64512:200", "large:64512:1:2"]}
    med-from: {label: med, min: 1, max: 100}
    localpref-from: {annotation: pref, min: 0, max: 4294967295}
`);
assert.ok(config);
const { peers, pools } = config;
const names = ["tor", "tor-asn", "id", "source", "rack", "exposure", "communities", "med", "pref"];

/** Labels and annotations of a Node, which choose its routers, and of a Service, which ask for attributes of routes: a line for each. */
export const bgpTexts: Target = {
  name: "bgp-texts",
  maxLength: 2_000,
  seeds: [
    "10.0.7.1,10.0.7.2\n65107,65207\n10.0.0.7\n10.0.0.8\nr1\npublic\ngold,64512:200\n50\n200",
    "fd00::1\nexternal\n10.0.0.7\nfd00::2\nr1\npublic\nno-export\n1\n0",
    "gateway\n4200000001\n1.1.1.1\n\nr\npublic\n64512:1:2,large:64512:1:2\n101\n4294967296",
  ].map(octetsOf),
  words: [",", "\n", "gateway", "internal", "external", "fe80::1", "::ffff:10.0.0.1", "4294967295", "no-advertise", "large:"].map(
    octetsOf,
  ),
  isText: true,
  bounds: { work: 5_000, workPerOctet: 400, memory: 32, time: 200, timePerOctet: 1 },
  run(input) {
    const lines = textOf(input).split("\n");
    const texts = Object.fromEntries(names.map((name, index) => [name, lines[index] ?? ""]));
    for (const entry of peers)
      for (const peer of peersOfNode(entry, { labels: texts, annotations: texts }))
        if (typeof peer === "string") assert.ok(peer.length < 500 && !/[\n\r]/.test(peer), peer);
        else assert.ok(peer.fromNode === undefined && (peer.address ?? peer.discovery) !== undefined);
    for (const pool of pools) {
      const service = { namespace: "default", labels: texts, annotations: texts };
      const { advertisements } = advertisementsFor(pool, service, new Map());
      for (const found of advertisements) {
        if (found === undefined) continue;
        const { communities, med = 1, localPref = 0 } = found;
        assert.ok(communities.length <= 5);
        assert.ok(med >= 1 && med <= 100 && localPref >= 0 && localPref <= 0xffff_ffff);
      }
    }
  },
};
