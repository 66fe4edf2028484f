import assert from "node:assert/strict";
import { test } from "node:test";
import type { BfdEnds, BfdStatus, BfdVerdict } from "#pkg/bfd";
import { SimulatedClock } from "#pkg/clock/testing";
import type { BfdProfile } from "#pkg/config";
import type { RingEvent } from "../../pkg/memberlist/thread-messages.ts";
import type { SpeakerEvent } from "../core/index.ts";
import { FastPath } from "./fast-path.ts";
import { NodePaths } from "./node-paths.ts";

interface Session {
  readonly peer: string;
  profile: BfdProfile;
  change: (verdict: BfdVerdict) => void;
}

class Bench {
  readonly sessions = new Map<string, Session>(); // peer -> what is kept
  readonly told: string[] = [];
  readonly path: FastPath;
  readonly clock = new SimulatedClock();
  timing: "fast" | "lan" = "fast";
  #listener: (event: RingEvent) => void = () => {};

  constructor() {
    const bench = this;
    this.path = new FastPath({
      clock: this.clock,
      memberlist: {
        get timing() {
          return bench.timing;
        },
        keepPaths: (areKept) => this.told.push(`keep ${areKept}`),
        pathChanged: (name, verdict) => this.told.push(`${name} ${verdict}`),
        onEvent: (listener) => {
          this.#listener = listener;
          return { [Symbol.dispose]: () => {} };
        },
      },
      bfd: { watch: (ends, profile, onChange) => this.#keep(ends, profile, onChange) },
    });
  }

  /** The ring asks for paths to these, by the last number in their addresses. */
  watch(...members: number[]): void {
    this.#listener({
      type: "watchPaths",
      members: members.map((one) => ({ name: `node${one}`, address: `192.0.2.${one}`, port: 7946 })),
    });
  }

  happen(event: RingEvent): void {
    this.#listener(event);
  }

  #keep({ peer, multihop }: BfdEnds, profile: BfdProfile, onChange: (status: BfdStatus) => void) {
    assert.equal(multihop, false);
    const watch = { status: { verdict: "unknown", reason: "" } as BfdStatus };
    const change = (verdict: BfdVerdict) => {
      watch.status = { verdict, reason: "" };
      onChange(watch.status);
    };
    const session: Session = { peer: peer.toString(), profile, change };
    this.sessions.set(session.peer, session);
    return Object.assign(watch, {
      configure: (changed: BfdProfile) => {
        session.profile = changed;
      },
      [Symbol.dispose]: () => void this.sessions.delete(session.peer),
    });
  }
}

test("paths are kept to the members that the ring names, at the interval of the configuration", () => {
  const bench = new Bench();
  bench.path.configure(10);
  bench.watch(1, 2);
  assert.deepEqual([...bench.sessions.keys()], ["192.0.2.1", "192.0.2.2"]);
  assert.equal(bench.sessions.get("192.0.2.1")?.profile.transmitIntervalMs, 10);
  bench.path.configure(50);
  assert.equal(bench.sessions.get("192.0.2.1")?.profile.receiveIntervalMs, 50);
  bench.watch(2, 3);
  assert.deepEqual([...bench.sessions.keys()], ["192.0.2.2", "192.0.2.3"]);
});

test("the ring hears what each path says, and again when it asks anew", () => {
  const bench = new Bench();
  bench.path.configure(10);
  bench.watch(1);
  for (const verdict of ["up", "failed", "adminDown"] as const) bench.sessions.get("192.0.2.1")?.change(verdict);
  bench.sessions.get("192.0.2.1")?.change("up");
  bench.watch(1);
  assert.deepEqual(bench.told, ["keep true", "node1 unknown", "node1 up", "node1 down", "node1 unknown", "node1 up", "node1 up"]);
});

test("a session that does not come up, a path that misled, and a ring that is slow are problems while they last", () => {
  const bench = new Bench();
  const { path, clock } = bench;
  assert.deepEqual(path.problems(), [], "nobody asks for paths");
  path.configure(10);
  bench.watch(1, 2);
  bench.sessions.get("192.0.2.1")?.change("up");
  clock.advanceBy(14_999);
  assert.deepEqual(path.problems(), [], "it may still come up");
  clock.advanceBy(1);
  assert.deepEqual(path.problems(), ["there is no BFD session with node2"]);
  bench.sessions.get("192.0.2.2")?.change("up");
  bench.happen({ type: "pathDistrusted", member: "node1", backOff: 60_000 });
  bench.watch(2);
  clock.advanceBy(100);
  assert.deepEqual(path.problems(), ["BFD took node1 for gone while it lived, and is used again in 60 s"]);
  bench.timing = "lan";
  assert.deepEqual(path.problems(), ["the ring is not at the fast pace"]);
  bench.happen({ type: "timing", timing: "lan", because: "node3" });
  assert.match(path.problems().join(), /^the ring is not at the fast pace, because node3 is of another kind or/);
  bench.timing = "fast";
  clock.advanceBy(60_000);
  assert.deepEqual(path.problems(), []);
});

test("without an interval there are no paths, and none are left at the end", () => {
  const bench = new Bench();
  bench.path.configure(undefined);
  bench.watch(1);
  assert.equal(bench.sessions.size, 0);
  bench.path.configure(10);
  assert.equal(bench.sessions.size, 1);
  bench.path.configure(undefined);
  assert.equal(bench.sessions.size, 0);
  bench.path.configure(10);
  bench.path[Symbol.dispose]();
  assert.equal(bench.sessions.size, 0);
});

test("a central speaker keeps the paths that it asks for, and is told which of them have failed", () => {
  const emitted: SpeakerEvent[] = [];
  const changes = new Map<string, (verdict: BfdVerdict) => void>(); // peer -> what happens to its session
  const nodes = new NodePaths((event) => emitted.push(event));
  using path = new FastPath({
    clock: new SimulatedClock(),
    memberlist: nodes,
    bfd: {
      watch({ peer }, _profile, onChange) {
        const watch = { status: { verdict: "unknown", reason: "" } as BfdStatus };
        changes.set(`${peer}`, (verdict) => {
          watch.status = { verdict, reason: "" };
          onChange(watch.status);
        });
        return Object.assign(watch, { configure() {}, [Symbol.dispose]: () => void changes.delete(`${peer}`) });
      },
    },
  });
  const take = () => emitted.splice(0).map((event) => (event.type === "nodePaths" ? event.failed.join() : event.type));
  const both = [1, 2].map((number) => ({ name: `node${number}`, address: `192.0.2.${number}` }));
  nodes.watch(both);
  assert.deepEqual([...changes.keys()], [], "nothing without failover");
  path.configure(50);
  assert.deepEqual([...changes.keys()], ["192.0.2.1", "192.0.2.2"]);
  const happen = (verdict: BfdVerdict) => changes.get("192.0.2.2")?.(verdict);
  for (const verdict of ["up", "failed", "failed", "up", "adminDown", "failed"] as const) happen(verdict);
  assert.deepEqual(take(), ["node2", "", "node2"]);
  nodes.watch(both.slice(0, 1));
  assert.deepEqual([take(), changes.size], [[""], 1], "a node that is watched no more has not failed");
  nodes.watch(both);
  happen("failed");
  path.configure(undefined);
  assert.deepEqual([take(), changes.size], [["node2", ""], 0]);
});
