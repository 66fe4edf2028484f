import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { BfdStatus } from "#pkg/bfd";
import { PeerSession } from "#pkg/bgp";
import { type Connection, SimulatedNetwork, SimulatedRouter, type Transport } from "#pkg/bgp/testing";
import { type Millis, Portions } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { parseConfig } from "#pkg/config";
import { silentLog } from "#pkg/log/testing";
import { nodePeers } from "#pkg/placement";
import { BgpSpeaker } from "./bgp-speaker.ts";
import { NodeInterfaces } from "./testing/node-interfaces.ts";

const own = "192.0.2.1";
const router = "192.0.2.2";

/** An operator may write any of these for the one router, to which each is the same neighbor. */
const peers = {
  none: "",
  plain: "",
  otherHoldTime: ", hold-time: 30s",
  watched: ", bfd-profile: fast",
  strict: ", bfd-profile: fast, bfd-strict: true",
  fromAddress: `, source-address: ${own}`,
  fromInterface: ", source-interface: eth0",
  watchedFromAddress: `, bfd-profile: fast, source-address: ${own}`,
  watchedFromInterface: ", bfd-profile: fast, source-interface: eth0",
  secret: ", password-secret: {name: s, key: password}",
};

/** A speaker with real sessions, and a router that reads slowly, though within the second that it has, and takes new connections first, as BIRD does. */
class Bench {
  readonly clock = new SimulatedClock();
  readonly faults: string[] = [];
  readDelay: Millis = 0;
  readonly #network = new SimulatedNetwork(this.clock, () => this.readDelay);
  readonly #interfaces: NodeInterfaces;
  readonly router = new SimulatedRouter(this.clock);
  #open = 0; // Connections that are not closed at both ends.
  readonly #paths = new Set<{ status: BfdStatus; readonly onChange: (status: BfdStatus) => void }>(); // Watched by BFD.
  readonly #bgp: BgpSpeaker;

  constructor(t: NodeInterfaces) {
    this.#interfaces = t;
    this.router.listen("node", this.#network, router);
    const portions = new Portions(this.clock, 4);
    const random = seededRandom(1);
    const shared = { node: "node", portions, clock: this.clock, random, log: silentLog };
    const transport = this.#judged(this.#network.transport(own));
    this.#bgp = new BgpSpeaker({
      newSession: ({ key: _, ...session }) => new PeerSession({ ...session, ...shared, transport, forwardingPreserved: true }),
      discovery: {
        watch() {},
        on: () => ({ router: { missing: "nobody searches" }, others: [] }),
        interfacesChanged() {},
      },
      secrets: { watch() {}, get: () => "password" },
      bfd: { watch: (_ends, _profile, onChange) => this.#watch(onChange) },
      sourceTo: () => undefined,
      ...shared,
    });
    this.configure("none");
    this.#bgp.flush(true);
  }

  configure(which: keyof typeof peers): void {
    const entry = `{my-asn: 65001, peer-asn: 65002, peer-address: ${router}${peers[which]}}`;
    const { config, problems } = parseConfig(`peers: [${which === "none" ? "" : entry}]\nbfd-profiles: [{name: fast}]`);
    assert.ok(config, JSON.stringify(problems));
    this.#bgp.setPeers({
      peers: nodePeers(config.peers, {}),
      bfdProfiles: config.bfdProfiles,
      isDraining: false,
      isLeaving: false,
      whyRemoved: "removedFromConfig",
    });
  }

  get isEstablished(): boolean {
    return this.#bgp.peers.some(({ isEstablished }) => isEstablished);
  }

  async setAddresses(cidrs: readonly string[]): Promise<void> {
    await this.#interfaces.set(cidrs);
    this.#bgp.addressesChanged();
  }

  tellPaths(verdict: BfdStatus["verdict"]): void {
    for (const path of this.#paths) {
      path.status = { verdict, reason: "drawn" };
      path.onChange(path.status);
    }
  }

  async pass(time: Millis): Promise<void> {
    let isOver = false;
    this.clock.schedule("end of the wait", this.clock.now() + time, () => {
      isOver = true;
    });
    do await setImmediate();
    while (this.clock.advanceToNext() && !isOver);
  }

  #watch(onChange: (status: BfdStatus) => void) {
    const path = { status: { verdict: "unknown", reason: "new" } as BfdStatus, onChange };
    this.#paths.add(path);
    return {
      get status() {
        return path.status;
      },
      configure() {},
      [Symbol.dispose]: () => {
        this.#paths.delete(path);
        const isOver = this.#paths.size === 0 && path.status.verdict === "up";
        if (isOver && this.router.bfdEnded("node")) this.faults.push(`BFD ended before BGP at ${this.clock.now()}`);
      },
    };
  }

  #judged(inner: Transport): Transport {
    return {
      ...inner,
      dial: (settings, { connected, received, closed }): Connection => {
        if (this.#open > 0) this.faults.push(`a connection began beside a former one at ${this.clock.now()}`);
        this.#open++;
        const over: typeof closed = (...why) => {
          this.#open--;
          closed(...why);
        };
        return inner.dial(settings, { connected, received, closed: over });
      },
    };
  }
}

const draw = <Of>(...values: Of[]) => fc.constantFrom(...values);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: draw("peer" as const), which: draw(...Object.keys(peers)) }) },
  { weight: 3, arbitrary: fc.record({ type: draw("pass" as const), ms: draw(0, 5, 400, 1_500, 5_000) }) },
  { weight: 2, arbitrary: fc.record({ type: draw("slow" as const), ms: draw(0, 10, 50, 100) }) },
  { weight: 2, arbitrary: fc.record({ type: draw("path" as const), verdict: draw("up" as const, "failed" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: draw("address" as const), cidrs: draw([], [`${own}/24`]) }) },
  { weight: 1, arbitrary: fc.record({ type: draw("reset" as const) }) },
);

test("property: however the peer is removed, added and changed, no connection begins, and no BFD ends, while the router may have the former connection", async (t: TestContext) => {
  const interfaces = new NodeInterfaces(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const bench = new Bench(interfaces);
      await bench.setAddresses([`${own}/24`]);
      for (const each of steps) {
        if (each.type === "peer") bench.configure(each.which as keyof typeof peers);
        else if (each.type === "pass") await bench.pass(each.ms);
        else if (each.type === "slow") bench.readDelay = each.ms;
        else if (each.type === "path") bench.tellPaths(each.verdict);
        else if (each.type === "address") await bench.setAddresses(each.cidrs);
        else bench.router.reset("node");
      }
      bench.readDelay = 0;
      bench.configure("plain");
      await bench.pass(60_000);
      assert.deepEqual(bench.faults, []);
      assert.ok(bench.isEstablished, "the session came back");
    }),
    { numRuns: 200 },
  );
});
