/**
 * Measures what many routers cost one speaker with 10,000 addresses: decisions of its core, the routes that follow, and their messages; sockets are
 * others' (`make bench-bgp`). Each act has the processor's time, the longest turn and the memory for each router and route. Run it with
 * `make bench-speaker`, or `node --expose-gc e2e/bench/routers.bench.ts [ROUTERS…]`.
 */
import assert from "node:assert/strict";
import { BgpTurns } from "./bgp-turns.ts";

const addresses = 10_000;
const rounds = 3;

/** One speaker, whose turns are measured. */
class Bench {
  readonly turns = new BgpTurns({
    state: { node: "node1", ignoreExcludeLabel: false, hasRing: false, announceFor: "node" },
    hasAddPath: false,
  });

  constructor() {
    this.turns.node("node1", []);
    this.turns.dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
    this.turns.serve(addresses, "node1");
  }

  /** One router, and all addresses placed. */
  start(): void {
    this.#configure(1, 0);
    this.turns.act(() => this.turns.dispatch({ type: "start" }));
  }

  /** @param med of all routes */
  configure(routers: number, med = 0): void {
    this.turns.act(() => this.#configure(routers, med));
  }

  #configure(routers: number, med: number): void {
    const peer = (index: number) => `{my-asn: 64512, peer-asn: 64513, peer-address: 172.30.${index >> 8}.${index & 255}}`;
    const peers = Array.from({ length: routers }, (_, index) => peer(index + 1));
    const pool = `{name: a, protocol: bgp, addresses: [10.0.0.0/16], bgp-advertisements: [{med: ${med}}]}`;
    this.turns.configure(`peers: [${peers}]\naddress-pools: [${pool}]`);
  }
}

function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const asked = process.argv.slice(2).map(Number);
for (const routers of asked.length > 0 ? asked : [20, 64, 250]) {
  const rows = Array.from({ length: rounds }, () => {
    const bench = new Bench();
    bench.start();
    const before = memory();
    const measured = (act: () => void) => {
      bench.turns.longest = 0;
      const from = process.threadCpuUsage();
      act();
      const { user, system } = process.threadCpuUsage(from);
      const octets = (memory() - before) / (routers - 1) / addresses;
      return { cpu: (user + system) / 1000, longest: bench.turns.longest, octets };
    };
    const added = measured(() => bench.configure(routers));
    for (const routes of bench.turns.routes) assert.deepEqual([routes.advertised, routes.pending], [addresses, 0]);
    return [added, measured(() => bench.configure(routers, 1)), measured(() => bench.configure(1, 1))];
  });
  console.log(`${routers} routers, ${addresses} addresses; the least of ${rounds} runs:`);
  for (const [act, name] of ["all but one are added", "all routes change", "all but one are removed"].entries()) {
    const least = (what: "cpu" | "longest" | "octets") => Math.min(...rows.map((row) => row[act]?.[what] ?? Number.NaN));
    const times = `${least("cpu").toFixed(0).padStart(6)} ms of the thread, longest turn ${least("longest").toFixed(1).padStart(5)} ms`;
    console.log(`  ${name.padEnd(24)} ${times}, ${least("octets").toFixed(0).padStart(4)} octets for each router and route`);
  }
}
