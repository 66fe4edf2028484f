import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { setImmediate as immediate } from "node:timers/promises";
import { MessageChannel, Worker } from "node:worker_threads";
import { EventFd, eventLoopFd, noDescriptor } from "#pkg/linux";
import { PolledEventLoop } from "#pkg/threads";

// No loop here has a deadline of its own unless the test sets one: a turn that waits while Node has work would wait for ever.

function started(): PolledEventLoop {
  const loop = new PolledEventLoop();
  loop.start();
  return loop;
}

test("deadlines are met in their order, not before their time, and not once they are cancelled", async () => {
  using loop = started();
  const ran: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const now = loop.now();
  const at = (name: string, milliseconds: number, then = (): void => {}) =>
    loop.schedule(name, now + milliseconds, () => {
      assert.ok(loop.now() >= now + milliseconds);
      ran.push(name);
      then();
    });
  at("last", 6, resolve);
  const cancelled = at("cancelled", 3);
  const cancelledLate = at("cancelled by another that is due too", 2);
  at("first", 1, () => {
    while (loop.now() < now + 3); // So that both are due in the next turn.
  });
  at("second", 1.5, () => cancelledLate[Symbol.dispose]());
  cancelled[Symbol.dispose]();
  await promise;
  assert.deepEqual(ran, ["first", "second", "last"]);
});

test("a descriptor is read while it is readable, and no longer once nobody wants that", async () => {
  using loop = started();
  using event = EventFd.create();
  let reads = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  using watched = loop.watch(event.fd, () => {
    if (++reads === 3) resolve(event.clear());
  });
  event.signal();
  await promise;
  assert.equal(reads, 3);
  watched[Symbol.dispose]();
  event.signal();
  await immediate();
  assert.equal(reads, 3);
});

const descriptors = { "waits for Node's event loop": eventLoopFd(), "cannot wait for Node's event loop": noDescriptor };
for (const [name, nodeFd] of Object.entries(descriptors))
  test(`streams, messages, files and immediates are Node's as ever where a thread ${name}`, async () => {
    using loop = new PolledEventLoop(Infinity, nodeFd);
    loop.start();
    const server = createServer((stream) => stream.pipe(stream)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const client = connect(address.port, "127.0.0.1");
    for (const text of ["a", "b"]) {
      client.write(text);
      assert.equal(String((await once(client, "data"))[0]), text);
    }
    client.destroy();
    await once(client, "close"); // Node calls that at the end of a turn.
    for (let turn = 0; turn < 5; turn++) await immediate();
    server.close();
    await once(server, "close");
    const { port1, port2 } = new MessageChannel();
    port1.postMessage("hello");
    assert.deepEqual(await once(port2, "message"), ["hello"]);
    port1.close();
    const worker = new Worker("require('node:fs/promises').readdir('.').then(() => process.exit(3))", { eval: true });
    assert.deepEqual(await once(worker, "exit"), [3]);
  });

test("Node's own timers run once the longest wait is over", async () => {
  using loop = new PolledEventLoop(5);
  loop.start();
  await new Promise((resolve) => setTimeout(resolve, 1));
});

test("a worker that waits for ever ends when it is terminated", async () => {
  const source = `import("#pkg/threads").then(({ PolledEventLoop }) => {
    new PolledEventLoop().start();
    setImmediate(() => setImmediate(() => require("node:worker_threads").parentPort.postMessage("waits")));
  })`;
  const worker = new Worker(source, { eval: true });
  await once(worker, "message");
  assert.equal(await worker.terminate(), 1);
});

test("a deadline takes one turn where Node has nothing of its own to look after", async () => {
  const source = `Promise.all([import("#pkg/threads"), import("#pkg/linux")]).then(([{ PolledEventLoop }, { PollSet }]) => {
    const loop = new PolledEventLoop();
    const wait = PollSet.prototype.wait;
    let waits = 0;
    PollSet.prototype.wait = function (timeout) {
      waits++;
      return wait.call(this, timeout);
    };
    const port = require("node:worker_threads").parentPort;
    port.on("message", () => {}); // As a thread has it that is told what to do.
    let deadlines = 0;
    const next = () => (++deadlines < 100 ? loop.schedule("next", loop.now() + 0.5, next) : port.postMessage(waits));
    loop.start();
    loop.schedule("first", loop.now() + 20, next);
  })`;
  const worker = new Worker(source, { eval: true });
  const [waits] = await once(worker, "message");
  await worker.terminate();
  assert.ok(waits < 130, `${waits} waits for 100 deadlines`);
});

const leftToNode: [name: string, leave: string][] = [
  ["a promise that settles", "settle()"],
  ["a promise that is made", "Promise.reject().catch(done)"],
  ["a microtask", "queueMicrotask(done)"],
  ["a tick", "process.nextTick(done)"],
  ["an immediate", "setImmediate(done)"],
  ["a file", "require('node:fs').readdir('.', done)"],
  ["a stream", "require('node:net').connect(1, '127.0.0.1').on('error', done)"],
  ["a message", "channel.port2.postMessage('')"],
  ["an error that is thrown", "process.on('uncaughtException', done); throw new Error()"],
];
for (const [name, leave] of leftToNode)
  test(`what a deadline leaves to Node is done before the next wait: ${name}`, { timeout: 20_000 }, async () => {
    const source = `import("#pkg/threads").then(({ PolledEventLoop }) => {
      const { parentPort, MessageChannel } = require("node:worker_threads");
      const done = () => parentPort.postMessage("done");
      const { promise, resolve: settle } = Promise.withResolvers();
      promise.then(done);
      const channel = new MessageChannel();
      channel.port1.on("message", done);
      parentPort.on("message", () => {});
      const loop = new PolledEventLoop();
      loop.start();
      const after = (turns) => loop.schedule("next", loop.now() + 2, () => (turns > 0 ? after(turns - 1) : leave()));
      const leave = () => { ${leave} };
      after(20);
    })`;
    const worker = new Worker(source, { eval: true });
    const ended = once(worker, "exit");
    assert.deepEqual(await once(worker, "message"), ["done"]);
    void worker.terminate();
    await ended;
  });

test("many deadlines take no turn of Node's", async () => {
  const source = `import("#pkg/threads").then(({ PolledEventLoop }) => {
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", () => {});
    const loop = new PolledEventLoop();
    loop.start();
    let from;
    const turns = () => require("node:perf_hooks").performance.nodeTiming.uvMetricsInfo.loopCount;
    const after = (deadlines) => {
      if (deadlines === 100) from = turns();
      if (deadlines === 0) parentPort.postMessage(turns() - from);
      else loop.schedule("next", loop.now() + 0.5, () => after(deadlines - 1));
    };
    after(200);
  })`;
  const worker = new Worker(source, { eval: true });
  const [turns] = await once(worker, "message");
  await worker.terminate();
  assert.ok(turns < 20, `${turns} turns for 100 deadlines`);
});

test("where Node has something to do again and again, it has a turn a millisecond, and descriptors and deadlines are on time", async () => {
  const source = `Promise.all([import("#pkg/threads"), import("#pkg/linux")]).then(([{ PolledEventLoop }, { EventFd }]) => {
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", () => parentPort.postMessage("again"));
    const turns = () => require("node:perf_hooks").performance.nodeTiming.uvMetricsInfo.loopCount;
    const loop = new PolledEventLoop();
    loop.start();
    const event = EventFd.create();
    let reads = 0;
    loop.watch(event.fd, () => {
      event.clear();
      reads++;
    });
    parentPort.postMessage("again");
    const [from, first, every] = [loop.now(), turns(), 0.25];
    const after = (deadlines) => {
      event.signal();
      if (deadlines === 0) parentPort.postMessage({ turns: turns() - first, reads, milliseconds: loop.now() - from });
      else loop.schedule("next", from + (400 - deadlines) * every, () => after(deadlines - 1));
    };
    after(400);
  })`;
  const worker = new Worker(source, { eval: true });
  const { promise, resolve } = Promise.withResolvers<{ turns: number; reads: number; milliseconds: number }>();
  worker.on("message", (message) => (message === "again" ? worker.postMessage("") : resolve(message)));
  const { turns, reads, milliseconds } = await promise;
  await worker.terminate();
  assert.ok(turns < 2 * milliseconds + 50, `${turns} turns in ${milliseconds} ms`);
  assert.ok(turns > 5, `${turns} turns`);
  assert.ok(reads > 100, `${reads} reads`);
});
