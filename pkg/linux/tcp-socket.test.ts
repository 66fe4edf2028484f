import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { type Family, families } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type RefusedConnections, refusalKeys, refusalProgram, sourcePortProgram } from "./codec/filter.ts";
import { libc, SystemCallError } from "./libc.ts";
import { TcpSocket } from "./tcp-socket.ts";

const unsupported = new Map<Family, string>(); // family -> why it cannot be tried
for (const family of families)
  try {
    TcpSocket.open(family)[Symbol.dispose]();
  } catch (error) {
    unsupported.set(family, `${error}`);
  }

function option(fd: number, level: number, name: number): number | undefined {
  const value = new Int32Array(1);
  return libc.getsockopt(fd, level, name, value, Uint32Array.of(4)) === 0 ? value[0] : undefined;
}

const numbers = { IPv4: { level: 0, options: [2, 21, 1] }, IPv6: { level: 41, options: [16, 73, 67] } } as const;

for (const family of families)
  test(`hop limit, least hop limit and traffic class of ${family} are set`, { skip: unsupported.get(family) }, () => {
    using socket = TcpSocket.open(family);
    socket.setHopLimit(255);
    socket.setMinimumHopLimit(254);
    socket.setTrafficClass(0xc0);
    const { level, options } = numbers[family];
    assert.deepEqual(
      options.map((name) => option(socket.fd, level, name)),
      [255, 254, 0xc0],
    );
  });

test("a failed call says what was attempted, and has the code of the system", () => {
  using socket = TcpSocket.open("IPv4");
  assert.throws(
    () => socket.bind(address("192.0.2.1"), 0),
    (error) =>
      error instanceof SystemCallError && error.code === "EADDRNOTAVAIL" && /bind to 192\.0\.2\.1 port 0/.test(error.message),
  );
});

const loopback = { IPv4: "127.0.0.1", IPv6: "::1" } as const;

/** A listener at any port of the loopback address. */
function listener(family: Family): TcpSocket {
  const socket = TcpSocket.open(family);
  socket.bind(address(loopback[family]), 0);
  socket.listen(8);
  return socket;
}

for (const family of families)
  test(`a connection of ${family} is accepted with its source, also when it was reset before`, {
    skip: unsupported.get(family),
  }, async () => {
    using listening = listener(family);
    assert.equal(listening.accept(), undefined);
    for (const isReset of [false, true]) {
      const peer = connect({ host: loopback[family], port: listening.port });
      await once(peer, "connect");
      const { localPort } = peer;
      if (isReset) await once(peer.resetAndDestroy(), "close");
      const accepted = listening.accept();
      using _socket = accepted?.socket;
      assert.deepEqual([accepted?.source, accepted?.sourcePort], [address(loopback[family]).toBytes(), localPort]);
      peer.destroy();
    }
    assert.equal(listening.accept(), undefined);
  });

for (const family of families)
  test(`connections of ${family} that a program chooses for a second listener do not arrive`, {
    skip: unsupported.get(family),
  }, async () => {
    using listening = listener(family);
    using _second = listening.listenTwice(0, sourcePortProgram(0));
    const here = address(loopback[family]).toBytes();
    const others = Array.from({ length: 600 }, (_, i) => {
      const bytes = here.slice();
      bytes[family === "IPv4" ? 2 : 8 + (i % 4)] = 1 + (i >> 8);
      bytes[bytes.length - 1] = i & 255;
      return bytes;
    });
    const some = others.slice(0, 256); // With more sources there is less room for members, and some strangers are taken by chance.
    const isTaken = (refused: RefusedConnections) => isTakenUnder(listening, family, refused);
    assert.equal(await isTaken({ sources: [...others, here] }), false);
    assert.equal(await isTaken({ sources: [here, ...others] }), false);
    assert.equal(await isTaken({ sources: others }), true);
    assert.equal(await isTaken({ sources: some, allBut: [...others, here] }), true);
    assert.equal(await isTaken({ sources: some, allBut: others }), false);
    assert.equal(await isTaken({ sources: [here], allBut: [here] }), false);
    assert.equal(await isTaken({ sources: [], allBut: [] }), false);
  });

test("when the program chooses nothing any more all connections arrive", async () => {
  using listening = listener("IPv4");
  using _second = listening.listenTwice(0, sourcePortProgram(0));
  assert.equal(await isTakenUnder(listening, "IPv4", { sources: [], allBut: [] }), false);
  assert.equal(await isTakenUnder(listening, "IPv4", { sources: [] }), true);
});

for (const family of families)
  test(`a connection of ${family} from one port alone goes to the second listener`, {
    skip: unsupported.get(family),
  }, async () => {
    using listening = listener(family);
    using chosen = TcpSocket.open(family);
    chosen.bind(address(loopback[family]), 0);
    using second = listening.listenTwice(1, sourcePortProgram(chosen.port));
    using other = TcpSocket.open(family);
    other.connectTo(listening);
    chosen.connectTo(listening);
    const arrived = [listening, second].map((one) => one.accept());
    assert.deepEqual(
      arrived.map((one) => one?.sourcePort),
      [other.port, chosen.port],
    );
    assert.deepEqual([listening.accept(), second.accept()], [undefined, undefined]);
    for (const one of arrived) one?.socket[Symbol.dispose]();
  });

const keys = crypto.getRandomValues(new Uint32Array(refusalKeys));
const optionMemory = 20_480; // Octets that each kernel allows.

/** Whether a connection arrives under a program. */
async function isTakenUnder(listening: TcpSocket, family: Family, refused: RefusedConnections): Promise<boolean> {
  listening.choose(refusalProgram(refused, keys, optionMemory));
  // On the loopback interface what opens a connection is where it belongs, or dropped, once it is sent.
  const peer = connect({ host: loopback[family], port: listening.port });
  peer.on("error", () => {});
  const written = new Promise((resolve) => peer.write("a", resolve)); // As soon as it is connected.
  await new Promise(setImmediate);
  const accepted = listening.accept();
  using _socket = accepted?.socket;
  if (accepted !== undefined) await written;
  peer.destroy();
  return accepted !== undefined;
}

for (const family of families)
  test(`a program for 700 members of ${family} in as many networks, and 256 sources, lets in the members alone`, {
    skip: unsupported.get(family),
  }, async () => {
    using listening = listener(family);
    using _second = listening.listenTwice(0, sourcePortProgram(0));
    const here = address(loopback[family]).toBytes();
    const networks = (count: number, first: number) =>
      Array.from({ length: count }, (_, i) => {
        const bytes = here.slice();
        bytes.set([first, i >> 8, i & 255], family === "IPv4" ? 0 : 5);
        return bytes;
      });
    const [members, sources] = [networks(700, 10), networks(256, 11)];
    assert.equal(await isTakenUnder(listening, family, { sources, allBut: [...members, here] }), true);
    assert.equal(await isTakenUnder(listening, family, { sources, allBut: members }), false);
    assert.equal(await isTakenUnder(listening, family, { sources: [...sources, here], allBut: [...members, here] }), false);
  });

test("a port is listened at twice also while connections of a former listener are open or fade away", async () => {
  const peers: Socket[] = [];
  using stack = new DisposableStack();
  let port = 0;
  for (let life = 0; life < 3; life++) {
    using listening = TcpSocket.open("IPv4");
    listening.reuseAddress();
    listening.bind(address(loopback.IPv4), port);
    listening.listen(8);
    port = listening.port;
    using _second = listening.listenTwice(0, sourcePortProgram(0));
    listening.choose(refusalProgram({ sources: [] }, keys, optionMemory));
    for (const isClosed of [true, false]) {
      const peer = connect({ host: loopback.IPv4, port }).on("error", () => {});
      peers.push(peer);
      await once(peer, "connect");
      const socket = listening.accept()?.socket ?? assert.fail();
      if (isClosed) socket[Symbol.dispose]();
      else stack.use(socket);
    }
  }
  for (const peer of peers) peer.destroy();
});

test("the kernel tells who is at the other end of a connection", async () => {
  using listening = listener("IPv4");
  const peer = connect({ host: loopback.IPv4, port: listening.port });
  await once(peer, "connect");
  const accepted = listening.accept();
  using _socket = accepted?.socket;
  const { source, sourcePort } = accepted?.socket.peer ?? {};
  assert.deepEqual([source, sourcePort], [address(loopback.IPv4).toBytes(), peer.localPort]);
  peer.destroy();
});

test("an MD5 key is of 1 to 80 bytes", () => {
  using socket = TcpSocket.open("IPv4");
  for (const length of [0, 81])
    assert.throws(() => socket.setMd5Key(address("192.0.2.1"), new Uint8Array(length)), {
      message: `Cannot set an MD5 key: it has ${length} bytes, wanted 1 to 80`,
    });
});

test("a socket is closed when it is disposed, unless it was released or belongs to somebody else", () => {
  const isOpen = (fd: number, inode: string) =>
    existsSync(`/proc/self/fd/${fd}`) && readlinkSync(`/proc/self/fd/${fd}`) === inode;
  const socket = TcpSocket.open("IPv4");
  const inode = readlinkSync(`/proc/self/fd/${socket.fd}`);
  TcpSocket.of(socket.fd)[Symbol.dispose]();
  assert.ok(isOpen(socket.fd, inode));
  const fd = socket.release();
  socket[Symbol.dispose]();
  assert.ok(isOpen(fd, inode));
  libc.close(fd);
  const other = TcpSocket.open("IPv4");
  const otherInode = readlinkSync(`/proc/self/fd/${other.fd}`);
  other[Symbol.dispose]();
  other[Symbol.dispose]();
  assert.ok(!isOpen(other.fd, otherInode));
});
