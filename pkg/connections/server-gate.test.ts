import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import type { Fields, Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import { ServerGate } from "./server-gate.ts";

const noIpv6 =
  !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1")) && "this machine has no IPv6";
const limit = { timeout: 60_000 };
const member = "127.0.0.2";
const stranger = "127.0.0.3";

/** A server of Node behind a gate, whose time only the test moves. */
class Bench implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly admitted: string[] = [];
  readonly warned: (readonly [message: string, fields: Fields | undefined])[] = [];
  readonly gate: ServerGate;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  constructor(known: readonly string[] = [member]) {
    const log: Log = { ...silentLog, warn: (message: string, fields?: Fields) => void this.warned.push([message, fields]) };
    this.gate = new ServerGate({
      clock: this.clock,
      log,
      op: "test",
      advice: "look",
      known: { has: (address) => known.includes(address), addresses: known },
    });
    this.#server = createServer((socket) => {
      const source = this.gate.admit(socket);
      if (source !== undefined) this.admitted.push(`${source}`);
      socket.on("error", () => {});
      socket.resume();
    });
  }

  async listen(host: string, added: Server = this.#server): Promise<void> {
    this.#server.listen({ host, port: 0 });
    await once(this.#server, "listening");
    this.gate.add(added);
  }

  /** Resolves when the kernel has taken it. */
  async connect(localAddress: string, host = "127.0.0.1"): Promise<Socket> {
    const socket = this.dial(localAddress, host);
    await once(socket, "connect");
    return socket;
  }

  dial(localAddress: string, host = "127.0.0.1"): Socket {
    const { port } = this.#server.address() as AddressInfo;
    const socket = connect({ host, port, localAddress });
    socket.on("error", () => {});
    this.#sockets.push(socket);
    return socket.resume();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await setImmediate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.gate[Symbol.dispose]();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

for (const host of ["127.0.0.1", "::"])
  test(`who resets its connections at once is counted, and refused by the kernel, at ${host}`, {
    ...limit,
    skip: host === "::" && noIpv6,
  }, async () => {
    await using bench = new Bench();
    await bench.listen(host);
    for (let count = 0; count < 101; count++) (await bench.connect(stranger)).resetAndDestroy();
    await bench.until(() => bench.warned.length > 0);
    const refused = bench.dial(stranger);
    await bench.connect(member);
    await bench.until(() => bench.admitted.includes(member));
    assert.equal(refused.connecting, true);
    assert.deepEqual(
      bench.admitted.filter((source) => source === stranger),
      new Array(100).fill(stranger),
    );
    assert.deepEqual(bench.warned, [
      ["connections of a host are refused for a second", { op: "test", from: stranger, advice: "look" }],
    ]);
    bench.clock.advanceBy(1_100);
    await bench.until(() => bench.admitted.filter((source) => source === stranger).length === 101);
  });

test("a host that is refused each second is logged once in ten minutes", limit, async () => {
  await using bench = new Bench();
  await bench.listen("127.0.0.1");
  for (let window = 0; window < 3; window++) {
    for (let count = 0; count < 101; count++) await bench.connect(stranger);
    await bench.until(() => bench.admitted.length === 100 * (window + 1));
    bench.clock.advanceBy(1_100);
  }
  assert.equal(bench.warned.length, 1);
});

test(
  "5,000 known addresses get in while all others are refused, and a host that is refused by name does not",
  limit,
  async () => {
    const known = Array.from({ length: 5_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    await using bench = new Bench([member, ...known]);
    await bench.listen("127.0.0.1");
    bench.gate.refuse({ sources: [stranger], allBut: [member, ...known] });
    const refused = bench.dial(stranger);
    await bench.connect(member);
    assert.equal(refused.connecting, true);
    assert.deepEqual(bench.warned, []);
  },
);

test(
  "where the kernel cannot refuse connections the log says so, and those that are too many are closed as they come",
  limit,
  async () => {
    await using bench = new Bench();
    await bench.listen("127.0.0.1", { _handle: { fd: 0x7fff_fff0 } } as unknown as Server); // The kernel has no such descriptor.
    for (let count = 0; count < 100; count++) await bench.connect(stranger);
    await once(await bench.connect(stranger), "close");
    await bench.connect(member);
    await bench.until(() => bench.admitted.includes(member));
    assert.deepEqual(
      bench.warned.map(([message, fields]) => [message, (fields?.error as Error | undefined)?.message]),
      [
        [
          "not all connections that should be are refused",
          "Cannot tell the family of a socket: getsockopt: EBADF, bad file descriptor",
        ],
        ["connections of a host are refused for a second", undefined],
      ],
    );
  },
);

test("a server that was closed is refused nothing any more", limit, async () => {
  const bench = new Bench();
  await bench.listen("127.0.0.1");
  await bench[Symbol.asyncDispose]();
  bench.gate.refuse({ sources: [stranger], allBut: undefined });
  assert.deepEqual(bench.warned, []);
  assert.deepEqual(bench.clock.pending(), []);
});
