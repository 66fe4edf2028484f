/**
 * Scenarios of `Bfd` that need a network but no peer: a session with itself on the loopback interface comes up like any
 * other.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { parseConfig } from "#pkg/config";
import { silentLog } from "#pkg/log/testing";
import { parseAddress } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type ControlPacket, encodeControl } from "../codec/control-codec.ts";
import { Bfd, type BfdStatus } from "../index.ts";

execFileSync("ip", ["link", "set", "lo", "up"]);

const peer = parseAddress("127.0.0.1") ?? assert.fail();
const ends = { peer, local: peer, multihop: false };
const fast = profile("transmit-interval: 400, receive-interval: 400"); // Which a busy machine can keep.

function profile(fields: string) {
  return parseConfig(`bfd-profiles: [{name: p, ${fields}}]`).config?.bfdProfiles.get("p") ?? assert.fail("no profile");
}

function newBfd(log = silentLog): Bfd {
  return new Bfd({ log, date: () => new Date(0) });
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !condition(); await sleep(5))
    if (performance.now() > end) assert.fail(`not within 60 s: ${condition}`);
}

function descriptors(): string[] {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return /socket|eventfd/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // It was that of the folder.
    }
  });
}

/** The descriptor of the socket on a UDP port. */
function descriptorOf(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/self/net/udp", "utf8")
    .split("\n")
    .find((each) => each.includes(`:${hex} 00000000:0000`));
  const inode = line?.trim().split(/\s+/)[9];
  const fd = descriptors().find((each) => readlinkSync(`/proc/self/fd/${each}`) === `socket:[${inode}]`);
  return Number(fd ?? assert.fail(`no socket on port ${port}`));
}

test("watchers of the same ends share a session, which ends with the last of them", async () => {
  await using bfd = newBfd();
  const verdicts: string[] = [];
  const watch = (name: string) => bfd.watch(ends, fast, ({ verdict }: BfdStatus) => verdicts.push(`${name} ${verdict}`));
  const [one, two] = [watch("one"), watch("two")];
  await until(() => one.status.verdict === "up");
  assert.deepEqual(verdicts, ["one up", "two up"]);
  const [counters, ...none] = bfd.counters();
  assert.deepEqual([counters?.peer, counters?.up, counters?.upEvents, counters?.notifications], ["127.0.0.1", true, 1, 2]);
  assert.deepEqual(none, []);
  const [described] = bfd.describe();
  assert.deepEqual(
    [described?.peer, described?.since, described?.session.state],
    ["127.0.0.1", "1970-01-01T00:00:00.000Z", "up"],
  );
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  assert.equal(bfd.counters().length, 1);
  two[Symbol.dispose]();
  assert.deepEqual([bfd.counters(), bfd.describe()], [[], []]);
  using again = watch("again");
  await until(() => again.status.verdict === "up");
});

/** How often this process's thread of a name has waited so far. */
function waits(name: string): number {
  const task = readdirSync("/proc/self/task").find((tid) => readFileSync(`/proc/self/task/${tid}/comm`, "utf8").trim() === name);
  const status = readFileSync(`/proc/self/task/${task ?? assert.fail("no such thread")}/status`, "utf8");
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]);
}

/** Packets that the thread receives and sends for each time that it waits. */
async function packetsPerWait(bfd: Bfd): Promise<number> {
  const packets = () => bfd.counters().reduce((sum, { controlIn, controlOut }) => sum + controlIn + controlOut, 0);
  await sleep(1_000); // Until polls have ended.
  const [waitsBefore, packetsBefore] = [waits("bfd"), packets()];
  await until(() => packets() > packetsBefore + 150);
  return (packets() - packetsBefore) / (waits("bfd") - waitsBefore);
}

test("the thread wakes up once for the packets of all sessions of one interval", async () => {
  await using bfd = newBfd();
  const watches = [1, 2, 3, 4, 5, 6].map((n) => {
    const own = address(`127.0.0.${n}`);
    return bfd.watch(
      { peer: own, local: own, multihop: false },
      profile("transmit-interval: 20, receive-interval: 400"),
      () => {},
    );
  });
  await until(() => watches.every(({ status }) => status.verdict === "up"));
  assert.ok((await packetsPerWait(bfd)) > 8);
  for (const watch of watches) watch[Symbol.dispose]();
});

test("a thread that dies is replaced and begins its sessions anew, which is no failure of a path", async () => {
  const errors: string[] = [];
  await using bfd = newBfd({ ...silentLog, error: (message) => errors.push(message), with: () => silentLog });
  const verdicts: string[] = [];
  using watch = bfd.watch(ends, fast, ({ verdict }) => verdicts.push(verdict));
  await until(() => watch.status.verdict === "up");
  const { length } = descriptors();
  closeSync(descriptorOf(3784)); // A broken invariant, as good as any.
  await until(() => verdicts.length === 3);
  assert.deepEqual(verdicts, ["up", "unknown", "up"]);
  assert.deepEqual(errors, ["the thread that keeps BFD sessions died and is restarted"]);
  assert.ok(descriptors().length <= length, "what the dead thread had is left open");
});

test("a thread that is ended twenty times has its session up again each time, and leaves no descriptor behind", async () => {
  const workers: Worker[] = [];
  const note = (worker: Worker): void => void workers.push(worker);
  process.on("worker", note);
  await using bfd = newBfd();
  using watch = bfd.watch(ends, fast, () => {});
  await until(() => watch.status.verdict === "up");
  const held = () => [descriptors().length, process.listenerCount("exit")];
  const before = held();
  for (let deaths = 0; deaths < 20; deaths++) {
    await workers.at(-1)?.terminate();
    await until(() => watch.status.verdict === "unknown");
    await until(() => watch.status.verdict === "up");
    assert.deepEqual(held(), before);
  }
  process.off("worker", note);
  assert.deepEqual(bfd.warnings(), []);
});

test("a session for an interface that does not exist reports that, and begins when it exists", async () => {
  await using bfd = newBfd();
  using watch = bfd.watch({ ...ends, interface: "late0" }, fast, () => {});
  await until(() => bfd.warnings().length > 0);
  assert.deepEqual(bfd.warnings(), ["BFD session with 127.0.0.1: there is no interface late0"]);
  assert.equal(watch.status.verdict, "unknown");
});

test("a session offers to return echoes while the node forwards, whenever that is set", async () => {
  const forward = (value: 0 | 1 | 2) => writeFileSync("/proc/sys/net/ipv4/ip_forward", `${value}`);
  forward(0);
  await using bfd = newBfd();
  const verdicts: string[] = [];
  using watch = bfd.watch(ends, profile("echo-mode: true, echo-interval: 400"), ({ verdict }) => verdicts.push(verdict));
  await until(() => watch.status.verdict === "up");
  // It is its own peer, so that it sends echoes if it is told that they come back.
  const now = () => ({ echo: bfd.describe()[0]?.session.echo, warnings: bfd.warnings() });
  const refused =
    "BFD session with 127.0.0.1: the peer's echo packets would not come back: net.ipv4.ip_forward is 0, and has to be 1";
  assert.deepEqual(now(), { echo: "off", warnings: [refused] });
  for (const value of [2, 1] as const) {
    forward(value); // Any number but 0 has the kernel forward.
    await until(() => now().echo === "unanswered");
    assert.deepEqual(now().warnings, []);
  }
  forward(0);
  await until(() => now().echo === "off");
  assert.deepEqual(now().warnings, [refused]);
  assert.deepEqual(verdicts, ["up"]);
});

/** Sends this many Down packets that do not know the session, as anybody at the peer's address can. */
async function forgeDown(port: number, ttl: number, count: number, from = "127.0.0.1"): Promise<void> {
  const socket = createSocket("udp4");
  socket.bind(0, from);
  await once(socket, "listening");
  const down: ControlPacket = {
    diagnostic: 0,
    state: "down",
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: 3,
    myDiscriminator: 0x666,
    yourDiscriminator: 0,
    desiredMinTx: 50,
    requiredMinRx: 50,
    requiredMinEchoRx: 0,
  };
  socket.setTTL(ttl);
  for (let i = 0; i < count; i++) await new Promise((resolve) => socket.send(encodeControl(down), port, "127.0.0.1", resolve));
  socket.close();
}

test("an interface that goes down takes its own session down, and leaves that of another interface up", async () => {
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  const fields = "transmit-interval: 400, receive-interval: 400, echo-mode: true, echo-interval: 400";
  const program = [process.execPath, new URL("./echo-peer.ts", import.meta.url).pathname, fields];
  const far = spawn("unshare", ["--net", ...program], { stdio: ["pipe", "pipe", "inherit"] });
  using _ = { [Symbol.dispose]: () => far.kill("SIGKILL") };
  await once(far.stdout, "data");
  for (const n of [0, 1])
    for (const line of [
      `link add near${n} type veth peer name far${n} netns ${far.pid}`,
      `address add 10.0.${n}.1/24 dev near${n}`,
      `link set near${n} up`,
    ])
      execFileSync("ip", line.split(" "));
  far.stdin.write("\n");
  await using bfd = newBfd();
  const verdicts: string[] = [];
  const watches = [0, 1].map((n) => {
    const between = { peer: address(`10.0.${n}.2`), local: address(`10.0.${n}.1`), multihop: false };
    return bfd.watch(between, profile(fields), ({ verdict }) => verdicts.push(`${n} ${verdict}`));
  });
  await until(() => bfd.describe().every(({ session }) => session.echo === "active") && bfd.describe().length === 2);
  execFileSync("ip", ["link", "set", "near0", "down"]);
  await until(() => watches[0]?.status.verdict !== "up");
  await sleep(500);
  assert.deepEqual(
    verdicts.filter((line) => !line.endsWith("up")),
    ["0 failed"],
  );
});

/**
 * A host behind the interface `near<n>`, with a session between its 10.0.n.2 and 10.0.n.1 here, or between its fe80::2 and fe80::1. `connect` makes
 * the interface again.
 */
async function farEnd(n: number, fields: string, isLinkLocal = false): Promise<Disposable & { readonly connect: () => void }> {
  using stack = new DisposableStack();
  const far = stack.use(spawn("unshare", ["--net", "sleep", "300"], { stdio: "ignore" }));
  const inFar = [`--net=/proc/${far.pid}/ns/net`];
  while (readlinkSync(`/proc/${far.pid}/ns/net`) === readlinkSync("/proc/self/ns/net")) await sleep(5);
  const [network, length] = isLinkLocal ? ["fe80::", "64 nodad"] : [`10.0.${n}.`, "24"];
  const connect = () => {
    execFileSync("ip", `link add near${n} type veth peer name far${n} netns ${far.pid}`.split(" "));
    for (const [host, name, inside] of [
      [1, `near${n}`, []],
      [2, `far${n}`, ["nsenter", ...inFar]],
    ] as const)
      for (const line of [
        `link set ${name} addrgenmode none`,
        `address add ${network}${host}/${length} dev ${name}`,
        `link set ${name} up`,
      ])
        execFileSync("env", [...inside, "ip", ...line.split(" ")]);
  };
  connect();
  const file = new URL("./far-end.ts", import.meta.url).pathname;
  const program = [process.execPath, file, fields, `${network}2`, `${network}1`, isLinkLocal ? `far${n}` : ""];
  const peer = spawn("nsenter", [...inFar, ...program], { stdio: ["ignore", "ignore", "inherit"] });
  stack.defer(() => peer.kill("SIGKILL"));
  const owned = stack.move();
  return { connect, [Symbol.dispose]: () => owned.dispose() };
}

test("a packet that arrives shortly before another has to leave wakes nobody up", async () => {
  const fields = "transmit-interval: 10, receive-interval: 10, detect-multiplier: 100";
  using _ = await farEnd(3, fields);
  await using bfd = newBfd();
  using watch = bfd.watch({ peer: address("10.0.3.2"), multihop: false }, profile(fields), () => {});
  await until(() => watch.status.verdict === "up");
  assert.ok((await packetsPerWait(bfd)) > 1.5);
});

for (const [n, peer, isLinkLocal] of [
  [2, "10.0.2.2", false],
  [4, "fe80::2", true],
] as const)
  test(`a session with ${peer} on an interface is up again when another interface has the name`, async () => {
    const fields = "transmit-interval: 400, receive-interval: 400";
    using far = await farEnd(n, fields, isLinkLocal);
    await using bfd = newBfd();
    using watch = bfd.watch({ peer: address(peer), interface: `near${n}`, multihop: false }, profile(fields), () => {});
    for (const mode of [fields, `${fields}, passive-mode: true`]) {
      watch.configure(profile(mode));
      await until(() => watch.status.verdict === "up");
      execFileSync("ip", ["link", "delete", `near${n}`]);
      await until(() => watch.status.verdict === "failed");
      far.connect();
      await until(() => watch.status.verdict === "up");
    }
  });

test("forged Down packets from the peer's address do not take a session down", async () => {
  await using bfd = newBfd();
  const verdicts: string[] = [];
  using watch = bfd.watch(ends, fast, ({ verdict }) => verdicts.push(verdict));
  await until(() => watch.status.verdict === "up");
  await forgeDown(3784, 255, 20);
  await until(() => bfd.ignored().otherDiscriminator === 20);
  await forgeDown(3784, 64, 20);
  await until(() => bfd.ignored().ttl === 20);
  assert.deepEqual(verdicts, ["up"]);
});

test("packets in masses from a host that is no peer take no session down, and are counted", async () => {
  await using bfd = newBfd();
  const verdicts: string[] = [];
  using watch = bfd.watch(ends, fast, ({ verdict }) => verdicts.push(verdict));
  await until(() => watch.status.verdict === "up");
  await Promise.all(Array.from({ length: 16 }, () => forgeDown(3784, 255, 250, "127.0.0.77")));
  await until(() => Object.values(bfd.ignored()).reduce((sum, count) => sum + count, 0) > 1_024);
  assert.deepEqual(verdicts, ["up"]);
});

test("over routers, what comes from farther away than minimum-ttl allows does not count", async () => {
  await using bfd = newBfd();
  using watch = bfd.watch({ ...ends, multihop: true }, fast, () => {});
  await until(() => watch.status.verdict === "up");
  await forgeDown(4784, 254, 20);
  await until(() => bfd.ignored().otherDiscriminator === 20);
  assert.equal(bfd.ignored().ttl, 0);
  await forgeDown(4784, 253, 20);
  await until(() => bfd.ignored().ttl === 20);
});

test("disposing ends the thread and closes every socket", async () => {
  const before = descriptors().length;
  const bfd = newBfd();
  const watch = bfd.watch(ends, fast, () => {});
  await until(() => watch.status.verdict === "up");
  assert.ok(descriptors().length > before);
  await bfd[Symbol.asyncDispose]();
  assert.equal(descriptors().length, before);
});

test("routers that have one link-local address on several interfaces are counted each by itself", async () => {
  await using bfd = newBfd();
  for (const name of ["eth0", "eth1"]) bfd.watch({ peer: address("fe80::1"), interface: name, multihop: false }, fast, () => {});
  assert.deepEqual(
    bfd.counters().map((one) => one.peer),
    ["fe80::1%eth0", "fe80::1%eth1"],
  );
});

test("a process that exits without disposing does not hang on the thread", () => {
  const script = `(async () => {
    const [{ Bfd }, { silentLog }, { parseAddress }, { parseConfig }] =
      await Promise.all(["bfd", "log/testing", "net", "config"].map((name) => import("#pkg/" + name)));
    const bfd = new Bfd({ log: silentLog, date: () => new Date(0) });
    const profile = parseConfig("bfd-profiles: [{name: p}]").config.bfdProfiles.get("p");
    bfd.watch({ peer: parseAddress("127.0.0.1"), multihop: false }, profile, () => process.exit(7));
  })()`;
  const { status } = spawnSync(process.execPath, ["--eval", script], { timeout: 120_000 });
  assert.equal(status, 7);
});
