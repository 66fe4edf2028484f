import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { test } from "node:test";
import type { Clock } from "#pkg/clock";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import type { Fields, Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import { Keyring, Nonces } from "./codec/keyring.ts";
import type { PacketMessage } from "./codec/messages.ts";
import { decodePacket, encodePacket } from "./codec/packet.ts";
import { encodeStream } from "./codec/stream.ts";
import { Memberlist, type MemberlistEvent, type MemberlistOptions } from "./memberlist.ts";
import { alive, pushPull, state } from "./testing/lone-ring.ts";
import { FakeNetwork } from "./testing/network.ts";
import type { SocketAddress } from "./transport.ts";

const encrypted = (key: number) => new Keyring([new Uint8Array(16).fill(key)]);

interface Line extends Fields {
  readonly level: string;
  readonly message: string;
}

/** Members on one network in memory, 192.0.2.1 and up, named a, b, c. */
class Harness extends AsyncDisposableStack {
  readonly clock = new SimulatedClock();
  readonly network: FakeNetwork;
  readonly lines: Line[] = [];
  #last = 0;

  constructor(Network = FakeNetwork) {
    super();
    this.network = new Network(this.clock);
  }

  make(options: Partial<MemberlistOptions> = {}): Memberlist {
    const number = ++this.#last;
    return this.use(
      new Memberlist({
        name: String.fromCharCode(96 + number),
        bind: { address: `192.0.2.${number}`, port: 7946 },
        keyring: encrypted(1),
        timing: "lan",
        clock: this.clock,
        random: seededRandom(number),
        log: this.#log({}),
        openTransport: this.network.open,
        ...options,
      }),
    );
  }

  async started(options: Partial<MemberlistOptions> = {}): Promise<Memberlist> {
    const member = this.make(options);
    await member.start();
    return member;
  }

  /** Lets time pass, and between its steps what streams do at once. */
  async pass(milliseconds: number): Promise<void> {
    const until = this.clock.now() + milliseconds;
    while (this.clock.now() < until) {
      this.clock.advanceTo(Math.min(until, this.clock.now() + 50));
      await new Promise(setImmediate);
    }
  }

  logged(message: string): Line[] {
    return this.lines.filter((line) => line.message === message);
  }

  #log(own: Fields): Log {
    const write = (level: string) => (message: string, fields?: Fields) =>
      void this.lines.push({ level, message, ...own, ...fields });
    return {
      ...silentLog,
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
      with: (fields) => this.#log({ ...own, ...fields }),
    };
  }
}

function names(member: Memberlist): string[] {
  return member
    .members()
    .map(({ name }) => name)
    .sort();
}

for (const { what, options, message } of [
  { what: "an address that is none", options: { bind: { address: "node-1", port: 7946 } }, message: /not an IP address: node-1/ },
  { what: "all of IPv4", options: { bind: { address: "0.0.0.0", port: 7946 } }, message: /0\.0\.0\.0/ },
  { what: "all of IPv6", options: { bind: { address: "::", port: 7946 } }, message: /others reach it/ },
])
  test(`a member cannot be made with ${what}`, async () => {
    await using harness = new Harness();
    assert.throws(() => harness.make(options), { name: "RangeError", message });
  });

test("a member that cannot bind does not start, and says where", async () => {
  await using harness = new Harness();
  await harness.started();
  const second = harness.make({ bind: { address: "192.0.2.1", port: 7946 } });
  await assert.rejects(second.start(), /192\.0\.2\.1 port 7946/);
});

test("a view of 4,000 members is taken in within a second of the processor, so that a node that joins answers probes meanwhile", async () => {
  await using harness = new Harness();
  const member = await harness.started();
  const states = Array.from({ length: 4_000 }, (_, i) =>
    state(`node-${i}`, 1, { endpoint: { address: Uint8Array.of(10, 0, i >> 8, i & 255), port: 7946 } }),
  );
  const view = encodeStream(pushPull(states), encrypted(1), new Uint8Array(12));
  await harness.network.open(
    { address: "192.0.2.9", port: 7946 },
    { packet() {}, problem() {}, connection: () => true, stream: (stream) => stream.resume().end(view) },
  );
  const before = process.threadCpuUsage();
  assert.equal((await member.join(["192.0.2.9"])).joined, 1);
  const { user, system } = process.threadCpuUsage(before);
  assert.equal(member.members().length, 4_001);
  assert.ok(user + system < 1_000_000, `${(user + system) / 1000} ms`);
});

test("1,000 nodes that a member hears of within 100 ms are its members 100 ms later", async () => {
  await using harness = new Harness();
  const keyring = encrypted(1);
  const member = await harness.started({ keyring });
  const nonces = new Nonces(randomBytes);
  const packet = (messages: readonly PacketMessage[]) =>
    encodePacket(messages, keyring, { nonce: nonces.next(), checksum: false });
  const nodes = Array.from({ length: 1000 }, (_, i) =>
    alive(`node-${i}`, 1, { endpoint: { address: Uint8Array.of(10, 0, i >> 8, i & 255), port: 7946 } }),
  );
  for (const { endpoint } of nodes) {
    const local = { address: endpoint.address.join("."), port: endpoint.port };
    await harness.network.open(local, {
      packet(bytes, from) {
        const [ping] = decodePacket(bytes, keyring).messages;
        if (ping?.type === "ping")
          harness.network.send(packet([{ type: "ack", sequence: ping.sequence, payload: undefined }]), local, from);
      },
      problem() {},
      connection: () => true,
      stream() {},
    });
  }
  for (let i = 0; i < nodes.length; i += 10) {
    harness.network.send(
      packet(nodes.slice(i, i + 10)),
      { address: "10.0.0.0", port: 7946 },
      { address: "192.0.2.1", port: 7946 },
    );
    await harness.pass(1);
  }
  await harness.pass(100);
  assert.equal(member.members().length, 1001);
});

test("idle members at the fast pace wake up by a timer once for each heartbeat, the first by place twice", async () => {
  await using harness = new Harness();
  const counted = async () => {
    const timers = { ran: 0 };
    const clock: Clock = {
      now: () => harness.clock.now(),
      schedule: (name, at, fn) =>
        harness.clock.schedule(name, at, () => {
          timers.ran++;
          fn();
        }),
    };
    return { timers, member: await harness.started({ clock, timing: "fast" }) };
  };
  const members = [await counted(), await counted(), await counted()];
  for (const { member } of members.slice(1)) await member.join(["192.0.2.1"]);
  await harness.pass(5000); // The join is still being broadcast.
  const from = members.map(({ timers, member }) => [timers.ran, member.counters.packetsSent] as const);
  await harness.pass(3000); // Less than there is between two exchanges of views.
  const perPacket = members.map(({ timers, member }, index) => {
    const [ran = 0, sent = 0] = from[index] ?? [];
    return (timers.ran - ran) / (member.counters.packetsSent - sent);
  });
  assert.ok(
    perPacket.toSorted((a, b) => a - b).every((count, index) => count <= (index < 2 ? 1.05 : 2)),
    `${perPacket}`,
  );
});

test("a member that is alone wakes up once in each interval of probes", async () => {
  await using harness = new Harness();
  let ran = 0;
  const clock: Clock = {
    now: () => harness.clock.now(),
    schedule: (name, at, fn) =>
      harness.clock.schedule(name, at, () => {
        ran++;
        fn();
      }),
  };
  const alone = await harness.started({ clock, timing: "fast" });
  await harness.pass(1000);
  ran = 0;
  await harness.pass(7000);
  assert.ok(ran <= 105, `${ran} times in 7 s`);
  const other = await harness.started({ timing: "fast" });
  await other.join(["192.0.2.1"]);
  await harness.pass(500);
  assert.deepEqual(
    [names(alone), names(other)],
    [
      ["a", "b"],
      ["a", "b"],
    ],
  );
});

test("before its start and after its end a member has nothing to say", async () => {
  await using harness = new Harness();
  const member = harness.make();
  assert.throws(() => member.members(), /not on the network/);
  await member.start();
  await member[Symbol.asyncDispose]();
  await assert.rejects(member.join(["192.0.2.2"]), /not on the network/);
  assert.deepEqual(harness.clock.pending(), []);
});

test("members find each other through one, with their metadata and addresses", async () => {
  await using harness = new Harness();
  const a = await harness.started();
  const b = await harness.started({ metadata: new Map([[9, Uint8Array.of(1)]]) });
  const c = await harness.started();
  assert.deepEqual(await b.join(["192.0.2.1"]), { joined: 1, failures: [] });
  assert.deepEqual(await c.join(["192.0.2.1:7946"]), { joined: 1, failures: [] });
  await harness.pass(1000);
  for (const member of [a, b, c]) assert.deepEqual(names(member), ["a", "b", "c"]);
  const { meta, ...seen } = a.members().find(({ name }) => name === "b") ?? assert.fail();
  assert.deepEqual(seen, { name: "b", address: "192.0.2.2", port: 7946, status: "alive", incarnation: 1, self: false });
  assert.ok(meta?.includes("\t"));
});

test("what cannot be joined is named with the reason, and does not keep from the rest", async () => {
  await using harness = new Harness();
  await harness.started();
  const b = await harness.started();
  const { joined, failures } = await b.join(["node-1", "192.0.2.99", "192.0.2.1"]);
  assert.equal(joined, 1);
  assert.deepEqual(
    failures.map(({ address }) => address),
    ["node-1", "192.0.2.99"],
  );
  assert.match(failures[1]?.reason ?? "", /ECONNREFUSED/);
});

test("who accepts a stream and says nothing is given up after 10 s", async () => {
  await using harness = new Harness();
  await harness.started();
  const b = await harness.started();
  harness.network.silent.add("192.0.2.1");
  const joining = b.join(["192.0.2.1"]);
  await harness.pass(10_000);
  assert.deepEqual(await joining, { joined: 0, failures: [{ address: "192.0.2.1", reason: "it did not answer in time" }] });
});

test("the end of a member ends what waits for it", async () => {
  await using harness = new Harness();
  await harness.started();
  const b = await harness.started();
  harness.network.silent.add("192.0.2.1");
  const joining = b.join(["192.0.2.1"]);
  await b[Symbol.asyncDispose]();
  assert.deepEqual(await joining, { joined: 0, failures: [] });
});

test("another key is refused on both sides, counted each time and logged once for each peer, with what to do", async () => {
  await using harness = new Harness();
  const a = await harness.started({ keyring: encrypted(1) });
  const b = await harness.started({ keyring: encrypted(2) });
  for (let i = 0; i < 3; i++) assert.equal((await b.join(["192.0.2.1"])).joined, 0);
  assert.deepEqual([a.counters.problems.wrongKey, b.counters.problems.wrongKey], [3, 3]);
  assert.deepEqual(
    harness
      .logged("memberlist message refused")
      .map(({ level, peer, transport, reason }) => ({ level, peer, transport, reason })),
    [
      { level: "warn", peer: "192.0.2.2", transport: "TCP", reason: "wrongKey" },
      { level: "warn", peer: "192.0.2.1", transport: "TCP", reason: "wrongKey" },
    ],
  );
  assert.match(String(harness.logged("memberlist message refused")[0]?.advice), /same memberlist secret/);
  assert.deepEqual([names(a), names(b)], [["a"], ["b"]]);
});

test("packets of another kind are counted by their reason and change nothing", async () => {
  await using harness = new Harness();
  const a = await harness.started({ keyring: encrypted(1) });
  const from = { address: "198.51.100.7", port: 9 };
  for (const text of ["", "GET / HTTP/1.1\r\n", "\0".repeat(100), "\x07\xff"])
    harness.network.send(Buffer.from(text, "latin1"), from, a.local);
  await harness.pass(100);
  const { problems, packetsReceived } = a.counters;
  assert.equal(packetsReceived, 4);
  const { plaintext, wrongKey, unknownVersion, malformed } = problems;
  assert.deepEqual(
    { plaintext, wrongKey, unknownVersion, malformed },
    { plaintext: 1, wrongKey: 1, unknownVersion: 1, malformed: 1 },
  );
  assert.deepEqual(names(a), ["a"]);
});

test("packets that this machine does not send are an event of their own: counted, logged once, and the ring goes on", async () => {
  await using harness = new Harness();
  const a = await harness.started();
  const b = await harness.started();
  const c = await harness.started();
  for (const member of [b, c]) await member.join(["192.0.2.1"]);
  await harness.pass(1000);
  harness.network.unreachable.add("192.0.2.3");
  await harness.pass(10_000);
  assert.ok(a.counters.sendFailures > 1);
  assert.deepEqual(
    harness.logged("memberlist packet was not sent").map(({ peer }) => peer),
    ["192.0.2.3", "192.0.2.3"], // Both a and b wrote it, which share this log.
  );
  assert.deepEqual(names(a), ["a", "b", "c"]); // Over TCP it still answers.
  assert.ok(harness.logged("member answers over TCP or other members alone").some(({ member }) => member === "c"));
});

test("a member that falls silent fails, and one that leaves has left, in events and in the log", async () => {
  await using harness = new Harness();
  const a = await harness.started();
  const events: string[] = [];
  const record = (event: MemberlistEvent) => event.type === "member" && events.push(`${event.member.name} ${event.change}`);
  using _listening = a.onEvent(record);
  const b = await harness.started();
  const c = await harness.started();
  for (const member of [b, c]) await member.join(["192.0.2.1"]);
  await harness.pass(100);
  const leaving = b.leave(5000);
  await harness.pass(2000);
  assert.equal(await leaving, true);
  await b[Symbol.asyncDispose]();
  await c[Symbol.asyncDispose]();
  await harness.pass(30_000);
  assert.deepEqual(events, ["b joined", "c joined", "b left", "c suspected", "c failed"]);
  assert.deepEqual(
    harness.logged("member failed").map(({ member, address }) => ({ member, address })),
    [{ member: "c", address: "192.0.2.3" }],
  );
});

test("leaving gives up at its timeout when nobody takes the news", async () => {
  await using harness = new Harness();
  await harness.started();
  const b = await harness.started({ timing: "lan" });
  await b.join(["192.0.2.1"]);
  const leaving = b.leave(100);
  await harness.pass(150);
  assert.equal(await leaving, false);
});

test("who is alone has left at once", async () => {
  await using harness = new Harness();
  const a = await harness.started();
  assert.equal(await a.leave(1000), true);
});

test("a listener may change the member that it listens to", async () => {
  await using harness = new Harness();
  const a = await harness.started();
  const b = await harness.started();
  using _listening = b.onEvent((event) => {
    if (event.type === "member" && event.change === "joined") b.setMetadata(new Map([[9, Buffer.from(event.member.name)]]));
  });
  await b.join(["192.0.2.1"]);
  await harness.pass(1000);
  const meta = a.members().find(({ name }) => name === "b")?.meta;
  assert.ok(meta?.includes("\x09\x01a"));
});

test("round trips are counted by how long they took", async () => {
  await using harness = new Harness();
  const a = await harness.started();
  const b = await harness.started();
  await b.join(["192.0.2.1"]);
  await harness.pass(10_000);
  const { roundTrips, roundTripMillis, roundTripBuckets } = b.counters;
  assert.ok(roundTrips > 0);
  assert.equal(roundTripMillis, 2 * roundTrips);
  assert.deepEqual(b.roundTrips(), new Map([["a", 2]]));
  assert.deepEqual(roundTripBuckets, [0, 0, 0, roundTrips, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(a.counters.streamsAccepted, 2); // The join, and the comparison of views soon after it.
});

test("50 of 11,000 connections/s of a stranger or in the name of a member are accepted, and members get in", async () => {
  for (const source of ["203.0.113.1", "192.0.2.2"]) {
    await using harness = new Harness();
    const a = await harness.started();
    const b = await harness.started();
    const c = await harness.started();
    await b.join(["192.0.2.1"]);
    await harness.pass(5_000);
    const before = a.counters.streamsAccepted;
    for (let i = 0; i < 11_000; i++) harness.network.dial({ address: source, port: 1 }, a.local).on("error", () => {});
    assert.equal((await c.join(["192.0.2.1"])).joined, 1);
    const accepted = a.counters.streamsAccepted - before;
    assert.ok(accepted <= 50 + 1, `${accepted}`); // One that the member had opened itself just before counts, too.
    assert.deepEqual(
      harness.logged("memberlist connections of a host are refused for a second").map(({ peer }) => peer),
      [source],
    );
    await harness.pass(2_000);
    assert.deepEqual(names(a), ["a", "b", "c"]);
    assert.equal(harness.network.refusals.size, 0);
  }
});

test("two processes of one name are logged once on each member, with both addresses", async () => {
  await using harness = new Harness();
  await harness.started();
  const b = await harness.started();
  const impostor = await harness.started({ name: "b" });
  await b.join(["192.0.2.1"]);
  await impostor.join(["192.0.2.1"]);
  await harness.pass(60_000);
  const [line] = harness.logged("member name is used twice");
  assert.deepEqual(
    [line?.member, line?.known, line?.claimed],
    ["b", { address: "192.0.2.2", port: 7946 }, { address: "192.0.2.3", port: 7946 }],
  );
  assert.ok(harness.logged("member name is used twice").length <= 3);
});

test("a periodic exchange that fails is logged once for that peer, with the reason", async () => {
  await using harness = new Harness();
  await harness.started();
  const b = await harness.started();
  await b.join(["192.0.2.1"]);
  harness.network.silent.add("192.0.2.1");
  await harness.pass(300_000);
  assert.deepEqual(
    harness.logged("memberlist exchange failed").map(({ peer, reason }) => ({ peer, reason })),
    [{ peer: "192.0.2.1", reason: "it did not answer in time" }],
  );
});

test("what one member broadcasts and what goes with its view reach another's listener", async () => {
  await using harness = new Harness();
  const a = await harness.started({ userState: () => Buffer.from("state") });
  const b = await harness.started();
  const received: string[] = [];
  b.onEvent((event) => event.type === "user" && received.push(Buffer.from(event.payload).toString()));
  const joined = b.join(["192.0.2.1"]);
  await harness.pass(100);
  assert.equal((await joined).joined, 1);
  assert.deepEqual(received, ["state"]);
  a.broadcast("topic", Buffer.from("message"));
  await harness.pass(1000);
  assert.ok(received.includes("message"), `received ${received}`);
});

/** Keeps sent packets, like a host between the members. */
class TappedNetwork extends FakeNetwork {
  readonly streams: { readonly from: string; readonly written: Buffer[] }[] = [];

  override dial(from: SocketAddress, to: SocketAddress): Duplex {
    const stream = super.dial(from, to);
    const written: Buffer[] = [];
    this.streams.push({ from: from.address, written });
    const write = stream.write.bind(stream);
    stream.write = (bytes: Buffer) => {
      written.push(bytes);
      return write(bytes);
    };
    return stream;
  }
}

test("a captured stream of a member that is gone brings it back for no node, but a new life of the member comes back", async () => {
  await using harness = new Harness(TappedNetwork);
  const a = await harness.started({ keyring: encrypted(1), firstIncarnation: 1000 });
  const b = await harness.started({ keyring: encrypted(1), firstIncarnation: 1000 });
  const joined = b.join(["192.0.2.1"]);
  await harness.pass(5000);
  await joined;
  assert.deepEqual(names(a), ["a", "b"]);
  await b[Symbol.asyncDispose]();
  await harness.pass(90_000);
  assert.deepEqual(names(a), ["a"]);

  const network = harness.network as TappedNetwork;
  const [captured] = network.streams.filter(({ from }) => from === "192.0.2.2");
  const c = await harness.started({ keyring: encrypted(1), firstIncarnation: 1000 });
  const events: MemberlistEvent[] = [];
  for (const member of [a, c]) member.onEvent((event) => event.type === "member" && events.push(event));
  for (const { local } of [a, c, a, c]) {
    const stream = network.dial({ address: "203.0.113.9", port: 5 }, local);
    for (const bytes of captured?.written ?? []) stream.write(bytes);
    await harness.pass(5000);
  }
  assert.ok((captured?.written.length ?? 0) > 0);
  assert.deepEqual([names(a), names(c), events], [["a"], ["c"], []]);

  const again = await harness.started({ name: "b", keyring: encrypted(1), firstIncarnation: 1100 });
  const back = again.join(["192.0.2.1"]);
  await harness.pass(1000);
  assert.equal((await back).joined, 1);
  assert.deepEqual(names(a), ["a", "b"]);
});
