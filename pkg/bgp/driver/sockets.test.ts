import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { constants, networkInterfaces } from "node:os";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { SystemClock } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import type { SessionSettings } from "#pkg/config";
import { SystemCallError, TcpSocket } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { RecordingLog } from "../testing/pair.ts";
import { settings } from "../testing/settings.ts";
import { BgpListener } from "./listener.ts";
import { sourceNow, tcpTransport } from "./tcp.ts";
import type { Connection, ConnectionEvents, Incoming, SocketEnd } from "./transport.ts";

const noIpv6 =
  !Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1")) && "this machine has no IPv6";

/** Why passwords cannot be tried here, false where they can. */
function md5Refusal(): string | false {
  using socket = TcpSocket.open("IPv4");
  try {
    socket.setMd5Key(address("127.0.0.1"), Uint8Array.of(1));
    return false;
  } catch (error) {
    return `this kernel has no TCP MD5 signatures: ${error}`;
  }
}
const noMd5 = md5Refusal();

/** The events of a connection, and when the next one comes. */
class Recorder implements ConnectionEvents {
  end: SocketEnd | undefined;
  text = "";
  because: string | undefined;
  #changed = Promise.withResolvers<void>();

  connected(end: SocketEnd): void {
    this.end = end;
    this.#change();
  }

  received(octets: Uint8Array): void {
    this.text += Buffer.from(octets).toString();
    this.#change();
  }

  closed(because: string): void {
    assert.equal(this.because, undefined, "reported once");
    this.because = because;
    this.#change();
  }

  async until(condition: (one: Recorder) => boolean): Promise<void> {
    while (!condition(this)) await this.#changed.promise;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function dial(fields: Partial<SessionSettings>): { connection: Connection; events: Recorder } {
  const events = new Recorder();
  return { events, connection: tcpTransport.dial(settings({ address: address("127.0.0.1"), ...fields }), events) };
}

/** How many connections from addresses of no peer were closed. */
function strangersIn({ lines }: RecordingLog): number {
  return lines.filter(({ message }) => message === "connection from an unknown address closed").length;
}

/** Accepts the connections of one address and records their events. */
async function listening(fields: Partial<SessionSettings> = {}) {
  const listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
  await listener.start();
  const peer = settings({ address: address("127.0.0.1"), ...fields });
  const { promise, resolve } = Promise.withResolvers<{ incoming: Incoming; connection: Connection; events: Recorder }>();
  const expecting = listener.expect(peer, (incoming) => {
    const events = new Recorder();
    resolve({ incoming, events, connection: incoming.open(events) });
  });
  return { listener, expecting, port: listener.port, accepted: promise };
}

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;
const ignore = (): void => {};

suite("connections of the system", { concurrency: false }, () => {
  for (const [text, skip] of [
    ["127.0.0.1", false],
    ["::1", noIpv6],
  ] as const)
    test(`a connection over ${text} carries octets both ways, is taken, and ends on both sides`, { skip }, async () => {
      const peer = { address: address(text), password: noMd5 === false ? "secret" : undefined, ttlSecurityHops: 1 };
      const { listener, port, accepted } = await listening(peer);
      using _ = listener;
      const near = dial({ ...peer, port });
      const far = await accepted;
      await near.events.until(({ end }) => end !== undefined);
      assert.equal(`${near.events.end?.address} ${near.events.end?.interface}`, `${text} lo`);
      assert.equal(`${far.incoming.end.address}`, text);
      const written = Promise.withResolvers<void>();
      near.connection.write(Buffer.from("over"), written.resolve);
      await written.promise;
      far.connection.write(Buffer.from("and out"), ignore);
      await far.events.until(({ text }) => text === "over");
      await near.events.until(({ text }) => text === "and out");
      near.connection.write(Buffer.from(", bye"), ignore);
      near.connection.end();
      for (const { events } of [near, far]) await events.until(({ because }) => because !== undefined);
      assert.deepEqual([far.events.text, far.events.because], ["over, bye", `the peer closed the connection (from ${text})`]);
    });

  test("a connection over IPv6 comes from the source address, and where no interface has that one, says so", {
    skip: noIpv6,
  }, async () => {
    const { listener, port, accepted } = await listening({ address: address("::1") });
    using _ = listener;
    const near = dial({ address: address("::1"), sourceAddress: address("::1"), port });
    const far = await accepted;
    await near.events.until(({ end }) => end !== undefined);
    assert.equal(`${near.events.end?.address}`, "::1");
    for (const { connection } of [near, far]) connection.destroy();
    const lost = dial({ address: address("::1"), sourceAddress: address("2001:db8::77"), port });
    await lost.events.until(({ because }) => because !== undefined);
    assert.equal(lost.events.because, "source-address 2001:db8::77 is on no interface of this node (EADDRNOTAVAIL)");
  });

  test("a source interface that is not there, or has no address to connect from, is named", () => {
    const of = (name: string) => sourceNow(name, address("192.0.2.1"), undefined);
    assert.deepEqual(of("nosuch0"), { missing: "this node has no interface nosuch0" });
    assert.deepEqual(of("constructor"), { missing: "this node has no interface constructor" });
    assert.deepEqual(sourceNow("lo", address("2001:db8::1"), undefined), {
      missing: "interface lo has no IPv6 address to connect from",
    });
  });

  test("RFC 2385: a connection with another password, or with none, is not answered", { skip: noMd5 }, async () => {
    const { listener, port } = await listening({ password: "secret" });
    using _ = listener;
    const good = dial({ port, password: "secret" });
    const others = [dial({ port, password: "Secret" }), dial({ port })];
    await good.events.until(({ end }) => end !== undefined);
    for (const { events, connection } of others) {
      assert.deepEqual([events.end, events.because], [undefined, undefined]);
      connection.destroy();
      await events.until(({ because }) => because !== undefined);
    }
    good.connection.destroy();
  });

  test("RFC 2385: connections without a password that wait when their peer is given one are closed, those of others are not", {
    skip: noMd5,
  }, async () => {
    const log = new RecordingLog();
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log });
    await listener.start();
    const other = Promise.withResolvers<Incoming>();
    listener.expect(settings({ address: address("127.0.0.2") }), other.resolve);
    const [unsigned, ofOther] = ["127.0.0.1", "127.0.0.2"].map((from) =>
      dial({ port: listener.port, sourceAddress: address(from) }),
    );
    await new Promise(process.nextTick); // The kernel has accepted them, and the listener has not yet looked.
    listener.expect(settings({ address: address("127.0.0.1"), password: "secret" }), () => assert.fail("it is not signed"));
    (await other.promise).open(new Recorder()).destroy();
    for (const one of [unsigned, ofOther]) await one?.events.until(({ because }) => because !== undefined);
    assert.equal(strangersIn(log), 1);
  });

  test("RFC 2385: a peer that is added while the port is opened has its password from the first connection on", {
    skip: noMd5,
  }, async () => {
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
    const started = listener.start();
    const { promise, resolve } = Promise.withResolvers<Incoming>();
    listener.expect(settings({ address: address("127.0.0.1"), password: "secret" }), resolve);
    await started;
    const [unsigned, signed] = [dial({ port: listener.port }), dial({ port: listener.port, password: "secret" })];
    (await promise).open(new Recorder());
    await signed.events.until(({ end }) => end !== undefined);
    assert.equal(unsigned.events.end, undefined);
    for (const { connection } of [unsigned, signed]) connection.destroy();
  });

  test("RFC 2385: a password is forgotten with its peer", { skip: noMd5 }, async () => {
    const { listener, port, expecting } = await listening({ password: "secret" });
    using _ = listener;
    expecting[Symbol.dispose]();
    expecting[Symbol.dispose]();
    const other = Promise.withResolvers<Incoming>();
    listener.expect(settings({ address: address("127.0.0.1") }), (incoming) => other.resolve(incoming));
    const near = dial({ port });
    (await other.promise).open(new Recorder()).destroy();
    await near.events.until(({ because }) => because !== undefined);
  });

  test("RFC 5082: what comes from too far away does not arrive", async () => {
    const { listener, port, accepted } = await listening({ ttlSecurityHops: 1 });
    using _ = listener;
    const near = dial({ port, ttl: 64 });
    const far = await accepted;
    await near.events.until(({ end }) => end !== undefined);
    near.connection.write(Buffer.from("from afar"), ignore);
    far.connection.write(Buffer.from("hello"), ignore);
    await near.events.until(({ text }) => text === "hello");
    assert.equal(far.events.text, "");
    near.connection.destroy();
    far.connection.destroy();
  });

  test("RFC 5082: an answer from too far away is none", async () => {
    const server: Server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const bound = server.address();
    assert.ok(bound !== null && typeof bound === "object");
    const near = dial({ port: bound.port, ttlSecurityHops: 1 }); // The server sends with TTL 64.
    const plain = dial({ port: bound.port });
    await plain.events.until(({ because }) => because !== undefined);
    assert.deepEqual([near.events.end, near.events.because], [undefined, undefined]);
    near.connection.destroy();
    await near.events.until(({ because }) => because !== undefined);
    server.close();
  });

  const failures: readonly [string, Partial<SessionSettings>, RegExp][] = [
    [
      "a port that nobody listens on",
      { port: 1 },
      /^connection refused: nothing accepts connections from this node on 127\.0\.0\.1 port 1 \(from 127\.0\.0\.1\)$/,
    ],
    [
      "a source address that the machine lacks",
      { sourceAddress: address("192.0.2.1") },
      /^source-address 192\.0\.2\.1 is on no interface/,
    ],
    [
      "a source address of the other family",
      { sourceAddress: address("::1") },
      /^source-address ::1 is IPv6, and the peer's address 127\.0\.0\.1 is not$/,
    ],
    ["a password that is too long", { password: "x".repeat(81) }, /81 bytes, wanted 1 to 80/],
    ["an interface that is not there", { address: address("fe80::1"), interface: "nonesuch" }, /no interface nonesuch/],
  ];
  for (const [name, fields, words] of failures)
    test(`in words: ${name}`, { skip: fields.address?.family === "IPv6" && noIpv6 }, async () => {
      const { events } = dial(fields);
      assert.equal(events.because, undefined, "nothing is reported before the caller has the connection");
      await events.until(({ because }) => because !== undefined);
      assert.match(events.because ?? "", words);
    });

  test("a connection is begun from the source address", async () => {
    const { listener, port, accepted } = await listening({ address: address("127.0.0.9") });
    using _ = listener;
    const near = dial({ port, sourceAddress: address("127.0.0.9") });
    await near.events.until(({ end }) => end !== undefined);
    assert.equal(`${near.events.end?.address}`, "127.0.0.9");
    (await accepted).connection.destroy();
    await near.events.until(({ because }) => because !== undefined);
  });

  test("a stranger's connection is closed", async () => {
    const log = new RecordingLog();
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log });
    await listener.start();
    listener.expect(settings({ address: address("127.0.0.2") }), () => assert.fail("taken"));
    const { events } = dial({ port: listener.port });
    await events.until(({ because }) => because !== undefined);
    assert.deepEqual(
      log.lines.map(({ level, fields }) => [level, fields.from]),
      [["debug", "127.0.0.1"]],
    );
  });

  for (const [claim, strangers] of [
    [
      "while one stranger floods the port with connections a peer gets in, and the kernel drops those that follow",
      Array.from({ length: 101 }, () => "127.0.0.3"),
    ],
    [
      "while 200 strangers flood it a peer gets in, too",
      Array.from({ length: 201 }, (_, index) => `127.1.${index >> 8}.${index & 255}`),
    ],
  ] as const)
    test(claim, async () => {
      const clock = new SimulatedClock();
      const log = new RecordingLog();
      using listener = new BgpListener({ port: 0, clock, log });
      await listener.start();
      const peer = address("127.0.0.2");
      const { promise: accepted, resolve } = Promise.withResolvers<Incoming>();
      listener.expect(settings({ address: peer }), resolve);
      const from = (source: string) => dial({ port: listener.port, sourceAddress: address(source) });
      for (const source of strangers) {
        const { events } = from(source);
        await events.until(({ because }) => because !== undefined);
      }
      // The last one was closed without a look.
      assert.equal(strangersIn(log), strangers.length - 1);
      const refused = from(strangers.at(-1) ?? "");
      const near = from("127.0.0.2");
      (await accepted).open(new Recorder()).destroy();
      await near.events.until(({ because }) => because !== undefined);
      assert.deepEqual([refused.events.end, refused.events.because], [undefined, undefined]);
      clock.advanceBy(1_100);
      await refused.events.until(({ because }) => because !== undefined); // TCP tries again after a second.
      assert.equal(strangersIn(log), strangers.length);
    });

  test("a port that is taken is refused", async () => {
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
    await listener.start();
    const second = new BgpListener({ port: listener.port, clock: new SystemClock(), log: silentLog });
    await assert.rejects(second.start(), { message: `Cannot listen for BGP on port ${listener.port}` });
  });

  test("of two sessions with one router each gets the connections to its own address, and keeps its password without the other", async () => {
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
    await listener.start();
    const password = noMd5 === false ? "secret" : undefined;
    const taken: string[] = [];
    const expect = (own: string) =>
      listener.expect(settings({ address: address("127.0.0.1"), sourceAddress: address(own), password }), (incoming) => {
        taken.push(`${own}: ${incoming.end.address}`);
        incoming.open(new Recorder()).destroy();
      });
    const connect = async (own: string) => {
      const { events } = dial({ address: address(own), sourceAddress: address("127.0.0.1"), port: listener.port, password });
      await events.until(({ because }) => because !== undefined);
    };
    const first = expect("127.0.0.2");
    using _ = expect("127.0.0.3");
    for (const own of ["127.0.0.3", "127.0.0.2", "127.0.0.4"]) await connect(own);
    assert.deepEqual(taken, ["127.0.0.3: 127.0.0.3", "127.0.0.2: 127.0.0.2", "127.0.0.2: 127.0.0.4"]);
    first[Symbol.dispose]();
    await connect("127.0.0.3");
    assert.equal(taken.at(-1), "127.0.0.3: 127.0.0.3");
  });

  test("of peers of one address, with other ports, the first gets the connections, and when it goes the next", async () => {
    const log = new RecordingLog();
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log });
    await listener.start();
    const taken: number[] = [];
    const passwords = [undefined, ...(noMd5 === false ? ["secret", "other"] : [undefined])];
    const expecting = passwords.map((password, index) =>
      listener.expect(settings({ address: address("127.0.0.1"), port: 179 + index, password }), (incoming) => {
        taken.push(179 + index);
        incoming.open(new Recorder()).destroy();
      }),
    );
    for (const [index, password] of passwords.entries()) {
      const { events } = dial({ address: address("127.0.0.1"), port: listener.port, password });
      await events.until(({ because }) => because !== undefined);
      expecting[index]?.[Symbol.dispose]();
      expecting[index]?.[Symbol.dispose]();
    }
    assert.deepEqual(taken, [179, 180, 181]);
    assert.deepEqual(
      log.lines.filter(({ level }) => level === "warn").map(({ fields }) => fields.peer),
      ["127.0.0.1:180", "127.0.0.1:181"],
    );
  });

  test("a peer with other settings keeps its place among peers of one address, with its password", async () => {
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
    await listener.start();
    const taken: string[] = [];
    const [former, next, others] = noMd5 === false ? ["former", "next", "others"] : [];
    const expect = (name: string, port: number, password: string | undefined, replaced?: Disposable) => {
      const accept = (incoming: Incoming) => {
        taken.push(name);
        incoming.open(new Recorder()).destroy();
      };
      return listener.expect(settings({ address: address("127.0.0.1"), port, password }), accept, replaced);
    };
    const connect = async (password: string | undefined) => {
      const { events } = dial({ address: address("127.0.0.1"), port: listener.port, password });
      await events.until(({ because }) => because !== undefined);
    };
    const second = [expect("first", 179, former), expect("second", 180, others)];
    const first = expect("first, changed", 179, next, second[0]);
    await connect(next);
    const open = expect("first, open", 179, undefined, first);
    await connect(undefined);
    open[Symbol.dispose]();
    await connect(others);
    assert.deepEqual(taken, ["first, changed", "first, open", "second"]);
  });

  test("a peer that waits for something else meanwhile has its place among peers of one address again", async () => {
    const log = new RecordingLog();
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log });
    await listener.start();
    const taken: number[] = [];
    const expect = (port: number, former?: Disposable) => {
      const accept = (incoming: Incoming) => {
        taken.push(port);
        incoming.open(new Recorder()).destroy();
      };
      return listener.expect(settings({ address: address("127.0.0.1"), port }), accept, former);
    };
    const connect = async () => {
      const { events } = dial({ address: address("127.0.0.1"), port: listener.port });
      await events.until(({ because }) => because !== undefined);
    };
    const first = expect(179);
    expect(180);
    first[Symbol.dispose]();
    await connect();
    expect(179, first);
    await connect();
    assert.deepEqual(taken, [180, 179]);
    assert.equal(log.lines.filter(({ level }) => level === "warn").length, 1);
  });

  test("RFC 2385: connections that wait are given to no other peer of the address, nor to the next one, which has a password", {
    skip: noMd5,
  }, async () => {
    for (const isReplaced of [true, false]) {
      using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
      await listener.start();
      const expect = (port: number, password: string | undefined, former?: Disposable) =>
        listener.expect(
          settings({ address: address("127.0.0.1"), port, password }),
          () => assert.fail("it is not signed"),
          former,
        );
      const first = expect(179, undefined);
      expect(180, "second");
      const unsigned = dial({ port: listener.port });
      await new Promise(process.nextTick);
      if (isReplaced) expect(179, "first", first);
      else first[Symbol.dispose]();
      await unsigned.events.until(({ because }) => because !== undefined);
    }
  });

  test("RFC 2385: a peer gets its connections also where those that wait could not be looked at, once they are", {
    skip: noMd5,
  }, async (t) => {
    using listener = new BgpListener({ port: 0, clock: new SystemClock(), log: silentLog });
    await listener.start();
    const unsigned = dial({ port: listener.port });
    await new Promise(process.nextTick);
    const none = t.mock.method(TcpSocket.prototype, "accept", () => {
      throw new SystemCallError("accept4", constants.errno.EMFILE, "accept a connection");
    });
    const taken = Promise.withResolvers<Incoming>();
    listener.expect(settings({ address: address("127.0.0.1"), password: "secret" }), taken.resolve);
    await unsigned.events.until(({ because }) => because !== undefined);
    none.mock.restore();
    const signed = () => dial({ port: listener.port, password: "secret" });
    await signed().events.until(({ because }) => because !== undefined);
    const good = signed();
    (await taken.promise).open(new Recorder()).destroy();
    await good.events.until(({ because }) => because !== undefined);
  });

  test("nothing is left of connections that failed or ended", async () => {
    const before = openDescriptors();
    for (let i = 0; i < 20; i++)
      for (const [, fields] of failures) {
        const { events } = dial(fields);
        await events.until(({ because }) => because !== undefined);
      }
    assert.equal(openDescriptors(), before);
  });
});

// A namespace of its own, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

test("an interface is known by its second name, too", {
  skip: !available && "needs unshare, ip and user namespaces",
}, async () => {
  const file = new URL("../testing/altname-scenario.ts", import.meta.url).pathname;
  const options = { timeout: 60_000, killSignal: "SIGKILL" } as const;
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], options);
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});
