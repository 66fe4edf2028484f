import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

/** A thread that opens everything that this package opens without a right, and ends as it is told. */
const source = `
  const { parentPort, workerData: { how, isWithoutHooks } } = require("node:worker_threads");
  import("koffi").then(({ default: koffi }) => {
    const { load } = koffi;
    if (!isWithoutHooks) return;
    koffi.load = (path) => new Proxy(load(path), {
      get: (library, name) => name !== "func" ? library[name] : (symbol, ...types) => {
        if (symbol.startsWith("_ZN4node")) throw new Error("Cannot find " + symbol);
        return library.func(symbol, ...types);
      },
    });
  }).then(() => {
  const { EventFd, MulticastMemberships, NetlinkSocket, Neighbors, Rtnetlink, TcpSocket, UdpSocket, whyDescriptorsStay } = require("#pkg/linux");
  const { Address } = require("#pkg/net");
  const loopback = Uint8Array.of(127, 0, 0, 1);
  const listener = TcpSocket.open("IPv4");
  listener.bind(Address.fromBytes(loopback), 0);
  listener.listen(1);
  const open = [
    listener, EventFd.create(), NetlinkSocket.open(), new Neighbors(), new Rtnetlink(),
    UdpSocket.open({ family: "IPv4", address: loopback, port: 0, ttl: 1, trafficClass: 0 }),
  ];
  const closed = EventFd.create();
  closed[Symbol.dispose]();
  const client = require("node:net").connect(listener.port, "127.0.0.1");
  client.on("connect", () => {
    open.push(listener.accept().socket);
    client.destroy();
    parentPort.postMessage(whyDescriptorsStay);
  });
  parentPort.once("message", () => {
    if (how === "throws") throw new Error("as told");
    if (how === "exits") process.exit(3);
    if (how === "disposes") for (const one of open) one[Symbol.dispose]();
    if (how === "forgets") parentPort.close();
  });
  });`;

function descriptors(): readonly string[] {
  return readdirSync("/proc/self/fd");
}

/** @returns how many descriptors there were while it lived */
async function lifeOf(how: string, isWithoutHooks = false): Promise<number> {
  const worker = new Worker(source, { eval: true, workerData: { how, isWithoutHooks } });
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.on("error", () => {});
  const [whyTheyStay] = await once(worker, "message");
  const { length } = descriptors();
  if (how === "is terminated") await worker.terminate();
  else worker.postMessage("end");
  await ended;
  assert.equal(whyTheyStay !== undefined, isWithoutHooks, whyTheyStay);
  return length;
}

for (const how of ["throws", "is terminated", "exits", "disposes", "forgets"])
  test(`what a thread has opened is closed when it ${how}`, async () => {
    await lifeOf(how); // Node opens for the first thread what it keeps for all.
    const before = descriptors().length;
    for (let life = 0; life < 5; life++) assert.ok((await lifeOf(how)) >= before + 7);
    assert.equal(descriptors().length, before);
  });

for (const how of ["throws", "exits", "disposes", "forgets"])
  test(`in a Node that has other names for its hooks, what a thread has opened is closed when it ${how}`, async () => {
    await lifeOf(how, true);
    const before = descriptors().length;
    for (let life = 0; life < 3; life++) assert.ok((await lifeOf(how, true)) >= before + 7);
    assert.equal(descriptors().length, before);
  });
