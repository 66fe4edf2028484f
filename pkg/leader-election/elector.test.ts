import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { ApiError, type Handlers, type Informer, type Lease, type Resource } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { LeaderElector } from "./elector.ts";

const timings = { leaseMs: 4_000, renewDeadlineMs: 3_000, retryMs: 1_000 };

/** One Lease behind an API that answers in the next turn of the event loop, or not at all. */
class FakeLease {
  lease: Lease | undefined;
  refusal: number | undefined;
  /** Identities that get 403 for reads or writes. */
  readonly forbidden = { read: new Set<string>(), write: new Set<string>() };
  reads = 0;
  /** Whether some leader has written its ConfigMap. */
  isUsed = false;
  /** The Lease that the watch shows for good, as when it waits for a version of the future. */
  stuck: Lease | undefined;
  #mayWatch = true;
  readonly #watchers = new Map<Handlers<Lease>, () => void>(); // -> asks for the watch again
  #version = 0;

  /** Whether lists and watches are allowed. */
  set mayWatch(may: boolean) {
    this.#mayWatch = may;
    for (const ask of this.#watchers.values()) setImmediate(ask);
  }

  cluster(identity: string) {
    const check = (verb: "read" | "write") => {
      const refusal = this.forbidden[verb].has(identity) ? 403 : this.refusal;
      if (refusal !== undefined) throw new ApiError("Cannot use the Lease: refused", refusal, "");
    };
    return {
      leases: {
        read: async () => {
          this.reads++;
          check("read");
          return this.lease;
        },
        write: async (_namespace: string, name: string, write: Omit<Lease, "resourceVersion">, version: string | undefined) => {
          check("write");
          if (this.lease?.resourceVersion !== version) return "conflict" as const;
          const { holder, durationSeconds, transitions } = write;
          const meta = { key: `ns/${name}`, namespace: "ns", name, uid: "1", resourceVersion: String(++this.#version) };
          this.lease = { ...meta, holder, durationSeconds, transitions };
          if (this.#mayWatch)
            for (const { changed } of this.#watchers.keys()) setImmediate(() => changed(`ns/${name}`, this.lease, undefined));
          return this.lease;
        },
      },
      informer: (resource: Resource<Lease>, _scope: object, handlers: Handlers<Lease>): Informer<Lease> => {
        if (resource.plural === "configmaps") return this.#ofConfigMap(() => handlers.synced?.());
        let synced = false;
        let lostSince: number | undefined;
        const ask = () => {
          const isForbidden = !this.#mayWatch || this.refusal === 403 || this.forbidden.read.has(identity);
          lostSince = isForbidden ? 0 : undefined;
          if (isForbidden) handlers.forbidden?.();
          else if (!synced) {
            synced = true;
            handlers.synced?.();
          }
          handlers.reached?.();
        };
        return {
          start: () => {
            this.#watchers.set(handlers, ask);
            setImmediate(ask);
          },
          relist: () => {},
          want: () => {},
          get lostSince() {
            return lostSince;
          },
          get synced() {
            return synced;
          },
          get: () => this.stuck ?? this.lease,
          values: () => [].values(),
          size: 0,
          [Symbol.dispose]: () => void this.#watchers.delete(handlers),
        };
      },
    };
  }

  #ofConfigMap(synced: () => void): Informer<Lease> {
    const found = () => (this.isUsed ? {} : undefined);
    const informer = { start: () => setImmediate(synced), get: found, [Symbol.dispose]: () => {} };
    return informer as unknown as Informer<Lease>;
  }
}

function elector(lease: FakeLease, identity: string, clock: SimulatedClock) {
  const events: string[] = [];
  const logged: string[] = [];
  const note = (message: string, { leader }: { readonly leader?: string } = {}) =>
    void logged.push(leader === undefined ? message : `${message}: ${leader}`);
  const handlers = { lead: () => events.push("lead"), lost: (reason: string) => events.push(`lost: ${reason}`) };
  const cluster = lease.cluster(identity) as unknown as ConstructorParameters<typeof LeaderElector>[0]["cluster"];
  const options = {
    cluster,
    namespace: "ns",
    name: "ingot-controller",
    writtenByLeader: "ingot-summary",
    identity,
    timings,
    log: { ...silentLog, info: note, warn: note },
    clock,
  };
  const it = new LeaderElector(options);
  return { elector: it, start: () => it.start(handlers), events, logged };
}

/** Lets answers and watches arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("the first leads, and the second takes over as soon as the first has gone", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  const [a, b] = [elector(lease, "a", clock), elector(lease, "b", clock)];
  a.start();
  await settle();
  b.start();
  await settle();
  assert.deepEqual([a.elector.isLeader, b.elector.isLeader, b.elector.leader], [true, false, "a"]);
  for (let second = 1; second <= 10; second++) {
    clock.advanceBy(1_000);
    await settle();
  }
  assert.deepEqual([a.elector.mayWrite, b.events], [true, []]);
  assert.deepEqual([a.logged, b.logged], [["leading"], ["standing by: a"]], "once, however often it is renewed");
  await a.elector[Symbol.asyncDispose]();
  await settle();
  assert.deepEqual([a.events, b.events, lease.lease?.holder], [["lead"], ["lead"], "b"]);
  await b.elector[Symbol.asyncDispose]();
  assert.deepEqual(clock.pending(), []);
});

test("one that begins without a Lease leads at once where nobody has led before, and else waits out a Lease that was deleted", async () => {
  for (const isUsed of [false, true]) {
    const [lease, clock] = [new FakeLease(), new SimulatedClock()];
    lease.isUsed = isUsed;
    const { start, events } = elector(lease, "a", clock);
    start();
    await settle();
    assert.deepEqual(events, isUsed ? [] : ["lead"]);
    if (!isUsed) continue;
    clock.advanceBy(timings.leaseMs - 1);
    await settle();
    assert.deepEqual(events, []);
    for (const ms of [1, timings.retryMs]) {
      clock.advanceBy(ms);
      await settle();
    }
    assert.deepEqual(events, ["lead"]);
  }
});

test("a leader that the API is gone for stops within 3 s, and leads again when it is back", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  const { elector: a, start, events, logged } = elector(lease, "a", clock);
  start();
  await settle();
  lease.refusal = 0;
  for (let second = 1; second <= 3; second++) {
    clock.advanceBy(1_000);
    await settle();
  }
  assert.deepEqual(events, ["lead", "lost: it could not be renewed for 3000 ms"]);
  assert.equal(a.mayWrite, false);
  lease.refusal = undefined;
  clock.advanceBy(1_000);
  await settle();
  assert.deepEqual(events.slice(2), ["lead"]);
  const ofLease = logged.filter((message) => message.includes("Lease"));
  assert.deepEqual(ofLease, ["cannot use the Lease, trying again", "the Lease can be used again"]);
  await a[Symbol.asyncDispose]();
});

test("a Lease that is older than what was seen of it, as after the API was restored, is held again within two attempts", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  const a = elector(lease, "a", clock);
  a.start();
  await settle();
  const restored = lease.lease;
  for (let second = 1; second <= 5; second++) {
    clock.advanceBy(1_000);
    await settle();
  }
  lease.stuck = lease.lease;
  lease.lease = restored;
  for (let second = 1; second <= 2; second++) {
    clock.advanceBy(1_000);
    await settle();
  }
  assert.deepEqual([a.elector.mayWrite, a.events], [true, ["lead"]]);
  assert.notEqual(lease.lease, restored);
});

/** Lets seconds pass. @param each called after each of them */
async function pass(clock: SimulatedClock, seconds: number, each: (second: number) => void = () => {}): Promise<void> {
  for (let second = 1; second <= seconds; second++) {
    clock.advanceBy(1_000);
    await settle();
    each(second);
  }
}

for (const verb of ["read", "write"] as const)
  test(`a process that may not ${verb} the Lease leads alone, after half a minute of refusals`, async () => {
    const [lease, clock] = [new FakeLease(), new SimulatedClock()];
    lease.forbidden[verb].add("a");
    const a = elector(lease, "a", clock);
    a.start();
    await settle();
    await pass(clock, 29);
    assert.deepEqual([a.events, a.elector.isLeader, a.elector.mayWrite, a.elector.leader], [[], false, false, ""]);
    await pass(clock, 3);
    assert.deepEqual([a.events, a.elector.isLeader, a.elector.mayWrite, a.elector.leader], [["lead"], true, true, "a"]);
    await pass(clock, 600, () => assert.equal(a.elector.mayWrite, true));
    assert.deepEqual(a.events, ["lead"]);
    assert.equal(a.logged.filter((message) => /works without it/.test(message)).length, 1);
    await a.elector[Symbol.asyncDispose]();
    assert.deepEqual([lease.lease, clock.pending()], [undefined, []]);
  });

test("while the API refuses the Lease for less than half a minute, as when it has just started, nobody leads alone, and then one leads", async () => {
  for (const length of [1, 20, 28]) {
    const [lease, clock] = [new FakeLease(), new SimulatedClock()];
    const [a, b] = [elector(lease, "a", clock), elector(lease, "b", clock)];
    a.start();
    await settle();
    b.start();
    await pass(clock, 5);
    lease.refusal = 403;
    lease.mayWatch = false;
    const leaders = () => [a, b].filter((each) => each.elector.mayWrite).length;
    await pass(clock, length, (second) => assert.equal(leaders(), second < 3 ? 1 : 0));
    lease.refusal = undefined;
    await pass(clock, 60, (second) => assert.ok(leaders() === 1 || second < 5, `${length} s: ${leaders()} lead`));
    if (length === 1) assert.deepEqual([a.events, b.events], [["lead"], []]);
    for (const each of [a, b]) await each.elector[Symbol.asyncDispose]();
    assert.deepEqual(clock.pending(), []);
  }
});

test("a process that leads alone takes the Lease within 10 s of being allowed to, and goes on with what it does", async () => {
  for (const verb of ["read", "write"] as const) {
    const [lease, clock] = [new FakeLease(), new SimulatedClock()];
    const [a, b] = [elector(lease, "a", clock), elector(lease, "b", clock)];
    lease.forbidden[verb].add("a");
    a.start();
    await settle();
    await pass(clock, 45);
    lease.forbidden[verb].delete("a");
    await pass(clock, 10, () => assert.equal(a.elector.mayWrite, true));
    assert.deepEqual([lease.lease?.holder, a.events], ["a", ["lead"]]);
    b.start();
    await pass(clock, 20, () => assert.deepEqual([a.elector.mayWrite, b.elector.mayWrite], [true, false]));
    await a.elector[Symbol.asyncDispose]();
    await settle();
    assert.deepEqual([b.events, lease.lease?.holder], [["lead"], "b"]);
    await b.elector[Symbol.asyncDispose]();
  }
});

test("a process that leads alone stops within 10 s of being allowed to see that another one holds the Lease", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  const [a, b] = [elector(lease, "a", clock), elector(lease, "b", clock)];
  lease.forbidden.read.add("a");
  a.start();
  await pass(clock, 45);
  b.start();
  await pass(clock, 5);
  assert.deepEqual([a.elector.mayWrite, b.elector.mayWrite], [true, true], "nothing tells a of b");
  lease.forbidden.read.delete("a");
  await pass(clock, 10);
  assert.deepEqual([a.events, a.elector.mayWrite, b.elector.mayWrite], [["lead", "lost: b holds the Lease now"], false, true]);
  await pass(clock, 60, () => assert.deepEqual([a.elector.mayWrite, b.elector.mayWrite], [false, true]));
  for (const each of [a, b]) await each.elector[Symbol.asyncDispose]();
});

test("a process that leads alone goes on while the API is away for 15 s, and stops when it is for longer than half a minute", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  const a = elector(lease, "a", clock);
  lease.refusal = 403;
  a.start();
  await pass(clock, 45);
  lease.refusal = 0;
  await pass(clock, 15, () => assert.equal(a.elector.mayWrite, true));
  lease.refusal = 403;
  await pass(clock, 15, () => assert.equal(a.elector.mayWrite, true));
  lease.refusal = 503;
  await pass(clock, 40);
  assert.deepEqual([a.elector.mayWrite, a.events.length], [false, 2]);
  lease.refusal = 403;
  await pass(clock, 25, () => assert.equal(a.elector.mayWrite, false));
  await pass(clock, 25);
  assert.deepEqual([a.elector.mayWrite, a.events.length], [true, 3]);
  await a.elector[Symbol.asyncDispose]();
});

test("where the Lease may not be watched it is read at each attempt, until it may", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  lease.mayWatch = false;
  const [a, b] = [elector(lease, "a", clock), elector(lease, "b", clock)];
  a.start();
  await settle();
  b.start();
  await pass(clock, 120, () => assert.deepEqual([a.elector.mayWrite, b.elector.mayWrite, b.elector.leader], [true, false, "a"]));
  lease.mayWatch = false; // Its informer asks again and again.
  await settle();
  assert.deepEqual(
    [a, b].map(({ logged }) => logged.filter((message) => /may not be watched/.test(message)).length),
    [1, 1],
  );
  lease.forbidden.write.add("a"); // As if it were gone.
  await pass(clock, 8);
  assert.deepEqual([a.events.length, a.elector.mayWrite, b.events, lease.lease?.holder], [2, false, ["lead"], "b"]);
  lease.forbidden.write.delete("a");
  await b.elector[Symbol.asyncDispose]();
  await pass(clock, 1);
  assert.deepEqual([a.elector.mayWrite, lease.lease?.holder], [true, "a"]);
  const c = elector(lease, "c", clock);
  c.start();
  await pass(clock, 5);
  lease.mayWatch = true;
  await settle();
  const { reads } = lease;
  await pass(clock, 30);
  assert.equal(lease.reads, reads);
  await a.elector[Symbol.asyncDispose]();
  await settle();
  assert.deepEqual(c.events, ["lead"]);
  await c.elector[Symbol.asyncDispose]();
  assert.deepEqual(clock.pending(), []);
});
