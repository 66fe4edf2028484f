import { setImmediate } from "node:timers/promises";
import type { Millis } from "#pkg/clock";
import { answeredBits, seenWithoutBits } from "#pkg/gossip";
import { ConnectionTester, connectMs } from "../connection-tester.ts";
import { Bench, eth0, gossipTo, loser, owner, pools } from "./speaker-bench.ts";

export interface TriedService {
  /** `namespace/name`. */
  readonly key: string;
  readonly address: string;
  readonly clusterIPs: readonly string[];
}

/** When the kernel has an answer of an address, in milliseconds from now; undefined: never. */
export type Answers = (host: string, now: Millis) => Millis | undefined;

const apiAddress = "10.96.0.1";
const stepMs: Millis = 50;

/** The speaker of a node that begins, and connects to Services: its own driver and core, among others to which Services have answered. */
export class TryingNode implements Disposable {
  readonly bench: Bench;
  /** How many connections it has tried. */
  tried = 0;
  readonly #tester: ConnectionTester;
  readonly #services: readonly TriedService[];

  /** @param othersAnswer Services without a Pod on other nodes answer these now, and did not only before */
  constructor(services: readonly TriedService[], answers: Answers, othersAnswer = false) {
    const bench = new Bench(owner, { hasRing: true, isSynced: true });
    this.bench = bench;
    const { others, hear } = gossipTo(bench);
    const now = othersAnswer ? answeredBits.IPv4 | answeredBits.IPv6 : 0;
    const before = seenWithoutBits({ IPv4: ["noConnection"], IPv6: ["noConnection"] });
    for (const { state } of others) state.setSeenWithout(before | now);
    hear();
    bench.setInterfaces(eth0);
    const ports = [{ name: "", protocol: "TCP", port: 80 }];
    for (const { key, address, clusterIPs } of services) bench.serve(key, [address], { clusterIPs, ports }, { [owner]: true });
    this.#services = services;
    const { clock, view } = bench;
    const after = (ms: Millis, result: "answered" | "silent") =>
      new Promise<typeof result>((resolve) => clock.schedule("connection", clock.now() + ms, () => resolve(result)));
    this.#tester = new ConnectionTester({
      view,
      emit(event) {
        bench.runner.dispatch(event);
        bench.settle();
      },
      clock,
      api: { host: apiAddress, port: 443 },
      tryToConnect: (host) => {
        this.tried++;
        const ms = answers(host, clock.now());
        return ms === undefined || ms > connectMs ? after(connectMs, "silent") : after(ms, "answered");
      },
    });
    bench.onTryFirst = (effect) => void this.#tester.tryFirst(effect);
    bench.onStartConfig = () => {
      bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}"));
      bench.start();
      this.#tester.start();
    };
    bench.runner.dispatch({ type: "nodesListed" });
    bench.runner.dispatch({ type: "clusterSynced" });
  }

  /** All Pods are here, or on another node. */
  setPods(areHere: boolean): void {
    for (const { key } of this.#services) this.bench.endpoints(key, { [areHere ? owner : loser]: true });
  }

  get now(): Millis {
    return this.bench.clock.now();
  }

  async pass(ms: Millis): Promise<void> {
    for (const end = this.now + ms; this.now < end; ) {
      this.bench.clock.advanceBy(stepMs);
      await setImmediate();
      this.bench.settle();
    }
  }

  [Symbol.dispose](): void {
    this.#tester[Symbol.dispose]();
  }
}
