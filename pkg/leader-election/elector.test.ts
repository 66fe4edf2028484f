import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock";
import { ApiError, type Handlers, type Informer, type Lease, type Resource } from "#pkg/k8s";
import { silentLog } from "#pkg/log";
import { LeaderElector } from "./elector.ts";

const timings = { leaseMs: 4_000, renewDeadlineMs: 3_000, retryMs: 1_000 };

/** One Lease behind an API that answers in the next turn of the event loop, or not at all. */
class FakeLease {
  lease: Lease | undefined;
  refusal: number | undefined;
  /** What the watch shows for good, as it does when it waits for a version of the future. */
  stuck: Lease | undefined;
  readonly #watchers = new Set<Handlers<Lease>>();
  #version = 0;

  cluster() {
    const check = () => {
      if (this.refusal !== undefined) throw new ApiError("Cannot use the Lease: refused", this.refusal, "");
    };
    return {
      readLease: async () => {
        check();
        return this.lease;
      },
      writeLease: async (
        _namespace: string,
        name: string,
        write: Omit<Lease, "resourceVersion">,
        version: string | undefined,
      ) => {
        check();
        if (this.lease?.resourceVersion !== version) return "conflict" as const;
        const { holder, durationSeconds, transitions } = write;
        const meta = { key: `ns/${name}`, namespace: "ns", name, uid: "1", resourceVersion: String(++this.#version) };
        this.lease = { ...meta, holder, durationSeconds, transitions };
        for (const { changed } of this.#watchers) setImmediate(() => changed(`ns/${name}`, this.lease, undefined));
        return this.lease;
      },
      informer: (_resource: Resource<Lease>, _scope: object, handlers: Handlers<Lease>): Informer<Lease> => {
        let synced = false;
        return {
          start: () => {
            this.#watchers.add(handlers);
            setImmediate(() => {
              synced = true;
              handlers.synced?.();
            });
          },
          lostSince: undefined,
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
}

function elector(lease: FakeLease, identity: string, clock: SimulatedClock) {
  const events: string[] = [];
  const logged: string[] = [];
  const note = (message: string) => void logged.push(message);
  const handlers = { lead: () => events.push("lead"), lost: (reason: string) => events.push(`lost: ${reason}`) };
  const cluster = lease.cluster() as unknown as ConstructorParameters<typeof LeaderElector>[0]["cluster"];
  const options = {
    cluster,
    namespace: "ns",
    name: "ingot-controller",
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
  await a.elector[Symbol.asyncDispose]();
  await settle();
  assert.deepEqual([a.events, b.events, lease.lease?.holder], [["lead"], ["lead"], "b"]);
  await b.elector[Symbol.asyncDispose]();
  assert.deepEqual(clock.pending(), []);
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
  assert.deepEqual(ofLease, ["cannot write the Lease, trying again", "the Lease can be written again"]);
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

test("without the right to the Lease a process leads alone, whether it may not read it or not write it", async () => {
  const [lease, clock] = [new FakeLease(), new SimulatedClock()];
  lease.refusal = 403;
  const unreadable = elector(lease, "a", clock);
  unreadable.start();
  await settle();
  assert.deepEqual([unreadable.events, unreadable.elector.mayWrite], [["lead"], true]);
  await unreadable.elector[Symbol.asyncDispose]();

  lease.refusal = undefined;
  const unwritable = elector(lease, "b", clock);
  unwritable.start();
  lease.refusal = 403;
  await settle();
  assert.deepEqual([unwritable.events, unwritable.elector.mayWrite], [["lead"], true]);
  await unwritable.elector[Symbol.asyncDispose]();
  assert.deepEqual(clock.pending(), []);
});
