/**
 * The longest turns of a speaker's core while 10,000 addresses of a pool with `keep-connections` move at once, in milliseconds of the thread's own time: the
 * kernel's work is not counted. Run it with `node e2e/bench/handovers.bench.ts`.
 */
import assert from "node:assert/strict";
import { inPortions } from "#pkg/handover";
import { address } from "#pkg/net/testing";
import type { SpeakerEvent } from "../../speaker/core/events.ts";
import { takePortion } from "../../speaker/members/ring-members.ts";
import { Bench, eth0, excluded, gossipTo, nodes, pools } from "../../speaker/testing/speaker-bench.ts";
import { loadNow } from "./measure.ts";

const count = 10_000;
const [self = "", former = ""] = nodes;
const addresses = Array.from({ length: count }, (_, i) => address(`10.0.${i >> 8}.${i & 255}`));

let longest = 0;
const bench = new Bench(self, { hasRing: true });
const { dispatch } = bench.runner;
Object.assign(bench.runner, {
  dispatch: (event: SpeakerEvent) => {
    if (event.type === "gossip") {
      const heard = [...event.entries];
      while (heard.length > 0) take({ type: "gossip", entries: takePortion(heard) });
    } else if (event.type === "flows") for (const counts of inPortions(event.counts)) take({ type: "flows", counts });
    else take(event);
  },
});

function take(event: SpeakerEvent): void {
  const before = process.threadCpuUsage();
  dispatch(event);
  const { user, system } = process.threadCpuUsage(before);
  longest = Math.max(longest, (user + system) / 1000);
}

const { others, hear } = gossipTo(bench);
const other = others.find(({ name }) => name === former) ?? assert.fail();
for (const [i, { state }] of others.entries())
  state.setLinks([{ mac: `02:00:00:00:01:0${i}`, addresses: [address(`10.0.255.11${i}`)] }]);
bench.setInterfaces({ ...eth0, addresses: ["10.0.255.101/16"] });
bench.setConfig(pools("{name: lan, protocol: layer2, keep-connections: true, addresses: [10.0.0.0/16]}"));
for (const [i, one] of addresses.entries()) bench.serve(`default/service-${i}`, [one.toString()]);
hear();

function measure(what: string, act: () => void): void {
  longest = 0;
  act();
  bench.settle();
  for (let i = 0; i < 20; i++) {
    bench.clock.advanceBy(100);
    bench.settle();
  }
  console.log(`${what}: ${longest.toFixed(1)} ms; ${bench.handovers.size} handed over, ${bench.counted.size} counted`);
}

console.log(`${count} addresses, ${nodes.length} nodes; ${loadNow()}`);
measure("start", () => bench.start());
measure("another node is excluded", () => bench.setNode(former, excluded));
measure("it says what it still serves", () => {
  for (const one of addresses) other.state.setServing(one, true);
  hear();
});
measure("it is reached otherwise", () => {
  other.state.setLinks([{ mac: "02:00:00:00:02:01", addresses: [address("10.0.255.99")] }]);
  hear();
});
measure("it is back", () => bench.setNode(former, {}));
measure("this node is excluded", () => bench.setNode(self, excluded));
const counted = (connections: number) => {
  const counts = new Map([...bench.counted].map((key) => [key, connections]));
  bench.runner.dispatch({ type: "flows", counts });
};
measure("its connections are counted", () => counted(1));
measure("they end", () => counted(0));
console.log(loadNow());
