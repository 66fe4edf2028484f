/** Two sessions that speak with each other over a network that a seed decides about. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Random } from "#pkg/clock";
import { seededRandom, seeds } from "#pkg/clock/testing";
import { decodeControl, diagnosticText, encodeControl } from "../codec/control-codec.ts";
import { type Effect, type Event, step } from "./fsm.ts";
import { heardAt, newSession, nextDeadline, type Parameters, type Session } from "./session.ts";
import { Stalls } from "./stalls.ts";

interface Network {
  /** The part of all packets that is lost, by the number of the sender. */
  readonly loss: readonly [number, number];
  /** Packets take between the two, each its own time. */
  readonly latencyMs: readonly [least: number, most: number];
  /** They may overtake one another, as those of one flow seldom do. */
  readonly reorders: boolean;
}

// A packet that arrives so shortly before a deadline waits for it, as in the engine.
const batchMs = 10;
const calm: Network = { loss: [0, 0], latencyMs: [0.1, 5], reorders: false };

interface Node {
  session: Session;
  /** The difference between its clock and the world's. */
  readonly offset: number;
  /** It does nothing before. */
  stalledUntil: number;
  readonly stalls: Stalls;
  /** When the last packet that it sent arrives. */
  lastArrival: number;
  readonly queue: Event[];
  readonly changes: { readonly at: number; readonly text: string }[];
}

class World {
  readonly nodes: readonly [Node, Node];
  network = calm;
  now = 0;
  readonly #random: Random;
  #flying: { readonly at: number; readonly to: Node; readonly bytes: Uint8Array }[] = [];

  constructor(seed: number, parameters: readonly [Parameters, Parameters]) {
    this.#random = seededRandom(seed);
    const node = (which: 0 | 1): Node => {
      const offset = this.#random() * 1e6;
      const session = newSession(parameters[which], 1 + Math.floor(this.#random() * 1e9), offset);
      return { session, offset, stalledUntil: 0, stalls: new Stalls(), lastArrival: 0, queue: [], changes: [] };
    };
    this.nodes = [node(0), node(1)];
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.#random();
  }

  /** Lets a node do nothing for a while; what arrives waits in its socket. */
  stall(which: 0 | 1, forMs: number): void {
    const node = this.nodes[which];
    node.stalledUntil = Math.max(node.stalledUntil, this.now + forMs);
  }

  run(until: number): void {
    for (;;) {
      const next = Math.min(...this.nodes.map((node) => this.#nextOf(node)), ...this.#flying.map(({ at }) => at));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const arrived = this.#flying.filter(({ at }) => at <= this.now);
      this.#flying = this.#flying.filter(({ at }) => at > this.now);
      for (const { to, bytes } of arrived) {
        const packet = decodeControl(bytes);
        assert.ok(typeof packet !== "string");
        to.queue.push({ type: "packet", packet, arrivedAt: this.now + to.offset });
      }
      for (const node of this.nodes) if (this.now >= node.stalledUntil) this.#work(node);
    }
    this.now = until;
  }

  apply(which: 0 | 1, event: Event): void {
    const node = this.nodes[which];
    const [session, effects] = step(node.session, event, this.now + node.offset, this.#random());
    node.session = session;
    for (const effect of effects) this.#carryOut(node, effect);
  }

  states(): string[] {
    return this.nodes.map(({ session }) => session.state);
  }

  falls(): string[] {
    return this.nodes.flatMap(({ changes }) => changes.filter(({ text }) => text.startsWith("up to")).map(({ text }) => text));
  }

  #nextOf(node: Node): number {
    const planned = nextDeadline(node.session) - node.offset;
    const due = node.queue.length > 0 && planned - this.now > batchMs ? this.now : planned;
    return Math.max(due, node.stalledUntil);
  }

  /** Takes first the packets that have arrived, then the due deadlines, as the engine does. */
  #work(node: Node): void {
    const which = node === this.nodes[0] ? 0 : 1;
    const now = this.now + node.offset;
    node.stalls.note(now - nextDeadline(node.session), now);
    for (const event of node.queue.splice(0)) this.apply(which, event);
    if (now >= nextDeadline(node.session)) this.apply(which, { type: "timer", late: node.stalls.since(heardAt(node.session)) });
  }

  #carryOut(node: Node, effect: Effect): void {
    const which = node === this.nodes[0] ? 0 : 1;
    if (effect.type === "changed") {
      const text = `${effect.from} to ${effect.to}: ${diagnosticText(node.session.diagnostic)}`;
      node.changes.push({ at: this.now, text });
    }
    if (effect.type !== "send" || this.#random() < this.network.loss[which]) return;
    const earliest = this.network.reorders ? 0 : node.lastArrival;
    const at = Math.max(earliest, this.now + this.between(...this.network.latencyMs));
    node.lastArrival = at;
    this.#flying.push({ at, to: this.nodes[1 - which] ?? node, bytes: encodeControl(effect.packet) });
  }
}

const parameters = (world: Random): Parameters => ({
  transmitMs: 10 + Math.floor(world() * 300),
  receiveMs: 10 + Math.floor(world() * 300),
  echoingReceiveMs: 1000,
  multiplier: 2 + Math.floor(world() * 4),
  passive: false,
  echoMs: undefined,
  echoReceiveMs: 0,
});

/** Runs a claim for many seeds, and says for which it does not hold. */
function forSeeds(count: number, claim: (world: World, random: Random) => void): void {
  for (const seed of seeds(count)) {
    const random = seededRandom(seed);
    const world = new World(seed, [parameters(random), parameters(random)]);
    try {
      claim(world, random);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
}

test("two sides come up within three seconds, and stay up, whatever their parameters and clocks", () => {
  forSeeds(200, (world) => {
    world.run(3_000);
    assert.deepEqual(world.states(), ["up", "up"]);
    world.network = { ...calm, reorders: true };
    world.run(60_000);
    assert.deepEqual(world.falls(), []);
  });
});

test("changes of parameters at any time, on both sides, bring nothing down", () => {
  forSeeds(100, (world, random) => {
    world.run(3_000);
    for (let i = 0; i < 40; i++) {
      world.run(world.now + world.between(0, 400));
      world.apply(random() < 0.5 ? 0 : 1, { type: "configure", parameters: parameters(random) });
    }
    world.run(world.now + 5_000);
    assert.deepEqual(world.falls(), []);
    for (const { session } of world.nodes) assert.equal(session.poll, "none");
  });
});

test("a side that stands still for less than the other's detection time brings nothing down", () => {
  forSeeds(100, (world, random) => {
    world.run(3_000);
    for (let i = 0; i < 30; i++) {
      const which = random() < 0.5 ? 0 : 1;
      const other = world.nodes[1 - which];
      assert.ok(other);
      // The other may have heard the last packet an interval ago.
      const patience = other.session.detectAt - other.session.receivedAt;
      const interval = patience / other.session.remote.multiplier;
      world.stall(which, Math.max(0, patience - interval - 6) * random());
      world.run(world.now + 2_000);
    }
    assert.deepEqual(world.falls(), []);
  });
});

test("a side that stands still for long does not blame the other, which is up again with it soon after", () => {
  forSeeds(100, (world) => {
    world.run(3_000);
    world.stall(0, world.between(2_000, 20_000));
    world.run(world.nodes[0].stalledUntil + 5_000);
    assert.deepEqual(world.states(), ["up", "up"]);
    const [mine] = world.nodes[0].changes.filter(({ text }) => text.startsWith("up to"));
    assert.equal(mine?.text, "up to down: neighbor signaled session down");
  });
});

test("two sides that stand still at the same time, as virtual machines on one host do, bring nothing down", () => {
  for (const seed of seeds(100)) {
    const random = seededRandom(seed);
    const interval = 10 + Math.floor(random() * 40);
    const same = { ...parameters(random), transmitMs: interval, receiveMs: interval, multiplier: 3 };
    const world = new World(seed, [same, same]);
    world.network = { ...calm, latencyMs: [0.1, 1] };
    world.run(3_000);
    for (let i = 0; i < 30; i++) {
      world.run(world.now + world.between(0, 500));
      const both = world.between(0, i % 2 === 0 ? 4 * interval : 500);
      for (const which of [0, 1] as const) world.stall(which, both + world.between(0, 1));
      world.run(world.now + both + 500);
    }
    assert.deepEqual(world.falls(), [], `seed ${seed}`);
  }
});

test("a path that is cut is found within the detection time on both sides, and used again when it heals", () => {
  forSeeds(100, (world) => {
    world.run(3_000 + world.between(0, 500));
    const allowed = world.nodes.map(({ session }) => session.detectAt - session.receivedAt);
    const cutAt = world.now;
    world.network = { ...calm, loss: [1, 1] };
    world.run(cutAt + 10_000);
    for (const [which, { changes }] of world.nodes.entries()) {
      const fall = changes.find(({ text }) => text === "up to down: control detection time expired");
      assert.ok(fall !== undefined && fall.at - cutAt <= (allowed[which] ?? 0) + 6);
    }
    assert.deepEqual(world.states(), ["down", "down"]);
    world.network = calm;
    world.run(world.now + 3_000);
    assert.deepEqual(world.states(), ["up", "up"]);
  });
});

test("a path that is cut one way is down on both sides, and stays so", () => {
  forSeeds(100, (world, random) => {
    world.run(3_000);
    world.network = { ...calm, loss: random() < 0.5 ? [1, 0] : [0, 1] };
    world.run(world.now + 5_000);
    for (let i = 0; i < 20; i++) {
      world.run(world.now + 500);
      assert.ok(!world.states().includes("up"), `${world.states()}`);
    }
  });
});

test("after any loss in any measure the two sides agree soon", () => {
  forSeeds(200, (world, random) => {
    for (let i = 0; i < 10; i++) {
      world.network = { loss: [random(), random()], latencyMs: [0.1, 200], reorders: true };
      world.run(world.now + world.between(100, 5_000));
    }
    world.network = calm;
    world.run(world.now + 6_000);
    assert.deepEqual(world.states(), ["up", "up"]);
  });
});

test("a side that is given up leaves the other down, told that it was meant so", () => {
  forSeeds(50, (world) => {
    world.run(3_000);
    world.apply(0, { type: "disable" });
    world.run(world.now + 1_000);
    const [{ session: mine }, { session: theirs }] = world.nodes;
    assert.deepEqual([mine.state, theirs.state, theirs.remote.state], ["adminDown", "down", "adminDown"]);
  });
});
