import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { after, before, test } from "node:test";
import { PolledEventLoop } from "#pkg/threads";
import { openSockets } from "./sockets.ts";
import type { SocketAddress, Transport, TransportEvents } from "./transport.ts";

const deaf: TransportEvents = {
  packet() {},
  connection: () => true,
  stream: (stream) => stream.destroy(),
  problem: (error) => assert.fail(error),
};
const noIpv6 =
  !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1")) && "this machine has no IPv6";
const loop = new PolledEventLoop(10);
before(() => loop.start());
after(() => loop[Symbol.dispose]());
const open = openSockets(loop);
const loopback = { address: "127.0.0.1", port: 0 };

/** A transport, and the first datagram to reach it. */
async function listening(
  bind: SocketAddress,
): Promise<{ transport: Transport; first: Promise<{ text: string; from: SocketAddress }> }> {
  const { promise: first, resolve } = Promise.withResolvers<{ text: string; from: SocketAddress }>();
  const transport = await open(bind, {
    ...deaf,
    packet: (octets, from) => resolve({ text: Buffer.from(octets).toString(), from }),
  });
  return { transport, first };
}

function send(transport: Transport, to: SocketAddress): Error | undefined {
  return transport.send(Buffer.from("hello"), to);
}

for (const address of ["127.0.0.1", "::1"])
  test(`a datagram from ${address} comes from the port that is listened on`, { skip: address === "::1" && noIpv6 }, async () => {
    const receiver = await listening({ address, port: 0 });
    await using _receiving = receiver.transport;
    await using sender = await open({ address, port: 0 }, deaf);
    assert.equal(send(sender, receiver.transport.local), undefined);
    assert.deepEqual(await receiver.first, { text: "hello", from: sender.local });
  });

for (const address of ["127.0.0.1", "::1"])
  test(`a filter lets through what is of a source or has a nonce, and counts the rest, at ${address}`, {
    skip: address === "::1" && noIpv6,
  }, async () => {
    const texts: string[] = [];
    const events = { ...deaf, packet: (octets: Uint8Array) => texts.push(Buffer.from(octets).toString()) };
    await using receiver = await open({ address, port: 0 }, events);
    await using sender = await open({ address, port: 0 }, deaf);
    const to = { address, port: receiver.local.port };
    const sendAll = async () => {
      for (const text of ["?none", "?good", "?goodbye"]) assert.equal(sender.send(Buffer.from(text), to), undefined);
      await new Promise((resolve) => loop.schedule("arrived", loop.now() + 1, () => resolve(undefined)));
      return texts.splice(0);
    };
    const nobody = { nonceAt: 1, words: [], sources: [], oneIn: 2 ** 32 };
    const before = receiver.dropped();
    receiver.filter(nobody);
    assert.deepEqual(await sendAll(), []);
    assert.equal(receiver.dropped() - before, 3);
    receiver.filter({ ...nobody, words: [Buffer.from("good").readUInt32BE()] });
    assert.deepEqual(await sendAll(), ["?good", "?goodbye"]);
    receiver.filter({ ...nobody, sources: [address] });
    assert.equal((await sendAll()).length, 3);
    receiver.filter(nobody);
    receiver.filter(undefined);
    assert.equal((await sendAll()).length, 3);
  });

for (const { here, refused, other } of [
  { here: "127.0.0.1", refused: "127.0.0.2", other: "127.0.0.3" },
  { here: "::1", refused: "::1", other: "127.0.0.3" },
])
  test(`connections of a source that is refused at ${here} come when it is no longer, and those of others meanwhile`, {
    skip: here === "::1" && noIpv6,
  }, async () => {
    const { promise: arrived, resolve } = Promise.withResolvers<void>();
    const streams: string[] = [];
    const events: TransportEvents = {
      ...deaf,
      stream(stream, { address }) {
        streams.push(address);
        stream.destroy();
        if (streams.length === 3) resolve();
      },
    };
    await using transport = await open({ address: here === "::1" ? "::" : "0.0.0.0", port: 0 }, events);
    const { port } = transport.local;
    const dial = (source: string, host = source === "::1" ? source : "127.0.0.1") =>
      connect({ host, port, localAddress: source }).resume();
    const taken = dial(refused);
    await once(taken, "close");
    transport.refuse({ sources: [refused], allBut: undefined });
    const waiting = dial(refused);
    await once(dial(other), "close");
    transport.refuse({ sources: [], allBut: [refused] });
    const strange = dial(other);
    await once(waiting, "close");
    assert.deepEqual(streams, [refused, other, refused]);
    await arrived;
    strange.destroy();
  });

for (const [here, network] of [
  ["127.0.0.1", (index: number) => `10.${index >> 8}.${index & 255}.1`],
  ["::1", (index: number) => `2001:db8:0:${index.toString(16)}::1`],
] as const)
  test(`while strangers are refused at ${here} each of 1,000 members in a network of its own may connect`, {
    skip: here === "::1" && noIpv6,
  }, async () => {
    const { promise: arrived, resolve } = Promise.withResolvers<string>();
    const problem = (error: Error) => assert.fail(error);
    const stream: TransportEvents["stream"] = (stream, { address }) => {
      stream.destroy();
      resolve(address);
    };
    const events: TransportEvents = { ...deaf, problem, stream };
    await using transport = await open({ address: here, port: 0 }, events);
    const members = Array.from({ length: 1000 }, (_, index) => network(index));
    transport.refuse({ sources: [], allBut: members });
    const stranger = connect({ host: here, port: transport.local.port });
    await new Promise((resolve) => loop.schedule("dropped", loop.now() + 20, () => resolve(undefined)));
    assert.equal(stranger.connecting, true);
    stranger.destroy();
    transport.refuse({ sources: members.slice(0, 256), allBut: [...members, here] });
    connect({ host: here, port: transport.local.port }).resume();
    assert.equal(await arrived, here);
  });

test("a connection that was reset before it is accepted has a source, and whoever may not connect is hung up on", async () => {
  const sources: string[] = [];
  const events = { ...deaf, connection: ({ address }: SocketAddress) => sources.push(address) > 2, stream: () => assert.fail() };
  await using transport = await open(loopback, events);
  const { address: host, port } = transport.local;
  const reset = connect({ host, port, localAddress: "127.0.0.2" });
  reset.on("connect", () => reset.resetAndDestroy());
  await once(reset, "close");
  await once(connect({ host, port, localAddress: "127.0.0.3" }).resume(), "close");
  assert.deepEqual(sources, ["127.0.0.2", "127.0.0.3"]);
});

test("what cannot be sent is an error of that datagram alone", async () => {
  await using transport = await open(loopback, deaf);
  assert.match(String(send(transport, { address: "::1", port: 9 })), /of the other family/);
  assert.match(String(send(transport, { address: "127.0.0.1", port: 0 })), /port 0/);
  assert.match(String(transport.send(new Uint8Array(70_000), transport.local)), /EMSGSIZE/);
  assert.equal(send(transport, transport.local), undefined);
});

test("a taken port is an error that names address, port and protocol", async () => {
  await using taken = await open(loopback, deaf);
  await assert.rejects(open(taken.local, deaf), {
    message: `Cannot listen for memberlist on 127.0.0.1 port ${taken.local.port} (TCP)`,
  });
});

test("an address that this machine lacks is an error that names it", async () => {
  await assert.rejects(open({ address: "192.0.2.1", port: 0 }, deaf), /192\.0\.2\.1 port 0 \(TCP\)/);
});

test("closing ends the streams that are open and refuses to send, and may be repeated", async () => {
  const accepted = Promise.withResolvers<void>();
  const transport = await open(loopback, { ...deaf, stream: () => accepted.resolve() });
  const dialled = transport.dial(transport.local);
  await Promise.all([accepted.promise, once(dialled, "connect")]);
  await transport[Symbol.asyncDispose]();
  await transport[Symbol.asyncDispose]();
  assert.equal(dialled.destroyed, true);
  assert.match(String(send(transport, transport.local)), /is closed/);
});
