/**
 * Measures the turns of a central speaker: decisions of its core, and the routes that follow, for two routers with ADD-PATH; sockets and encoding of
 * messages are others' (`make bench-bgp`). Run it with `make bench-speaker`, or `node e2e/bench/central.bench.ts`.
 */
import assert from "node:assert/strict";
import { centralName } from "#pkg/gossip";
import { BgpTurns } from "./bgp-turns.ts";

const self = centralName("node-0");
const rounds = 3;
const peers = [1, 2].map((host) => `{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.${host}, add-path: true}`);

/** A central speaker, whose turns are measured. */
class Bench {
  readonly turns = new BgpTurns({
    state: { node: self, ignoreExcludeLabel: false, hasRing: true, announceFor: "all" },
    hasAddPath: true,
  });
  readonly #nodes: readonly string[];

  constructor(addresses: number, count: number) {
    this.#nodes = Array.from({ length: count }, (_, index) => `node-${index}`);
    this.turns.configure(`peers: [${peers}]\naddress-pools: [{name: a, protocol: bgp, addresses: [10.0.0.0/16]}]`);
    this.members(count);
    for (const [index, name] of this.#nodes.entries()) this.turns.node(name, [`172.16.${index >> 8}.${index & 255}`]);
    this.turns.serve(addresses, "node-0");
  }

  start(): void {
    this.turns.act(() => this.turns.dispatch({ type: "start" }));
  }

  /** So many nodes live. */
  members(count: number): void {
    const active = [...this.#nodes.slice(0, count), self];
    this.turns.act(() => this.turns.dispatch({ type: "members", active, withoutGossip: [], isSynced: true }));
  }
}

const cases = [
  { addresses: 10_000, nodes: 16 },
  { addresses: 10_000, nodes: 64 },
  { addresses: 1_000, nodes: 1_000 },
] as const;
for (const { addresses, nodes } of cases) {
  const rows = Array.from({ length: rounds }, () => {
    const bench = new Bench(addresses, nodes);
    const measured = (act: () => void) => {
      bench.turns.longest = 0;
      const before = process.cpuUsage();
      act();
      const { user, system } = process.cpuUsage(before);
      for (const routes of bench.turns.routes) assert.equal(routes.pending, 0);
      return { cpu: (user + system) / 1000, longest: bench.turns.longest };
    };
    const acts = [measured(() => bench.start()), measured(() => bench.members(nodes - 1)), measured(() => bench.members(nodes))];
    for (const routes of bench.turns.routes) assert.equal(routes.advertised, addresses * Math.min(nodes, 64));
    return acts;
  });
  const least = (act: number, what: "cpu" | "longest") => Math.min(...rows.map((row) => row[act]?.[what] ?? Number.NaN));
  console.log(`central speaker, ${addresses} addresses, ${nodes} nodes, 2 routers; least of ${rounds} runs:`);
  for (const [act, name] of ["start", "a node dies", "it comes back"].entries())
    console.log(
      `  ${name.padEnd(16)} ${least(act, "cpu").toFixed(0).padStart(6)} ms of the processor, longest turn ${least(act, "longest").toFixed(1)} ms`,
    );
}
