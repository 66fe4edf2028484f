import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

/** A thread that opens everything that this package opens without a right, and ends as it is told. */
const source = `
  const { parentPort, workerData: how } = require("node:worker_threads");
  const { EventFd, MulticastMemberships, NetlinkSocket, Neighbors, Rtnetlink, TcpSocket, UdpSocket } = require("#pkg/linux");
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
    parentPort.postMessage("open");
  });
  parentPort.once("message", () => {
    if (how === "throws") throw new Error("as told");
    if (how === "exits") process.exit(3);
    if (how === "disposes") for (const one of open) one[Symbol.dispose]();
    if (how === "forgets") parentPort.close();
  });`;

function descriptors(): readonly string[] {
  return readdirSync("/proc/self/fd");
}

async function lifeOf(how: string): Promise<number> {
  const worker = new Worker(source, { eval: true, workerData: how });
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.on("error", () => {});
  await once(worker, "message");
  const { length } = descriptors();
  if (how === "is terminated") await worker.terminate();
  else worker.postMessage("end");
  await ended;
  return length;
}

for (const how of ["throws", "is terminated", "exits", "disposes", "forgets"])
  test(`what a thread has opened is closed when it ${how}`, async () => {
    await lifeOf(how); // Node opens for the first thread what it keeps for all.
    const before = descriptors().length;
    for (let life = 0; life < 5; life++) assert.ok((await lifeOf(how)) >= before + 7);
    assert.equal(descriptors().length, before);
  });
