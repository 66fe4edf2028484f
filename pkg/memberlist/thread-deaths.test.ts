import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { UdpSocket } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { MemberlistThread } from "./memberlist-thread.ts";

/** The ring with real threads and sockets, whose threads are ended from outside. */

const started: Worker[] = [];
const onWorker = (worker: Worker): void => void started.push(worker);
process.on("worker", onWorker);
after(() => process.off("worker", onWorker));

const lines: string[] = [];
const log = { ...silentLog, warn: note, error: note };

function note(message: string): void {
  lines.push(message);
}

function member(name: string, address: string, port: number): MemberlistThread {
  const keys = [Buffer.from("0123456789abcdef")];
  return new MemberlistThread({ name, bind: { address, port }, keys, metadata: new Map(), timing: "auto", log });
}

async function until(what: string, condition: () => boolean, state: () => unknown = () => lines.slice(-5)): Promise<void> {
  for (const end = performance.now() + 60_000; !condition(); await sleep(5))
    if (performance.now() > end) assert.fail(`not within 60 s: ${what}: ${JSON.stringify(state())}`);
}

function names(one: MemberlistThread): string {
  return one
    .members()
    .map(({ name }) => name)
    .sort()
    .join();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** What this process has of each kind: it must not grow with the threads that died. */
function held(): Readonly<Record<string, number>> {
  const resources = process.getActiveResourcesInfo();
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    timers: resources.filter((kind) => kind === "Timeout").length,
    threads: resources.filter((kind) => kind === "MessagePort").length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

/** Waits until this process has no more of any kind than before. A stream between two members, which ends by itself, counts for a moment. */
async function hasNotGrown(before: ReturnType<typeof held>): Promise<void> {
  const isSmall = () => Object.entries(held()).every(([kind, count]) => count <= (before[kind] ?? 0));
  await until("streams between the two to end", isSmall, () => ({ before, now: held() }));
}

/** Commands that no thread understands, so that it throws. */
const nonsense = { type: "entries", entries: 1 };

for (const [how, end] of [
  ["is terminated", (worker: Worker) => void worker.terminate()],
  ["throws", (worker: Worker) => worker.postMessage(nonsense)],
] as const)
  test(`a ring's thread that ${how} twenty times is back in the ring each time, and leaves nothing behind`, async () => {
    const port = await freePort();
    await using a = member("a", "127.0.0.1", port);
    await a.start();
    const first = started.at(-1);
    await using b = member("b", "127.0.0.2", port);
    await b.start();
    a.move("127.0.0.1"); // It is there: nothing happens.
    assert.deepEqual(await b.join(["127.0.0.1"]), { joined: 1, failures: [] });
    await until("both to know each other", () => names(a) === "a,b");
    let worker = first ?? assert.fail("no thread");
    let before: ReturnType<typeof held> | undefined;
    for (let deaths = 0; deaths < 20; deaths++) {
      end(worker);
      await until("the death", () => a.problem !== undefined);
      assert.deepEqual((await a.join(["127.0.0.2"])).joined, 0);
      a.setMetadata(new Map([[9, Uint8Array.of(deaths)]]));
      await until("its end", () => a.problem === undefined);
      await until(
        "all in one ring",
        () =>
          names(a) === "a,b" &&
          names(b) === "a,b" &&
          b.members().some(({ name, meta }) => name === "a" && meta?.includes(String.fromCharCode(deaths))),
      );
      worker = started.at(-1) ?? worker;
      if (deaths > 0 && deaths < 19) continue;
      await sleep(1_000); // One-time timers are over.
      before ??= held();
      await hasNotGrown(before);
    }
    assert.ok(lines.filter((line) => line.includes("died")).length <= 20);
    assert.ok(!lines.some((line) => line.includes("cannot open the port")), lines.join("\n"));
    lines.length = 0;
  });

test("an address that goes and comes back is the ring's each time", async () => {
  const port = await freePort();
  await using a = member("a", "127.0.0.1", port);
  await a.start();
  await using b = member("b", "127.0.0.3", port);
  await b.start();
  await b.join(["127.0.0.1"]);
  await until("both to know each other", () => names(a) === "a,b");
  let before: ReturnType<typeof held> | undefined;
  for (let turn = 0; turn < 6; turn++) {
    const address = turn % 2 === 0 ? "127.0.0.2" : "127.0.0.1";
    a.move(address);
    await until(
      "the other address",
      () => a.problem === undefined && names(a) === "a,b" && b.members().some((one) => one.address === address),
    );
    await sleep(600);
    before ??= held();
    await hasNotGrown(before);
  }
  assert.deepEqual(
    lines.filter((line) => !/^member/.test(line)),
    [],
  );
});

test("while another program has the port, commands kill no thread, the reason is told, and one line is logged", async () => {
  const port = await freePort();
  await using a = member("a", "127.0.0.1", port);
  await a.start();
  await using b = member("b", "127.0.0.2", port);
  await b.start();
  await b.join(["127.0.0.1"]);
  await until("both to know each other", () => names(a) === "a,b");
  const other = UdpSocket.open({ family: "IPv4", address: Uint8Array.of(127, 0, 0, 4), port, ttl: 1, trafficClass: 0 });
  a.keepPaths(true); // Each thread is told so before it is on the network.
  a.move("127.0.0.4");
  await until("the reason", () => a.problem?.includes("EADDRINUSE") ?? false);
  assert.match(a.problem ?? "", /^Cannot listen for memberlist on 127.0.0.4 port \d+ \(UDP\): .*EADDRINUSE/);
  const threads = started.length;
  for (let i = 0; i < 30; i++) {
    assert.equal((await a.join(["127.0.0.2"])).joined, 0);
    assert.equal(await a.leave(10), false);
    a.setMetadata(new Map([[9, Uint8Array.of(i)]]));
    a.pull("b");
    a.keepPaths(i % 2 === 0);
    a.pathChanged("b", "down");
    await sleep(100);
  }
  assert.equal(started.length, threads);
  assert.deepEqual(
    lines.filter((line) => !/^member/.test(line)),
    ["cannot open the port of the speakers' ring, retrying"],
  );
  other[Symbol.dispose]();
  await until("the port", () => a.problem === undefined && names(b) === "a,b");
  await until("what was set meanwhile", () => b.members().some(({ name, meta }) => name === "a" && meta?.includes("\x1d")));
});
