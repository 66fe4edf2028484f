/**
 * How soon an address is at another node when its owner fails, in demo clusters of `--nodes` (3 and 10), `--runs` times each (20), on layer
 * 2 and where the owner has the address on its NIC (`--way`, both): its switch drops its frames silently, or its cable is pulled, or its
 * speaker is killed, frozen or stopped. For each kind:
 * - until the client's neighbor entry has another MAC address, from the first packet that was lost or, where none is, from the signal;
 * - from the first to the last packet lost of a stream of UDP with one each millisecond, echoed by the Service's backend on a third node, and how many were;
 * - requests in vain of a host that asks for the address by ARP every 5 ms;
 * - for how long the machine held the client up at most: a figure about as long says nothing;
 * - from the mend, which may be the start of a process, until the client has the owner's MAC address again.
 * `--interval=10ms`: speakers watch one another by BFD that often, as `failover` in the configuration says; several are measured in turn.
 * Beside it, in the same run, Debian's keepalived by VRRPv3, with advertisements as often as `--keepalived` (10ms and 100ms; none) says: its owner is cut
 * off, or its cable pulled. `--cuts=100`: cut off silently that often, and nothing else.
 * Then, with `--services` (1,000) on 3 nodes, until others have announced the first and the last address of a speaker that is
 * killed, or stopped, and requests in vain of a host that asks for one of all addresses each millisecond. Needs no root; run it
 * with `node e2e/bench/failover.bench.ts`. Times are milliseconds: least / median / 99th percentile / most.
 */
import { parseArgs } from "node:util";
import { manyAddresses } from "./failover-many.ts";
import { clusterSubject, failovers, kinds, type Way, ways } from "./failover-runs.ts";
import { hasKeepalived, keepalivedSubject } from "./keepalived.ts";
import { loadNow } from "./measure.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", multiple: true, default: ["3", "10"] },
    runs: { type: "string", default: "20" },
    interval: { type: "string", multiple: true, default: [""] },
    keepalived: { type: "string", multiple: true, default: ["10ms", "100ms"] },
    cuts: { type: "string" },
    way: { type: "string", multiple: true, default: Object.keys(ways) },
    kind: { type: "string", multiple: true, default: kinds.map(({ name }) => name) },
    services: { type: "string", default: "1000" },
    "services-runs": { type: "string", default: "5" },
  },
});
const runs = Number(values.cuts ?? values.runs);
console.log(`${runs} runs of each, ${loadNow()}`);
const chosen = kinds.filter(({ name }) => (values.cuts === undefined ? values.kind.includes(name) : name === "cut silently"));
const isWay = (text: string): text is Way => Object.hasOwn(ways, text);
if (!hasKeepalived) console.log("without keepalived, which is not installed");
for (const nodes of chosen.length > 0 ? values.nodes.map(Number) : []) {
  for (const way of values.way.filter(isWay))
    for (const interval of values.interval)
      await failovers(`${nodes}, ${way} ${interval}`, clusterSubject({ nodes, way, interval }), runs, chosen);
  const ofHosts = chosen.filter(({ isOfSpeaker }) => !isOfSpeaker);
  for (const interval of hasKeepalived && ofHosts.length > 0 ? values.keepalived.filter((one) => one !== "none") : [])
    await failovers(`${nodes}, VRRP ${interval}`, keepalivedSubject(nodes, Number.parseInt(interval, 10)), runs, ofHosts);
}
if (Number(values.services) > 0 && values.cuts === undefined)
  await manyAddresses(Number(values.services), Number(values["services-runs"]));
console.log(loadNow());
