/**
 * Simulates large rings of speakers at both paces, in simulated time: a cluster that powers up, one death, a tenth that dies together, a cut
 * through the middle, and packets that get lost. The figures come from the protocol alone and are the same on every machine. Octets are those of
 * encrypted packets and streams, with the headers of UDP and IP. Run it with `node --max-old-space-size=12000 e2e/bench/rings.bench.ts
 * [lan|fast] [NODES…]`; 1,000 nodes take some minutes and 1 GB. More than 2,000 know one another from the start,
 * because the news of more that join at once takes tens of GB; 5,000 take 9 GB.
 */
import { type Effect, Simulation } from "#pkg/memberlist/testing";
import { encodeMessage } from "../../pkg/memberlist/codec/message-codec.ts";
import { encodeStreamMessage } from "../../pkg/memberlist/codec/stream-message.ts";
import { shuffle } from "../../pkg/memberlist/ring/choice.ts";

const overhead = 29 + 8 + 20; // Nonce, tag, version and padding; UDP; IP.
const [pace, ...counts] = process.argv.slice(2);
const paces = pace === "lan" || pace === "fast" ? ([pace] as const) : (["lan", "fast"] as const);
const sizes = counts.length > 0 ? counts.map(Number) : [50, 200, 1_000];

/** Packets and octets that are sent, counted on one node of many. */
class Traffic {
  packets = 0;
  octets = 0;
  exchanges = 0;
  streamOctets = 0;
  readonly #every: number;

  constructor(every: number) {
    this.#every = every;
  }

  count(node: number, effect: Effect): void {
    if (node % this.#every !== 0) return;
    if (effect.type === "send") {
      this.packets++;
      this.octets += effect.messages.reduce((sum, message) => sum + encodeMessage(message).length + 2, overhead);
    } else if (effect.type === "exchange" || effect.type === "reply") {
      this.exchanges++;
      this.streamOctets += encodeStreamMessage(effect.message).length;
    }
  }

  take(): Pick<Traffic, "packets" | "octets" | "exchanges" | "streamOctets"> {
    const { packets, octets, exchanges, streamOctets } = this;
    Object.assign(this, { packets: 0, octets: 0, exchanges: 0, streamOctets: 0 });
    return { packets, octets, exchanges, streamOctets };
  }
}

const maxJoiningAtOnce = 2_000;

/** Has the first nodes know one another, and the news of it be old. */
function introduce(ring: Simulation, count: number): void {
  const selves = Array.from({ length: count }, (_, node) => ring.ring(node).self).sort((a, b) => a.place - b.place);
  for (let node = 0; node < count; node++) {
    const each = ring.ring(node);
    const { self, records, order, places, broadcasts, options } = each;
    for (const other of selves) {
      if (other.node === self.node) continue;
      const record = { ...other, counted: undefined };
      records.set(record.node, record);
      order.push(record);
      places.update(record);
    }
    shuffle(order, options.random);
    broadcasts.take(Infinity, 0);
    each.timingStale = true;
  }
}

const row = (what: string, ...figures: readonly string[]) =>
  console.log(`  ${what.padEnd(34)}`, ...figures.map((figure) => figure.padStart(14)));

for (const timing of paces)
  for (const nodes of sizes) {
    const traffic = new Traffic(Math.ceil(nodes / 50));
    const counted = Math.ceil(nodes / Math.ceil(nodes / 50));
    const newcomer = new Traffic(nodes);
    const ring = new Simulation({
      seed: nodes,
      onEffect: (node, effect) => (node === nodes ? newcomer : traffic).count(node, effect),
    });
    const started = performance.now();
    console.log(`${timing}, ${nodes} nodes`);
    const over = (ms: number) => {
      const { packets, octets, exchanges, streamOctets } = traffic.take();
      const each = (value: number) => value / counted / (ms / 1000);
      return [
        `${(ms / 1000).toFixed(1)} s`,
        `${each(packets).toFixed(1)} packets/s`,
        `${(each(octets) / 1000).toFixed(2)} kB/s`,
        `${(each(exchanges) * 60).toFixed(2)} views/min`,
        `${(each(streamOctets) / 1000).toFixed(2)} kB/s`,
      ];
    };
    const falseDeaths = (dead: (node: number) => boolean) =>
      ring.observations.filter(({ change, about }) => change === "failed" && !dead(about)).length;
    /** @returns figures over the time until it holds */
    const until = (condition: () => boolean, limit: number) => {
      const start = ring.now;
      traffic.take();
      ring.observations.length = 0;
      const done = ring.runUntil(condition, limit);
      return [...over(Math.max(1, ring.now - start)), done ? "" : "not in time"];
    };
    const during = (ms: number) => {
      traffic.take();
      ring.observations.length = 0;
      ring.runFor(ms);
      return over(ms);
    };
    /** All running nodes know that these have failed. */
    const areKnownDead = (dead: readonly number[]) => {
      let known = 0;
      const isDead = new Set(dead);
      for (const { change, about, observer } of ring.observations)
        if (change === "failed" && isDead.has(about) && !isDead.has(observer)) known++;
      return known >= dead.length * ring.running.length;
    };

    for (let node = 0; node < nodes; node++) ring.start(node, { timing });
    const areKnown = nodes > maxJoiningAtOnce;
    if (areKnown) introduce(ring, nodes);
    for (let node = 1; node < nodes && !areKnown; node++) ring.join(node, [Math.floor(node / 2)]);
    row(areKnown ? "all know one another" : "all join at once", ...until(() => ring.isConverged(), 600_000));
    row("false deaths meanwhile", `${falseDeaths(() => false)}`);
    const settled = ring.now;
    const isQuiet = () => ring.running.every((node) => ring.ring(node).broadcasts.size === 0);
    ring.runUntil(isQuiet, 600_000);
    row("news of it spread for", `${((ring.now - settled) / 1000).toFixed(1)} s`);
    row("at rest", ...during(areKnown ? 5_000 : 20_000));
    ring.start(nodes, { timing });
    ring.join(nodes, [0, 1, 2, 3]);
    row("one more joins: all know all", ...until(() => ring.isConverged(), 600_000));
    ring.runUntil(isQuiet, 600_000);
    const { packets, octets } = newcomer.take();
    row("it sends until its news is told", `${packets} packets`, `${(octets / 1000).toFixed(0)} kB`);
    ring.conditions = { ...ring.conditions, loss: 0.05 };
    row("5 % of packets lost", ...during(areKnown ? 5_000 : 20_000));
    row("false deaths meanwhile", `${falseDeaths(() => false)}`, `${ring.observations.length} observations`);
    ring.conditions = { ...ring.conditions, loss: 0 };
    ring.runUntil(() => isQuiet() && ring.isConverged(), 600_000);

    const victim = Math.floor(nodes / 3);
    ring.kill(victim);
    row("one dies: all know", ...until(() => areKnownDead([victim]), 120_000));
    row("false deaths meanwhile", `${falseDeaths((node) => node === victim)}`);

    const tenth = ring.running.filter((node) => node % 10 === 7);
    const gone = new Set([victim, ...tenth]);
    for (const node of tenth) ring.kill(node);
    row("a tenth dies: all know", ...until(() => areKnownDead(tenth), 300_000));
    row("false deaths meanwhile", `${falseDeaths((node) => gone.has(node))}`);
    ring.runFor(10_000);

    const half = ring.running.slice(0, ring.running.length / 2);
    const others = ring.running.slice(ring.running.length / 2);
    ring.cutOff(half);
    const isSplit = () =>
      [...half.slice(0, 5), ...others.slice(0, 5)].every((node) => {
        const own = half.includes(node) ? half.length : others.length;
        return ring.ring(node).order.filter(({ status }) => status === "alive").length === own;
      });
    row("a cut in two halves: both know", ...until(isSplit, 300_000));
    row("for a minute", ...during(60_000));
    ring.heal();
    row("healed: one ring again", ...until(() => ring.isConverged(), 600_000));
    row(
      "took",
      `${((performance.now() - started) / 1000).toFixed(0)} s`,
      `${(process.memoryUsage().heapUsed / 1e6).toFixed(0)} MB`,
    );
  }
