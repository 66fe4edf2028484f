import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SystemClock } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { FlowCounter } from "../flow-counter.ts";
import { type HandoverFailures, HandoverKeeper, type Inherited } from "../keeper.ts";
import { findObstacle } from "../obstacles.ts";
import type { Handover } from "../state/shape.ts";

// Run in a network namespace of its own, by `keeper.test.ts`.
const clock = new SystemClock();
const speakers = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
const [mac = ""] = speakers;
const started: HandoverKeeper[] = [];
const inherited: string[] = [];
// One that went on would have its part in the kernel's table of the next test, since it compares all each minute.
afterEach(() => {
  for (const one of started.splice(0)) one[Symbol.dispose]();
});

function start(): HandoverKeeper {
  const onFailures = (failures: HandoverFailures) => assert.deepEqual([...failures], []);
  const onInherited = ({ addresses, unfinished }: Inherited) =>
    inherited.push(...addresses.map(String), ...unfinished.map(({ address, to }) => `${address} unfinished, to ${to}`));
  const keeper = new HandoverKeeper({ log: silentLog, clock, onFailures, onInherited });
  started.push(keeper);
  keeper.check();
  keeper.wantSpeakers(speakers);
  return keeper;
}

function nft(...words: string[]): string {
  return execFileSync("nft", words, { encoding: "utf8", stdio: "pipe", maxBuffer: 16 << 20 });
}

function hand(keeper: HandoverKeeper, text: string, more: Partial<Handover> = {}): void {
  const to = address(text.includes(":") ? "fe80::2" : "10.0.0.2");
  const until = clock.now() + 300_000;
  keeper.want(address(text), { address: address(text), to, interfaceIndex: 1, from: undefined, lingers: false, until, ...more });
}

/** The kernel's tables, without counters, time and foreign tables. */
function table(family: "ip" | "ip6" = "ip"): string {
  if (!nft("list", "tables", family).includes(`table ${family} ingot\n`)) return "";
  return nft("list", "table", family, "ingot")
    .replaceAll(/ timeout \S+ expires \S+/g, "")
    .replaceAll(/\s+/g, " ");
}

async function until(condition: () => boolean, every = 5): Promise<void> {
  for (const end = clock.now() + 60_000; !condition(); await sleep(every))
    if (clock.now() > end) assert.fail(`not within a minute: ${condition}\n${table().slice(0, 4_000)}`);
}

async function drop(keeper: HandoverKeeper, ...texts: string[]): Promise<void> {
  for (const text of texts) keeper.want(address(text), undefined);
  keeper.complete();
  await until(() => table() === "" && table("ip6") === "");
}

test("a setting that somebody mends is found within a minute, and what is to be handed over is", async () => {
  const file = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose";
  const time = new SimulatedClock();
  const seen: string[][] = [];
  const onFailures = (failures: HandoverFailures) => seen.push([...failures.keys()]);
  using keeper = new HandoverKeeper({ log: silentLog, clock: time, onFailures, onInherited: () => {} });
  writeFileSync(file, "0");
  try {
    keeper.check();
    keeper.complete();
    hand(keeper, "192.0.2.9");
    time.advanceBy(60_000);
    assert.deepEqual(seen, [["IPv4", "IPv6"]], "it is said once");
    assert.equal(table(), "");
  } finally {
    writeFileSync(file, "1");
  }
  time.advanceBy(60_000);
  assert.deepEqual(seen, [["IPv4", "IPv6"], []]);
  time.advanceBy(1);
  assert.match(table(), /192\.0\.2\.9/);
  keeper.want(address("192.0.2.9"), undefined);
  time.advanceBy(1);
  assert.equal(table(), "");
});

test("where a program takes the place of kube-proxy nothing is handed over, which is said when it comes, and when it goes", () => {
  const time = new SimulatedClock();
  const seen: string[] = [];
  const onFailures = (failures: HandoverFailures) => seen.push(failures.get("IPv4") ?? "none");
  using keeper = new HandoverKeeper({ log: silentLog, clock: time, onFailures, onInherited: () => {} });
  const ip = (...words: string[]) => execFileSync("ip", words);
  keeper.check();
  hand(keeper, "192.0.2.8");
  keeper.flush();
  assert.match(table(), /192\.0\.2\.8/);
  ip("link", "add", "cilium_host", "type", "veth", "peer", "name", "cilium_net");
  time.advanceBy(60_001);
  assert.match(seen.join(), /^Cilium takes the place of kube-proxy, /);
  assert.equal(table(), "", "what it cannot do it does not pretend to do");
  ip("link", "delete", "cilium_host");
  time.advanceBy(60_001);
  assert.deepEqual([seen.length, seen[1]], [2, "none"]);
  assert.match(table(), /192\.0\.2\.8/);
  keeper.complete();
  keeper.want(address("192.0.2.8"), undefined);
  time.advanceBy(1);
});

test("Cilium beside kube-proxy, which listens, changes nothing, and nobody reads the list of all sockets for that", async () => {
  const devices = " Inter-|\n cilium_host: 0\n";
  const read = (path: string) => {
    assert.doesNotMatch(path, /tcp6?$/);
    return path === "/proc/net/dev" ? devices : readFileSync(path, "utf8");
  };
  execFileSync("ip", ["link", "set", "lo", "up"]);
  for (const host of ["127.0.0.1", "127.0.0.2", "::1", "::", "0.0.0.0"]) {
    const server = createServer().listen(10_249, host);
    await once(server, "listening");
    assert.equal(findObstacle(read), undefined, host);
    server.close();
    await once(server, "close");
  }
  assert.match(findObstacle(read) ?? "", /^Cilium /);
});

test("trying leaves nothing behind, and nothing is there before something is handed over", async () => {
  const keeper = start();
  keeper.complete();
  await sleep(100);
  assert.equal(nft("list", "ruleset"), "");
});

test("the table is what people read, and nft loads what it shows", async () => {
  const keeper = start();
  hand(keeper, "192.0.2.1");
  hand(keeper, "192.0.2.2", { from: [mac] });
  hand(keeper, "2001:db8::1");
  await until(() => table().includes("192.0.2.2") && table("ip6").includes("2001:db8::1"));
  const shown = table();
  assert.match(shown, /set speakers \{ type ether_addr elements = \{ 02:00:00:00:00:01, 02:00:00:00:00:02 \}/);
  assert.match(shown, /map owned \{ type ipv4_addr : ipv4_addr flags timeout elements = \{ 192\.0\.2\.1 : 10\.0\.0\.2 \}/);
  assert.match(shown, /map passed \{ .* elements = \{ 02:00:00:00:00:01 \. 192\.0\.2\.2 : 10\.0\.0\.2 \}/);
  assert.match(shown, /hook prerouting priority mangle/);
  const unknown = "tcp flags ! syn,rst ct state new";
  const ends = "tcp flags fin,rst ct state invalid";
  const out = (key: string, set: string) =>
    `${key} @${set} counter packets 0 bytes 0 dup to ${key} map @${set} device ip daddr map @links drop`;
  for (const packets of [unknown, ends]) {
    assert.ok(shown.includes(`${packets} ether saddr != @speakers ${out("ip daddr", "owned")}`), shown);
    assert.ok(shown.includes(`${packets} ${out("ether saddr . ip daddr", "passed")}`), shown);
  }
  assert.match(table("ip6"), /2001:db8::1 : fe80::2/);
  const saved = nft("list", "ruleset");
  nft("delete", "table", "ip", "ingot");
  nft("delete", "table", "ip6", "ingot");
  execFileSync("nft", ["-f", "-"], { input: saved });
  assert.equal(table(), shown);
  await drop(keeper, "192.0.2.1", "192.0.2.2", "2001:db8::1");
});

test("another former owner takes the place of the one before, and what ends goes", async () => {
  const keeper = start();
  hand(keeper, "192.0.2.1");
  hand(keeper, "192.0.2.2");
  await until(() => table().includes("192.0.2.2 : 10.0.0.2"));
  hand(keeper, "192.0.2.1", { to: address("10.0.0.3") });
  keeper.complete();
  keeper.want(address("192.0.2.2"), undefined);
  await until(() => table().includes("192.0.2.1 : 10.0.0.3") && !table().includes("192.0.2.2"));
  await drop(keeper, "192.0.2.1");
});

for (const [what, words] of [
  ["flushes all", ["flush", "ruleset"]],
  ["flushes the rules of the table", ["flush", "table", "ip", "ingot"]],
  ["deletes the table", ["delete", "table", "ip", "ingot"]],
] as const)
  test(`an administrator who ${what} gets it back`, async () => {
    const keeper = start();
    hand(keeper, "192.0.2.1");
    await until(() => table().includes("192.0.2.1"));
    const before = table();
    nft(...words);
    await until(() => table() === before);
    assert.equal(keeper.restored, 1);
    await drop(keeper, "192.0.2.1");
  });

test("who takes it away all the time gets it back more and more seldom", async () => {
  const keeper = start();
  hand(keeper, "192.0.2.1");
  await until(() => table().includes("192.0.2.1"));
  for (const end = clock.now() + 9_000; clock.now() < end; await sleep(20)) if (table() !== "") nft("flush", "ruleset");
  assert.ok(keeper.restored >= 2 && keeper.restored <= 4, `${keeper.restored} times`);
  await until(() => table().includes("192.0.2.1"));
  await drop(keeper, "192.0.2.1");
});

test("a table of that name that is not ours stays as it is", async () => {
  execFileSync("nft", ["-f", "-"], { input: 'table ip ingot { comment "mine"; chain c { tcp dport 1 accept; }; }' });
  const before = table();
  const keeper = start();
  hand(keeper, "192.0.2.1");
  hand(keeper, "2001:db8::1");
  keeper.complete();
  await until(() => table("ip6").includes("2001:db8::1"));
  assert.equal(table(), before);
  keeper.want(address("192.0.2.1"), undefined);
  keeper.want(address("2001:db8::1"), undefined);
  await until(() => table("ip6") === "");
  assert.equal(table(), before);
  nft("delete", "table", "ip", "ingot");
});

test("what a killed speaker left goes on until the next life says what is to be done with the address", async () => {
  const killed = start();
  hand(killed, "192.0.2.1");
  hand(killed, "192.0.2.9");
  await until(() => table().includes("192.0.2.9"));
  const before = table();
  killed[Symbol.dispose]();
  inherited.length = 0;
  const next = start();
  assert.deepEqual(
    inherited.splice(0).sort(),
    ["192.0.2.1 unfinished, to 10.0.0.2", "192.0.2.9 unfinished, to 10.0.0.2"],
    "before anything is placed",
  );
  await sleep(100);
  assert.equal(table(), before, "nothing is known yet");
  hand(next, "192.0.2.1");
  await sleep(200);
  assert.equal(table(), before);
  next.complete();
  await sleep(200);
  assert.equal(table(), before, "nobody may own it yet");
  next.want(address("192.0.2.9"), undefined);
  await until(() => !table().includes("192.0.2.9"));
  assert.ok(table().includes("192.0.2.1 : 10.0.0.2"));
  await drop(next, "192.0.2.1");
});

test("what a killed speaker passed on to a former owner goes on until the kernel ends it, or the node owns the address again", async () => {
  const killed = start();
  for (const n of [1, 2]) hand(killed, `192.0.2.${n}`, { from: [mac], until: clock.now() + 3_000_000 });
  await until(() => table().includes("192.0.2.2 : 10.0.0.2"));
  const before = table();
  killed[Symbol.dispose]();
  const next = start();
  next.complete();
  assert.deepEqual(inherited.splice(0).sort(), ["192.0.2.1", "192.0.2.2"]);
  await sleep(300);
  assert.equal(table(), before);
  hand(next, "192.0.2.2");
  await until(() => table().includes("map owned { type ipv4_addr : ipv4_addr flags timeout elements = { 192.0.2.2 : 10.0.0.2"));
  assert.ok(!table().includes(`${mac} . 192.0.2.2`));
  assert.ok(table().includes(`${mac} . 192.0.2.1 : 10.0.0.2`));
  nft("delete", "table", "ip", "ingot");
  next[Symbol.dispose]();
});

test("the kernel ends a handover by itself when its time is over", async () => {
  const keeper = start();
  hand(keeper, "192.0.2.1", { until: clock.now() + 1_200 });
  hand(keeper, "192.0.2.2");
  await until(() => table().includes("192.0.2.1"));
  keeper[Symbol.dispose](); // Its process is gone.
  await until(() => table().includes("192.0.2.2") && !table().includes("192.0.2.1"));
  await drop(start(), "192.0.2.2");
});

test("open connections to addresses are counted, and the kernel forgets closed ones, of these addresses alone", async () => {
  const states = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "CLOSE"];
  const there = (family: string) =>
    [
      ...execFileSync("conntrack", ["-L", "-f", family], { encoding: "utf8", stdio: "pipe" }).matchAll(
        / (\S+) src=\S+ dst=(\S+) sport=9/g,
      ),
    ]
      .map(([, state = "", to]) => `${to} ${state}`)
      .sort();
  const insert = (client: string, to: string, port: number, state: string) => {
    const tuple = ["-s", client, "-d", to, "-p", "tcp", "--sport", `${port}`, "--dport", "81"];
    execFileSync("conntrack", ["-I", ...tuple, "--timeout", "100", "--state", state], { stdio: "pipe" });
  };
  const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
  for (const to of addresses)
    for (const [index, state] of states.entries())
      insert(to.includes(":") ? "2001:db8::9" : "192.0.2.9", to, 9_000 + index, state);
  for (let i = 0; i < 300; i++) insert("192.0.2.9", "192.0.2.1", 9_100 + i, "TIME_WAIT"); // More than the kernel tells of at once.
  const all = (to: string, names: readonly string[]) => names.map((state) => `${to} ${state}`);
  const counted = Promise.withResolvers<ReadonlyMap<string, number>>();
  using counter = new FlowCounter({ onCounts: counted.resolve, everyMs: 10, log: silentLog, clock });
  for (const to of ["192.0.2.1", "2001:db8::1"]) counter.want(address(to), true);
  assert.deepEqual(Object.fromEntries(await counted.promise), { "192.0.2.1": 2, "2001:db8::1": 2 });
  assert.deepEqual(there("ipv6"), all("2001:db8::1", ["ESTABLISHED", "FIN_WAIT", "SYN_SENT"]));
  assert.deepEqual(there("ipv4"), [
    ...all("192.0.2.1", ["ESTABLISHED", "FIN_WAIT", "SYN_SENT"]),
    ...all("192.0.2.2", states.toSorted()),
  ]);
});

test("an address that is counted anew while others are told of is not told what was counted before", async () => {
  const time = new SimulatedClock();
  const thousands = Array.from({ length: 1_500 }, (_, i) => address(`198.18.${i >> 8}.${i & 255}`));
  const [again = address("198.18.0.0")] = thousands.slice(-1);
  const told: ReadonlyMap<string, number>[] = [];
  const onCounts = (counts: ReadonlyMap<string, number>) => {
    told.push(counts);
    if (told.length > 1) return;
    counter.want(again, false); // It moved, and came back.
    counter.want(again, true);
  };
  const counter = new FlowCounter({ onCounts, log: silentLog, clock: time });
  using _ = counter;
  for (const one of thousands) counter.want(one, true);
  time.advanceBy(250);
  await until(() => told.length === 2);
  assert.equal(told[1]?.has(`${again}`), false);
  await sleep(50);
  time.advanceBy(5_000);
  await until(() => told.length === 4);
  assert.equal(told[3]?.has(`${again}`), true);
});

test("a process that begins counts soon, so that others hear of connections of an earlier one", async () => {
  const time = new SimulatedClock();
  let counts = 0;
  using counter = new FlowCounter({ onCounts: () => counts++, log: silentLog, clock: time });
  counter.want(address("192.0.2.1"), true);
  time.advanceBy(250);
  await until(() => counts === 1);
  counter.want(address("192.0.2.2"), true);
  time.advanceBy(4_999);
  await sleep(100);
  assert.equal(counts, 1);
});

test("all that is wanted when addresses are announced is in the kernel, however much that is", async () => {
  const keeper = start();
  const thousand = Array.from({ length: 1_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`);
  for (const to of ["10.0.0.2", "10.0.0.3"]) {
    for (const one of thousand) hand(keeper, one, { to: address(to) });
    keeper.flush();
    assert.equal(table().split(` : ${to}`).length - 1, thousand.length, to);
  }
  await drop(keeper, ...thousand);
});

test("ten thousand addresses are handed over, each hundred as soon as it is asked for", async () => {
  const keeper = start();
  for (let i = 0; i < 10_000; i++) {
    hand(keeper, `198.18.${i >> 8}.${i & 255}`);
    if (i % 100 === 99) keeper.flush();
  }
  assert.equal((table().match(/198\.18\.\d+\.\d+ : 10/g) ?? []).length, 10_000);
  await drop(keeper, ...Array.from({ length: 10_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`));
});
