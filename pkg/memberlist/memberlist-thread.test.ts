import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { encodeOffer } from "#pkg/gossip";
import { silentLog } from "#pkg/log/testing";
import { MetadataKey } from "./codec/metadata.ts";
import { MemberlistThread } from "./memberlist-thread.ts";
import { FakeNetwork } from "./testing/network.ts";
import { ThreadMember } from "./thread-member.ts";
import type { Command, Report, RingWorker, WorkerStart } from "./thread-messages.ts";

/**
 * Threads in name only: messages take a turn of the event loop each way, as between real threads, and pass a structured clone.
 */
class Harness implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly network = new FakeNetwork(this.clock);
  readonly workers: FakeWorker[] = [];
  readonly log: string[] = [];
  readonly starts: WorkerStart[] = [];
  /** Threads that are made from now on load until `FakeWorker.load`. */
  isLoadingSlow = false;
  readonly #threads = new AsyncDisposableStack();

  thread(name: string): MemberlistThread {
    const say = (level: string) => (message: string) => void this.log.push(`${name} ${level} ${message}`);
    const log = { ...silentLog, info: say("info"), warn: say("warn"), error: say("error") };
    return this.#threads.use(
      new MemberlistThread({
        name,
        bind: { address: `192.0.2.${name.charCodeAt(0) - 96}`, port: 7946 },
        keys: [Buffer.from("0123456789abcdef")],
        metadata: new Map([[MetadataKey.gossip, encodeOffer(1)]]),
        timing: "auto",
        log,
        clock: this.clock,
        random: seededRandom(1),
        spawn: (start) => {
          this.starts.push(start);
          const worker = new FakeWorker(start, this);
          this.workers.push(worker);
          return worker;
        },
      }),
    );
  }

  async started(name: string): Promise<MemberlistThread> {
    const thread = this.thread(name);
    await thread.start();
    return thread;
  }

  /** Lets this many milliseconds pass, with the turns that messages and streams take. */
  async pass(millis: number): Promise<void> {
    for (let passed = 0; passed < millis; passed += 10) {
      this.clock.advanceBy(10);
      await settled();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads.disposeAsync();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
}

/** A thread. What it is sent while it loads waits. */
class FakeWorker extends EventEmitter implements RingWorker {
  readonly #start: WorkerStart;
  readonly #harness: Harness;
  readonly #early: Command[] = [];
  #member: ThreadMember | undefined;
  #ended = false;

  constructor(start: WorkerStart, harness: Harness) {
    super();
    this.#start = start;
    this.#harness = harness;
    if (!harness.isLoadingSlow) this.load();
  }

  load(): void {
    const { clock, network } = this.#harness;
    this.#member = new ThreadMember(this.#start, {
      post: (report: Report) => {
        const received: Report = structuredClone(report);
        setImmediate(() => this.#ended || this.emit("message", received));
      },
      clock,
      random: seededRandom(2),
      openTransport: network.open,
    });
    for (const command of this.#early.splice(0)) this.postMessage(command);
  }

  postMessage(command: Command): void {
    const received = structuredClone(command);
    if (this.#member === undefined) this.#early.push(received);
    else setImmediate(() => this.#ended || this.#member?.receive(received));
  }

  async terminate(): Promise<void> {
    assert.ok(this.#member, "a thread that loads native code takes the process with it");
    await this.end();
  }

  /** Acts like the death of the thread: its sockets are closed, and nothing of it runs any more. */
  async end(cause?: Error): Promise<void> {
    this.#ended = true;
    await this.#member?.[Symbol.asyncDispose]();
    if (cause !== undefined) this.emit("error", cause);
    this.emit("exit", 1);
  }
}

function names(thread: MemberlistThread): string[] {
  return thread
    .members()
    .map(({ name }) => name)
    .sort();
}

test("members, timing, counters and gossip are those of the thread", async () => {
  await using harness = new Harness();
  const [a, b] = [await harness.started("a"), await harness.started("b")];
  const events: string[] = [];
  a.onEvent((event) => {
    if (event.type === "member") events.push(`${event.change} ${event.member.name}`);
    if (event.type === "gossip") events.push(...event.entries.map(({ node, key, value }) => `${node} ${key} ${value}`));
  });
  assert.deepEqual(await b.join(["192.0.2.1"]), { joined: 1, failures: [] });
  b.setEntries([{ key: "h", value: Uint8Array.of(7) }]);
  await harness.pass(1000);
  assert.deepEqual([names(a), names(b), a.timing], [["a", "b"], ["a", "b"], "fast"]);
  assert.deepEqual(events, ["joined b", "b h 7"]);
  assert.ok(a.counters.roundTrips > 0);
  assert.deepEqual([...(await a.roundTrips()).keys()], ["b"]);
  assert.deepEqual(a.local, { address: "192.0.2.1", port: 7946 });
  assert.deepEqual((await b.join(["192.0.2.9", "x"])).failures.length, 2);
  assert.equal(await Promise.race([b.leave(5000), harness.pass(5000)]), true);
  await harness.pass(100);
  assert.deepEqual(events.slice(2), ["left b"]);
  assert.deepEqual(names(a), ["a"]);
});

test("one that joins gets the gossip of all members with the push/pull", async () => {
  await using harness = new Harness();
  const [a, b] = [await harness.started("a"), await harness.started("b")];
  await b.join(["192.0.2.1"]);
  for (const one of [a, b]) one.setEntries([{ key: "h", value: Uint8Array.of(7) }]);
  await harness.pass(1000);
  const c = await harness.started("c");
  const nodes: string[] = [];
  c.onEvent((event) => event.type === "gossip" && nodes.push(...event.entries.map(({ node }) => node)));
  await c.join(["192.0.2.1"]);
  await settled();
  assert.deepEqual(nodes.sort(), ["a", "b"]);
});

const ignoring = { packet() {}, connection: () => true, stream() {}, problem() {} };

test("a port that is taken is an error of start, which can be tried again", async () => {
  await using harness = new Harness();
  const transport = await harness.network.open({ address: "192.0.2.1", port: 7946 }, ignoring);
  const a = harness.thread("a");
  await assert.rejects(a.start(), /Cannot listen for memberlist on 192.0.2.1 port 7946/);
  assert.equal(a.running, false);
  await transport[Symbol.asyncDispose]();
  await a.start();
  assert.deepEqual(names(a), ["a"]);
});

test("incarnations begin with the seconds since 2020, so that they are greater than those of an earlier life", async () => {
  await using harness = new Harness();
  const secondsSince2020 = () => (Date.now() - Date.UTC(2020, 0, 1)) / 1000;
  const before = Math.floor(secondsSince2020());
  const thread = await harness.started("a");
  const [{ incarnation } = { incarnation: 0 }] = thread.members();
  assert.ok(incarnation >= before && incarnation <= secondsSince2020(), `${incarnation}`);
});

for (const { clock, date, want } of [
  { clock: "of 1970", date: 0, want: 1 },
  { clock: "of the last second of 2019", date: Date.UTC(2019, 11, 31, 23, 59, 59), want: 1 },
  { clock: "of 2200", date: Date.UTC(2200, 0, 1), want: 0xffff_0000 },
])
  test(`a node with a clock ${clock} is in the ring, and can be told of as any other`, async (context) => {
    context.mock.timers.enable({ apis: ["Date"], now: date });
    await using harness = new Harness();
    const [a, b] = [await harness.started("a"), await harness.started("b")];
    assert.deepEqual(await b.join(["192.0.2.1"]), { joined: 1, failures: [] });
    await harness.pass(1000);
    assert.deepEqual(
      [names(a), names(b)],
      [
        ["a", "b"],
        ["a", "b"],
      ],
    );
    assert.deepEqual(
      a.members().map(({ incarnation }) => incarnation),
      [want, want],
    );
  });

test("metadata that is too long is refused here, as in the ring", async () => {
  await using harness = new Harness();
  const a = await harness.started("a");
  assert.throws(() => a.setMetadata(new Map([7, 8, 9].map((key) => [key, new Uint8Array(200)]))), RangeError);
});

test("a thread that dies is replaced: it joins the members that there were, with its gossip, and those gone meanwhile failed", async () => {
  await using harness = new Harness();
  const [a, b, c] = [await harness.started("a"), await harness.started("b"), await harness.started("c")];
  const seen: string[] = [];
  b.onEvent((event) => event.type === "gossip" && seen.push(...event.entries.map(({ value }) => `${value}`)));
  const events: string[] = [];
  a.onEvent((event) => event.type === "member" && events.push(`${event.change} ${event.member.name}`));
  await b.join(["192.0.2.1"]);
  await c.join(["192.0.2.1"]);
  a.setEntries([{ key: "h", value: Uint8Array.of(1) }]);
  await harness.pass(1000);
  await harness.workers[0]?.end(new Error("out of memory"));
  await c[Symbol.asyncDispose]();
  a.setEntries([{ key: "h", value: Uint8Array.of(2) }]);
  await harness.pass(5000);
  assert.ok(harness.log.includes("a error the thread of the speakers' ring died and is restarted"));
  assert.equal(harness.workers.length, 4);
  assert.deepEqual(
    [names(a), names(b)],
    [
      ["a", "b"],
      ["a", "b"],
    ],
  );
  assert.equal(seen.at(-1), "2");
  assert.ok(events.includes("failed c"), `${events}`);
});

test("a thread that follows another begins without the keys that have no value any more", async () => {
  await using harness = new Harness();
  const a = await harness.started("a");
  a.setEntries(["kept", "emptied"].map((key) => ({ key, value: Uint8Array.of(1) })));
  a.setEntries([{ key: "emptied", value: new Uint8Array() }]);
  await harness.workers[0]?.end(new Error("test"));
  await harness.pass(1000);
  assert.deepEqual(harness.starts.at(-1)?.entries, [{ key: "kept", value: Uint8Array.of(1) }]);
});

test("of a member that is on the network again, those that failed meanwhile and do not answer have as soon as another is met", async () => {
  await using harness = new Harness();
  const [a, b, c] = [await harness.started("a"), await harness.started("b"), await harness.started("c")];
  await b.join(["192.0.2.1"]);
  await c.join(["192.0.2.1"]);
  await harness.pass(1000);
  const taken = await harness.network.open({ address: "192.0.2.50", port: 7946 }, ignoring);
  a.move("192.0.2.50");
  harness.network.silent.add("192.0.2.3");
  await c[Symbol.asyncDispose]();
  await harness.pass(5000);
  assert.deepEqual([names(a), names(b)], [["a", "b", "c"], ["b"]]);
  await taken[Symbol.asyncDispose]();
  await harness.pass(2000);
  assert.deepEqual(
    [names(a), names(b)],
    [
      ["a", "b"],
      ["a", "b"],
    ],
  );
});

test("a member whose node has another address goes on there, and is with the others again once they have missed it", async () => {
  await using harness = new Harness();
  const [a, b] = [await harness.started("a"), await harness.started("b")];
  await b.join(["192.0.2.1"]);
  await harness.pass(1000);
  const seen: string[] = [];
  b.onEvent((event) => event.type === "member" && seen.push(`${event.change} ${event.member.name} ${event.member.address}`));
  harness.log.length = 0;
  a.move("192.0.2.50");
  assert.equal(a.address, "192.0.2.50");
  await harness.pass(5000);
  assert.deepEqual(seen, ["suspected a 192.0.2.1", "failed a 192.0.2.1", "joined a 192.0.2.50"]);
  assert.deepEqual(
    b.members().map(({ address }) => address),
    ["192.0.2.2", "192.0.2.50"],
  );
  assert.deepEqual(names(a), ["a", "b"]);
  assert.ok(!harness.log.some((line) => line.startsWith("a error")), harness.log.join("\n"));
});

test("a node whose address changes again while the next thread loads is with the others at its last address", async () => {
  await using harness = new Harness();
  const [a, b] = [await harness.started("a"), await harness.started("b")];
  await b.join(["192.0.2.1"]);
  await harness.pass(1000);
  harness.isLoadingSlow = true;
  a.move("192.0.2.50");
  await harness.pass(100);
  a.move("192.0.2.51");
  a.move("192.0.2.52");
  harness.isLoadingSlow = false;
  await harness.pass(100);
  harness.workers.at(-1)?.load();
  await harness.pass(5000);
  assert.equal(a.local.address, "192.0.2.52");
  assert.deepEqual(
    [names(a), names(b)],
    [
      ["a", "b"],
      ["a", "b"],
    ],
  );
  assert.equal(harness.workers.length, 4);
});

test("a thread that loads is waited for at the end", async () => {
  await using harness = new Harness();
  harness.isLoadingSlow = true;
  const a = harness.thread("a");
  const starting = a.start();
  const ended = a[Symbol.asyncDispose]();
  await harness.pass(100);
  harness.workers[0]?.load();
  await Promise.all([ended, assert.rejects(starting)]);
});

test("when the thread dies, who waits for it gets an answer", async () => {
  await using harness = new Harness();
  const a = await harness.started("a");
  const joining = a.join(["192.0.2.2"]);
  await harness.workers[0]?.end();
  assert.deepEqual(await joining, { joined: 0, failures: [{ address: "192.0.2.2", reason: "the ring's thread died" }] });
  assert.equal(await a.leave(1000), false);
});

test("keys are rotated while the ring runs: the new one is accepted, then used, then the old one goes", async () => {
  await using harness = new Harness();
  const threads = [await harness.started("a"), await harness.started("b")];
  const [a, b] = threads;
  assert.ok(a && b);
  await b.join(["192.0.2.1"]);
  await harness.pass(1000);
  const [old, next] = [Buffer.from("0123456789abcdef"), Buffer.from("fedcba9876543210")];
  for (const keys of [[old, next], [next, old], [next]])
    for (const thread of threads) {
      thread.setKeys(keys);
      await harness.pass(500);
    }
  await harness.pass(1000);
  for (const thread of threads) {
    const { problems, suspicions } = thread.counters;
    assert.deepEqual([names(thread), problems.wrongKey, suspicions], [["a", "b"], 0, 0]);
  }
});
