import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddressCounters, ignoredReasons, type Layer2Counters } from "#pkg/layer2";
import { Registry } from "#pkg/metrics";
import { parseAddress } from "#pkg/net";
import type { Finding } from "#pkg/node-checks";
import { createState, SpeakerView } from "./core/index.ts";
import { registerAnnouncements, registerLayer2, registerNodeWarnings } from "./metrics.ts";

/** The samples of a scrape, without comments, sorted. */
async function scrape(registry: Registry): Promise<string[]> {
  const lines = (await registry.metrics()).split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#")).sort();
}

test("each announced address is a series, and none outlives its announcement", async () => {
  const registry = new Registry();
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  const { announcements } = state.status;
  registerAnnouncements(registry, new SpeakerView(state));
  assert.deepEqual(await scrape(registry), []);
  announcements.set("default/web", [
    { protocol: "layer2", pool: "lan", addresses: ["192.0.2.1", "2001:db8::1"] },
    { protocol: "bgp", pool: "lan", addresses: ["192.0.2.1"] },
  ]);
  announcements.set("default/dns", [{ protocol: "layer2", pool: "lan", addresses: ["192.0.2.1"] }]);
  const series = (service: string, ip: string, protocol = "layer2") =>
    `metallb_speaker_announced{service="${service}",protocol="${protocol}",node="node1",ip="${ip}"} 1`;
  assert.deepEqual(await scrape(registry), [
    series("default/dns", "192.0.2.1"),
    series("default/web", "192.0.2.1", "bgp"),
    series("default/web", "192.0.2.1"),
    series("default/web", "2001:db8::1"),
  ]);
  announcements.delete("default/web");
  assert.deepEqual(await scrape(registry), [series("default/dns", "192.0.2.1")]);
});

test("every check of the node is a series, also when it found nothing, and warnings are not added up", async () => {
  const registry = new Registry();
  const findings: Finding[] = [
    { check: "forwardingOff", family: "IPv4", service: "default/web" },
    { check: "forwardingOff", family: "IPv6", service: "default/web" },
  ];
  registerNodeWarnings(registry, { findings });
  const values = async () => (await scrape(registry)).map((line) => line.replace("ingot_speaker_node_warnings", ""));
  await values();
  assert.deepEqual(await values(), [
    '{check="addressBound"} 0',
    '{check="cpuLimited"} 0',
    '{check="flannelAddress"} 0',
    '{check="forwardingOff"} 2',
    '{check="interfaceManaged"} 0',
    '{check="ipv6Disabled"} 0',
    '{check="noInterface"} 0',
    '{check="nodePorts"} 0',
    '{check="outsideSubnets"} 0',
    '{check="podNetwork"} 0',
    '{check="promoteSecondaries"} 0',
    '{check="realTimeRefused"} 0',
    '{check="rpFilter"} 0',
    '{check="strictArp"} 0',
  ]);
  findings.pop();
  assert.equal((await values())[3], '{check="forwardingOff"} 1');
});

test("the counters of layer 2 are read at each scrape, and not added up", async () => {
  const registry = new Registry();
  const address = parseAddress("192.0.2.1");
  assert.ok(address);
  const ignored = Object.fromEntries(ignoredReasons.map((reason, index) => [reason, index])) as Layer2Counters["ignored"];
  let counters: Layer2Counters = { ignored, sendFailures: 0, dropped: 0 };
  const addresses: AddressCounters[] = [];
  registerLayer2(registry, { counters: () => counters, addressCounters: () => addresses });
  await scrape(registry);
  counters = { ...counters, sendFailures: 4, dropped: 5 };
  addresses.push({ address, requestsReceived: 3, responsesSent: 2, gratuitousSent: 10, sightings: 6 });
  const want = [
    'metallb_layer2_requests_received{ip="192.0.2.1"} 3',
    'ingot_layer2_conflicts_total{ip="192.0.2.1"} 6',
    'metallb_layer2_responses_sent{ip="192.0.2.1"} 2',
    'metallb_layer2_gratuitous_sent{ip="192.0.2.1"} 10',
    ...ignoredReasons.map((reason, index) => `ingot_layer2_frames_ignored_total{reason="${reason}"} ${index}`),
    "ingot_layer2_send_failures_total 4",
    "ingot_layer2_frames_dropped_total 5",
  ].sort();
  assert.deepEqual(await scrape(registry), want);
  assert.deepEqual(await scrape(registry), want);
});
