import assert from "node:assert/strict";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { openSockets } from "./sockets.ts";
import type { SocketAddress, Transport, TransportEvents } from "./transport.ts";

const deaf: TransportEvents = { packet() {}, stream: (stream) => stream.destroy(), problem: (error) => assert.fail(error) };
const noIpv6 =
  !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1")) && "this machine has no IPv6";
const loopback = { address: "127.0.0.1", port: 0 };

/** A transport, and the first datagram to reach it. */
async function listening(
  bind: SocketAddress,
): Promise<{ transport: Transport; first: Promise<{ text: string; from: SocketAddress }> }> {
  const { promise: first, resolve } = Promise.withResolvers<{ text: string; from: SocketAddress }>();
  const transport = await openSockets(bind, {
    ...deaf,
    packet: (octets, from) => resolve({ text: Buffer.from(octets).toString(), from }),
  });
  return { transport, first };
}

function send(transport: Transport, to: SocketAddress): Promise<Error | null> {
  return new Promise((resolve) => transport.send(Buffer.from("hello"), to, resolve));
}

for (const address of ["127.0.0.1", "::1"])
  test(`a datagram from ${address} comes from the port that is listened on`, { skip: address === "::1" && noIpv6 }, async () => {
    const receiver = await listening({ address, port: 0 });
    await using _receiving = receiver.transport;
    await using sender = await openSockets({ address, port: 0 }, deaf);
    assert.equal(await send(sender, receiver.transport.local), null);
    assert.deepEqual(await receiver.first, { text: "hello", from: sender.local });
  });

test("a member bound to all of IPv6 and one bound to IPv4 know each other by their IPv4 addresses", {
  skip: noIpv6,
}, async () => {
  const four = await listening(loopback);
  await using _four = four.transport;
  const six = await listening({ address: "::", port: 0 });
  await using _six = six.transport;
  assert.equal(await send(six.transport, four.transport.local), null);
  assert.deepEqual((await four.first).from, { address: "127.0.0.1", port: six.transport.local.port });
  assert.equal(await send(four.transport, { address: "127.0.0.1", port: six.transport.local.port }), null);
  assert.deepEqual((await six.first).from, four.transport.local);
});

test("what cannot be sent is an error of that datagram alone", async () => {
  await using transport = await openSockets(loopback, deaf);
  assert.match(String(await send(transport, { address: "::1", port: 9 })), /of the other family/);
  assert.match(String(await send(transport, { address: "127.0.0.1", port: 0 })), /port 0/);
  const tooLarge = new Promise((resolve) => transport.send(new Uint8Array(70_000), transport.local, resolve));
  assert.match(String(await tooLarge), /EMSGSIZE/);
  assert.equal(await send(transport, transport.local), null);
});

test("a taken port is an error that names address, port and protocol", async () => {
  await using taken = await openSockets(loopback, deaf);
  await assert.rejects(openSockets(taken.local, deaf), {
    message: `Cannot listen for memberlist on 127.0.0.1 port ${taken.local.port} (TCP)`,
  });
});

test("an address that this machine lacks is an error that names it", async () => {
  await assert.rejects(openSockets({ address: "192.0.2.1", port: 0 }, deaf), /192\.0\.2\.1 port 0 \(TCP\)/);
});

test("closing ends the streams that are open and refuses to send, and may be repeated", async () => {
  const accepted = Promise.withResolvers<void>();
  const transport = await openSockets(loopback, { ...deaf, stream: () => accepted.resolve() });
  const dialled = transport.dial(transport.local);
  await Promise.all([accepted.promise, once(dialled, "connect")]);
  await transport[Symbol.asyncDispose]();
  await transport[Symbol.asyncDispose]();
  assert.equal(dialled.destroyed, true);
  assert.match(String(await send(transport, transport.local)), /is closed/);
});
