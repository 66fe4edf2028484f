/**
 * How soon an address is at another node when its owner fails, in demo clusters of `--nodes` (3 and 10), `--runs` times each (20), on layer
 * 2 and where the owner has the address on its NIC (`--way`, both): its switch drops its frames silently, or its cable is pulled, or its
 * speaker is killed, frozen or stopped. For each kind:
 * - until the client's neighbor entry has another MAC address, from the first packet that was lost or, where none is, from the signal;
 * - packets lost of a stream of UDP with one each millisecond, echoed by the Service's backend on a third node;
 * - requests in vain of a host that asks for the address by ARP every 5 ms;
 * - from the mend, which may be the start of a process, until the client has the owner's MAC address again.
 * `--interval=10ms`: speakers watch one another by BFD that often, as `failover` in the configuration says.
 * Then, with `--services` (1,000) on 3 nodes, until others have announced the first and the last address of a speaker that is
 * killed, or stopped, and requests in vain of a host that asks for one of all addresses each millisecond. Needs no root; run it
 * with `node e2e/bench/failover.bench.ts`. Times are milliseconds: least / median / 99th percentile / most.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { manyAddresses } from "./failover-many.ts";
import { failovers, kinds, type Way, ways } from "./failover-runs.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", multiple: true, default: ["3", "10"] },
    runs: { type: "string", default: "20" },
    interval: { type: "string", default: "" },
    way: { type: "string", multiple: true, default: Object.keys(ways) },
    kind: { type: "string", multiple: true, default: kinds.map(({ name }) => name) },
    services: { type: "string", default: "1000" },
    "services-runs": { type: "string", default: "5" },
  },
});
const load = (): string =>
  `load average ${loadavg()
    .map((value) => value.toFixed(1))
    .join(" ")}`;
console.log(`${values.runs} runs of each, ${load()}`);
const chosen = kinds.filter(({ name }) => values.kind.includes(name));
const isWay = (text: string): text is Way => Object.hasOwn(ways, text);
if (chosen.length > 0)
  for (const nodes of values.nodes)
    for (const way of values.way.filter(isWay))
      await failovers({ nodes: Number(nodes), way, interval: values.interval }, Number(values.runs), chosen);
if (Number(values.services) > 0) await manyAddresses(Number(values.services), Number(values["services-runs"]));
console.log(load());
