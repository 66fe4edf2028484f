import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { addressesOn, HealthClient } from "./health-client.ts";
import { Bench, eth0, owner } from "./testing/speaker-bench.ts";

const own = "127.0.0.2"; // All addresses of the loopback network belong to the node.

/** A health port on one address alone. */
async function listenOn(host: string, status = 200): Promise<{ server: Server; port: number; asked: () => number }> {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.writeHead(status).end();
  });
  server.listen(0, host);
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port, asked: () => asked };
}

function createClient() {
  const clock = new SimulatedClock();
  const node = { addresses: ["127.0.0.3", own], looked: 0 };
  const ownAddresses = () => {
    node.looked++;
    return node.addresses;
  };
  return { client: new HealthClient({ clock, ownAddresses }), clock, node };
}

test("a port is found at the address of the node where it is, and others of its kind at once", async () => {
  const one = await listenOn(own);
  const other = await listenOn(own, 503);
  await using _server = one.server;
  await using _other = other.server;
  const { client } = createClient();
  assert.equal(await client.ask(one.port, undefined), undefined, "a port that is not looked for");
  const all = await Promise.all([client.ask(one.port, "Services"), client.ask(other.port, "Services")]);
  assert.deepEqual(all, [200, 503], "asked at the same time");
  assert.equal(await client.ask(one.port, "Services"), 200);
  assert.equal(one.asked(), 3);
  assert.equal(await client.ask(other.port, "10256"), 503, "another kind");
});

test("an address that the node has no more is not asked", async () => {
  const { server, port, asked } = await listenOn(own);
  await using _server = server;
  const { client, clock, node } = createClient();
  assert.equal(await client.ask(port, "Services"), 200);
  const before = asked();
  node.addresses = ["127.0.0.3"];
  clock.advanceBy(60_000);
  assert.equal(await client.ask(port, "Services"), undefined);
  assert.equal(asked(), before);
});

test("where no address answers the next search is 10 s later, and finds what has begun meanwhile", async () => {
  const { server, port } = await listenOn(own);
  server.close();
  await once(server, "close");
  const { client, clock, node } = createClient();
  for (let turn = 0; turn < 10; turn++) {
    assert.equal(await client.ask(port, "Services"), undefined);
    clock.advanceBy(900);
  }
  assert.equal(node.looked, 1);
  server.listen(port, own);
  await once(server, "listening");
  await using _server = server;
  clock.advanceBy(1_000);
  assert.equal(await client.ask(port, "Services"), 200);
});

test("the loopback address goes first, and what it says counts", async () => {
  const { server, port } = await listenOn("127.0.0.1", 404);
  await using _server = server;
  const { client, node } = createClient();
  assert.equal(await client.ask(port, "Services"), 404);
  assert.equal(node.looked, 0);
});

test("addresses are those of both families, on interfaces that lead to no Pod, which need no zone", () => {
  const addresses = ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"];
  const texts = addressesOn([{ addresses }, { addresses: ["10.244.0.1/32"], leadsToPod: true }]);
  assert.deepEqual(texts, ["192.0.2.1", "2001:db8::1"]);
});

test("an address of a Service is none of the node's own, on whatever interface: a tenant may answer there", () => {
  const bench = new Bench(owner);
  bench.setInterfaces({ ...eth0, addresses: ["10.0.0.1/24", "192.0.2.1/32"] });
  bench.serve("tenant/web", ["192.0.2.1"]);
  assert.deepEqual(addressesOn(bench.view.ownInterfaces), ["10.0.0.1"]);
});

test("a port that sends its header or its body for ever is left after a second", async () => {
  const sockets = new Set<Socket>();
  await using server = createTcpServer((socket) => {
    sockets.add(socket);
    const bytes = sockets.size === 1 ? "x" : "HTTP/1.1 200 OK\r\n\r\n"; // The first has a header without an end.
    if (sockets.size === 1) socket.write("HTTP/1.1 200 OK\r\nlong: ");
    const drip = setInterval(() => socket.write(bytes), 100);
    socket
      .on("error", () => {})
      .on("close", () => {
        clearInterval(drip);
        sockets.delete(socket);
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { client } = createClient();
  assert.equal(await client.ask(port, undefined), undefined, "a header");
  assert.equal(await client.ask(port, undefined), 200, "a body");
  for (const end = performance.now() + 10_000; sockets.size > 0 && performance.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(sockets.size, 0);
});
