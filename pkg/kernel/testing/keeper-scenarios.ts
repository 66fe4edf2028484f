import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { type Clock, SystemClock } from "#pkg/clock";
import { silentLog } from "#pkg/log/testing";
import { address, prefix } from "#pkg/net/testing";
import { KernelKeeper } from "../keeper.ts";
import type { AddressItem, RouteItem } from "../state/items.ts";

// Run in a network namespace of its own, by `keeper.test.ts`. New interfaces are dummies or bridges, as the kernel
// allows.
const folder = mkdtempSync(join(tmpdir(), "ingot-"));
const permanent = { type: "address", protocol: 248, lifetimeSeconds: Infinity, isOnLan: false } as const;
const started: KernelKeeper[] = [];
after(async () => void (await Promise.all(started.map((one) => one[Symbol.asyncDispose]()))));

function ip(line: string): string {
  return execFileSync("ip", line.split(" "), { encoding: "utf8", stdio: "pipe" });
}

function start(node = "node1", clock: Clock = new SystemClock()): KernelKeeper & { messages: string[] } {
  const messages: string[] = [];
  const onDisturbance = (message: string) => void messages.push(message);
  const keeper = new KernelKeeper({
    node,
    folder,
    log: silentLog,
    clock,
    onDisturbance,
    onProblems: () => {},
  });
  started.push(keeper);
  return Object.assign(keeper, { messages });
}

async function until(condition: () => boolean, milliseconds = 60_000): Promise<void> {
  for (const end = performance.now() + milliseconds; !condition(); await sleep(2))
    if (performance.now() > end) assert.fail(`not within ${milliseconds} ms: ${condition}`);
}

function on(interfaceName: string, text: string, prefixLength = text.includes(":") ? 128 : 32): AddressItem {
  return { ...permanent, interface: interfaceName, address: address(text), prefixLength };
}

function route(text: string, table = 198): RouteItem {
  return { type: "route", interface: "lb0", prefix: prefix(text), table, protocol: 248 };
}

/** The addresses of an interface, without link-local ones. */
function addressesOf(name: string): string[] {
  try {
    const [link] = JSON.parse(ip(`-json addr show dev ${name}`));
    const found = link.addr_info.filter((one: { scope: string }) => one.scope !== "link");
    return found.map((one: { local: string; prefixlen: number }) => `${one.local}/${one.prefixlen}`).sort();
  } catch {
    return [];
  }
}

const routesOf = (table: number): string[] => {
  const all = ["-4", "-6"].flatMap((family) => {
    try {
      return JSON.parse(ip(`-json ${family} route show table ${table}`)) as { dst: string }[];
    } catch {
      return []; // There is no such table.
    }
  });
  return all.map(({ dst }) => dst).sort();
};

test("addresses of both families are placed on an interface that is made, and removed; the interface stays", async () => {
  await using keeper = start();
  keeper.want("a", [on("lb0", "192.0.2.1"), on("lb0", "2001:db8::1")]);
  keeper.complete();
  await until(() => addressesOf("lb0").join() === "192.0.2.1/32,2001:db8::1/128");
  assert.deepEqual(
    keeper.statusOf("a").map(({ place, error }) => [place, error]),
    [
      ["placed", undefined],
      ["placed", undefined],
    ],
  );
  keeper.want("a", []);
  await until(() => addressesOf("lb0").length === 0);
  assert.ok(keeper.interfaces().length === 0 && ip("link show lb0").includes("lb0"));
});

test("a keeper that stops removes routes, waits until daemons had time to tell that, and only then removes addresses", async () => {
  const system = new SystemClock();
  let letGoOn: (() => void) | undefined;
  const clock: Clock = {
    now: () => system.now(),
    schedule(name, at, fn) {
      if (name !== "routes are withdrawn") return system.schedule(name, at, fn);
      letGoOn = fn;
      return { [Symbol.dispose]() {} };
    },
  };
  await using keeper = start("node1", clock);
  keeper.want("a", [on("lb0", "192.0.2.1")]);
  keeper.want("r", [route("198.51.100.7/32")]);
  keeper.complete();
  await until(() => addressesOf("lb0").length === 1 && routesOf(198).length === 1);
  const stopped = keeper.stop();
  await Promise.race([stopped, until(() => letGoOn !== undefined)]);
  assert.deepEqual([addressesOf("lb0"), routesOf(198)], [["192.0.2.1/32"], []]);
  letGoOn?.();
  await stopped;
  assert.deepEqual(addressesOf("lb0"), []);
});

test("a process that exits without disposing does not hang on the wait for the kernel", () => {
  const script = `(async () => {
    const [{ KernelKeeper }, { SystemClock }, { silentLog }, { address }] =
      await Promise.all(["kernel", "clock", "log/testing", "net/testing"].map((name) => import("#pkg/" + name)));
    const folder = ${JSON.stringify(folder)};
    const told = { onDisturbance() {}, onProblems() {} };
    const keeper = new KernelKeeper({ node: "exits", folder, ...told, log: silentLog, clock: new SystemClock() });
    keeper.want("a", [{ ...${JSON.stringify({ ...permanent, lifetimeSeconds: 3_600, interface: "exits0", prefixLength: 32 })}, address: address("192.0.2.99") }]);
    while (keeper.statusOf("a")[0].place !== "placed") await new Promise((resolve) => setTimeout(resolve, 5));
    setTimeout(() => process.exit(7), 200);
  })()`;
  const { status } = spawnSync(process.execPath, ["--eval", script], { timeout: 30_000, killSignal: "SIGKILL" });
  ip("link delete exits0");
  assert.equal(status, 7);
});

test("what is deleted by hand is back at once, also when everything is, and when the interface is", async () => {
  await using keeper = start();
  const items = Array.from({ length: 300 }, (_, i) => on("lb0", `192.0.2.${i % 250}`, 24 + (i < 250 ? 8 : 7)));
  keeper.want("a", [...items, on("lb0", "2001:db8::1")]);
  keeper.want("r", [route("198.51.100.7/32"), route("2001:db8:1::/64")]);
  keeper.complete();
  const whole = { addresses: 301, routes: 2 };
  const isWhole = () => isDeepStrictEqual({ addresses: addressesOf("lb0").length, routes: routesOf(198).length }, whole);
  await until(isWhole);
  for (const line of ["addr del 192.0.2.7/32 dev lb0", "-6 addr del 2001:db8::1/128 dev lb0", "route flush table 198"]) {
    ip(line);
    await until(isWhole);
  }
  ip("addr flush dev lb0");
  await until(isWhole);
  ip("link set lb0 down"); // Which takes the IPv6 addresses, and the routes.
  await until(() => isWhole() && ip("link show lb0").includes(",UP"));
  ip("link del lb0");
  await until(isWhole);
  assert.ok(keeper.restored >= 300, `${keeper.restored}`);
  await until(() => keeper.messages.length > 0);
  assert.match(keeper.messages.join(), /put back \d+ times: .*on lb0/);
});

test("another interface of another name takes the place of one that was renamed", async () => {
  await using keeper = start();
  keeper.want("a", [on("lb1", "192.0.2.1")]);
  keeper.complete();
  await until(() => addressesOf("lb1").length === 1);
  ip("link set lb1 down");
  ip("link set lb1 name lb9");
  await until(() => addressesOf("lb1").length === 1 && addressesOf("lb9").length === 0);
});

test("what is there already, and not ours, is left alone whatever is wanted", async () => {
  ip("link add for0 type bridge");
  ip("link set for0 up");
  ip("addr add 203.0.113.1/24 dev for0");
  ip("addr add 203.0.113.2/32 dev for0");
  ip("route add 203.0.113.64/26 dev for0 table 198 proto static");
  await using keeper = start("node2");
  keeper.want("same", [on("for0", "203.0.113.2")]);
  keeper.want("node", [on("lb2", "203.0.113.1")]);
  keeper.want("route", [{ ...route("203.0.113.64/26"), interface: "for0" }]);
  keeper.complete();
  const place = (owner: string) => keeper.statusOf(owner).map(({ place: where, by }) => `${where} ${by ?? ""}`.trim());
  await until(() => place("same").join() === "foreign" && place("node").join() === "held for0");
  for (const owner of ["same", "node", "route"]) keeper.want(owner, []);
  await keeper.stop();
  assert.deepEqual(addressesOf("for0"), ["203.0.113.1/24", "203.0.113.2/32"]);
  assert.ok(routesOf(198).includes("203.0.113.64/26"));
  assert.deepEqual(addressesOf("lb2"), []);
});

test("an address of a NIC stays there beside others' until the keeper is disposed, and is put there where nobody else has it", async () => {
  ip("link add nic0 type bridge");
  ip("link set nic0 up");
  ip("addr add 198.51.100.1/24 dev nic0");
  const guest = (text: string) => ({ ...on("nic0", text), isOnLan: true });
  {
    await using keeper = start();
    keeper.want("a", [guest("198.51.100.9")]);
    keeper.complete();
    await until(() => addressesOf("nic0").length === 2);
    keeper.want("b", [guest("198.51.100.10")]);
    await until(() => addressesOf("nic0").length === 3);
    keeper.want("a", []);
    await until(() => addressesOf("nic0").join() === "198.51.100.1/24,198.51.100.10/32");
    ip("addr add 198.51.100.11/24 dev nic0"); // Another program's, with another length.
    keeper.want("c", [guest("198.51.100.11")]);
    await until(() => keeper.statusOf("c")[0]?.place === "held");
    ip("addr del 198.51.100.11/24 dev nic0");
    await until(() => keeper.statusOf("c")[0]?.place === "placed");
    keeper.want("c", []);
    await keeper.stop();
    assert.ok(addressesOf("nic0").includes("198.51.100.10/32"));
  }
  assert.deepEqual(addressesOf("nic0"), ["198.51.100.1/24"]);
});

test("the next life adopts what it finds without touching it, and removes what nobody wants once it knows that", async () => {
  const first = start();
  first.want("a", [on("lb3", "192.0.2.1")]);
  first.want("b", [on("lb3", "192.0.2.2")]);
  first.want("r", [{ ...route("198.51.100.1/32", 4_000), interface: "lb3" }]);
  await until(() => addressesOf("lb3").length === 2 && routesOf(4_000).length === 1);
  await first[Symbol.asyncDispose](); // Nothing is removed, as in a crash.
  assert.match(readFileSync(join(folder, "kernel-node1.json"), "utf8"), /"protocols":\[248\],"tables":\[.*4000/);
  const watch = start();
  watch.want("a", [on("lb3", "192.0.2.1")]);
  await until(() => watch.statusOf("a")[0]?.place === "placed");
  await sleep(100);
  assert.deepEqual(addressesOf("lb3"), ["192.0.2.1/32", "192.0.2.2/32"]); // Not all is known yet.
  watch.complete();
  await until(() => addressesOf("lb3").join() === "192.0.2.1/32" && routesOf(4_000).length === 0);
  assert.equal(watch.restored, 0);
  await watch.stop();
  assert.deepEqual(addressesOf("lb3"), []);
});

test("a lifetime is renewed, and what is permanent gets one when that is asked for", async () => {
  await using keeper = start();
  const lifetime = () => Number(/valid_lft (\d+)sec/.exec(ip("addr"))?.[1] ?? Infinity);
  keeper.want("a", [{ ...on("lb4", "192.0.2.1"), lifetimeSeconds: 8 }]);
  keeper.complete();
  await until(() => addressesOf("lb4").length === 1 && lifetime() <= 8);
  await sleep(9_000);
  assert.deepEqual(addressesOf("lb4"), ["192.0.2.1/32"]);
  keeper.want("a", [on("lb4", "192.0.2.1")]);
  await until(() => lifetime() === Infinity);
  assert.equal(keeper.restored, 0);
});

test("an address that another program removes again and again is put back again and again, at a bounded pace", async () => {
  await using keeper = start();
  keeper.want("a", [on("lb5", "192.0.2.1")]);
  keeper.complete();
  await until(() => addressesOf("lb5").length === 1);
  const before = keeper.restored;
  let removed = 0;
  for (const end = performance.now() + 2_000; removed < 3 || performance.now() < end; await sleep(1))
    if (addressesOf("lb5").length > 0) {
      ip("addr del 192.0.2.1/32 dev lb5");
      removed++;
    }
  assert.ok(removed >= 3 && removed < 15, `${removed}`); // 20 ms, 40 ms, … 1.3 s.
  await until(() => addressesOf("lb5").length === 1);
  assert.ok(keeper.restored > before);
});

test("IPv6 addresses wait for an interface on which IPv6 is on", async () => {
  ip("link add v0 type bridge");
  execFileSync("sysctl", ["-qw", "net.ipv6.conf.v0.disable_ipv6=1"]);
  await using keeper = start();
  keeper.want("a", [on("v0", "2001:db8::5")]);
  keeper.complete();
  await until(() => keeper.statusOf("a")[0]?.error !== undefined);
  execFileSync("sysctl", ["-qw", "net.ipv6.conf.v0.disable_ipv6=0"]);
  await until(() => addressesOf("v0").length === 1);
});

test("without the capability NET_ADMIN nothing is placed, and that is said before anything is wanted, once", () => {
  const script = `Promise.all([import("#pkg/kernel"), import("#pkg/clock"), import("#pkg/log/testing"), import("#pkg/net")]).then(
    ([{ KernelKeeper }, { SystemClock }, { silentLog }, { parseAddress }]) => {
      const onProblems = (_problems, failure) => console.log(failure);
      const options = { node: "none", folder: "/nowhere", log: silentLog, clock: new SystemClock(), onDisturbance() {}, onProblems };
      const item = { type: "address", interface: "no0", address: parseAddress("192.0.2.1"), prefixLength: 32, protocol: 248 };
      const keeper = new KernelKeeper(options);
      keeper.check();
      console.log("checked");
      keeper.want("a", [{ ...item, lifetimeSeconds: Infinity, isOnLan: false }]);
    })`;
  const without = ["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", process.execPath, "--eval", script];
  assert.equal(
    execFileSync("setpriv", without, { encoding: "utf8" }).trim(),
    "the process needs the capability NET_ADMIN\nchecked",
  );
});

test("a route of somebody else's for the same prefix is left, said of, and gives way to ours when it is gone", async () => {
  ip("link add lb10 type bridge");
  ip("link set lb10 up");
  ip("route add 198.51.100.10/32 dev lb10 table 6000 proto static");
  await using keeper = start();
  keeper.want("r", [{ ...route("198.51.100.10/32", 6_000), interface: "lb10" }]);
  keeper.complete();
  await until(() => keeper.statusOf("r")[0]?.error === "EEXIST");
  assert.match(ip("route show table 6000"), /proto static/);
  ip("route del 198.51.100.10/32 dev lb10 table 6000");
  await until(() => keeper.statusOf("r")[0]?.place === "placed", 20_000);
});

test("a keeper that gets no descriptors says so, and goes on when there are some", async () => {
  const told: (string | undefined)[] = [];
  const onProblems = (_problems: unknown, failure: string | undefined) => void told.push(failure);
  const clock = new SystemClock();
  await using keeper = new KernelKeeper({ node: "poor", folder, log: silentLog, clock, onDisturbance: () => {}, onProblems });
  keeper.check();
  const shell = spawn("sh", [
    "-c",
    `prlimit --pid ${process.pid} --nofile=3:4096; echo low; sleep 1; prlimit --pid ${process.pid} --nofile=4096`,
  ]);
  await once(shell.stdout, "data");
  keeper.want("a", [on("lb12", "192.0.2.12")]);
  keeper.complete();
  assert.match(`${told}`, /EMFILE/);
  await until(() => addressesOf("lb12").length === 1, 20_000);
  assert.equal(told.at(-1), undefined);
});

/** Leaves this process room for `room` more descriptors; if negative, none at all, whatever it closes. @returns what takes the bound away */
async function withFewDescriptors(room: number): Promise<() => Promise<void>> {
  const limit = (soft: number | string) => `prlimit --pid ${process.pid} --nofile=${soft}:4096; echo done`;
  const shell = spawn("sh", ["-c", `read soft; ${limit("$soft")}; read ignored; ${limit(4_096)}`]);
  const free = openSync("/dev/null", "r");
  closeSync(free);
  shell.stdin.write(`${room < 0 ? 3 : free + room}\n`);
  await once(shell.stdout, "data");
  return async () => {
    shell.stdin.end("\n");
    await once(shell, "close");
  };
}

test("a keeper that gets its first descriptor and no second tries again", async () => {
  for (const room of [1, 2]) {
    await using keeper = start("poor");
    const enough = await withFewDescriptors(room);
    keeper.want("a", [on("lb13", "192.0.2.13")]);
    keeper.complete();
    await until(() => keeper.failure?.includes("EMFILE") ?? false);
    await enough();
    await until(() => addressesOf("lb13").length === 1, 20_000);
    await keeper.stop();
    assert.deepEqual(addressesOf("lb13"), []);
  }
});

test("a keeper that stops while it waits for descriptors leaves nothing in the kernel, nor does one that has just begun", async () => {
  const keeper = start("poor");
  keeper.want("a", [on("lb13", "192.0.2.13")]);
  await until(() => addressesOf("lb13").length === 1);
  const enough = await withFewDescriptors(-1);
  keeper.want("b", [{ ...on("lb13", "192.0.2.14"), protocol: 249 }]); // Its socket has to be opened again.
  keeper.complete();
  await until(() => keeper.failure !== undefined);
  await enough();
  await keeper.stop();
  assert.deepEqual(addressesOf("lb13"), []);

  const before = start("poor");
  before.want("a", [on("lb13", "192.0.2.13")]);
  await until(() => addressesOf("lb13").length === 1);
  await before[Symbol.asyncDispose](); // As when it is killed.
  const next = start("poor");
  next.complete();
  await next.stop();
  assert.deepEqual(addressesOf("lb13"), []);
});

test("two keepers of one node, as after a second start: neither touches what the other keeps, and one goes on when the other stops", async () => {
  await using first = start();
  await using second = start();
  for (const each of [first, second]) {
    each.want("a", [on("lb6", "192.0.2.1")]);
    each.want("r", [{ ...route("198.51.100.9/32", 5_000), interface: "lb6" }]);
    each.complete();
  }
  const places = (keeper: KernelKeeper) => [...keeper.status()].map(({ place }) => place).join();
  await until(() => [first, second].every((each) => places(each) === "placed,placed"));
  assert.deepEqual([first.restored, second.restored], [0, 0]);
  await first.stop();
  await until(() => places(second) === "placed,placed" && addressesOf("lb6").length === 1 && routesOf(5_000).length === 1);
});

test("a process that stands still for longer than the lifetime of its addresses puts them back when it goes on", async () => {
  await using keeper = start();
  keeper.want("a", [{ ...on("lb7", "192.0.2.1"), lifetimeSeconds: 2 }]);
  keeper.complete();
  await until(() => addressesOf("lb7").length === 1);
  execFileSync("sleep", ["4"]); // Nothing of this process runs meanwhile, as after SIGSTOP.
  assert.deepEqual(addressesOf("lb7"), []);
  await until(() => addressesOf("lb7").length === 1);
  assert.equal(keeper.restored, 0, "nobody took it away");
});

test("where no lifetime is given an address on a NIC goes soon when its process is gone, unless the next one adopts it", async () => {
  ip("link add nic9 type bridge");
  ip("link set nic9 up");
  const item = { ...on("nic9", "192.0.2.1"), lifetimeSeconds: undefined, isOnLan: true };
  const keep = (keeper: KernelKeeper) => {
    keeper.want("a", [item]);
    keeper.complete();
    return until(() => keeper.statusOf("a")[0]?.place === "placed");
  };
  await keep(start());
  for (const lives of [true, false]) {
    await started.at(-1)?.[Symbol.asyncDispose](); // It leaves the kernel as it is, as when it is killed.
    assert.deepEqual(addressesOf("nic9"), ["192.0.2.1/32"]);
    if (lives) await keep(start());
  }
  await until(() => addressesOf("nic9").length === 0, 60_000);
});

test("when the kernel tells more than is read, everything is read again, and what was taken away meanwhile is back", async () => {
  ip("link add noise type bridge");
  await using keeper = start();
  keeper.want("a", [on("lb8", "192.0.2.1"), on("lb8", "2001:db8::1")]);
  keeper.complete();
  await until(() => addressesOf("lb8").length === 2);
  const noise = (what: string) => Array.from({ length: 16_000 }, (_, i) => `addr ${what} 10.${i >> 8}.${i & 255}.1/32 dev noise`);
  // Nothing is read before this is done, so that the first messages fill the socket and the deletions are not told.
  const input = [...noise("add"), "addr del 192.0.2.1/32 dev lb8", "addr del 2001:db8::1/128 dev lb8"].join("\n");
  execFileSync("ip", ["-batch", "-"], { input, stdio: ["pipe", "pipe", "inherit"] });
  const dropped = readFileSync("/proc/net/netlink", "utf8").split("\n");
  assert.ok(
    dropped.slice(1).some((line) => Number(line.trim().split(/\s+/)[8]) > 0),
    "no message was lost, so this shows nothing",
  );
  await until(() => addressesOf("lb8").length === 2, 20_000);
  ip("link del noise");
});

test("a table that is full of others' routes: ours come and go among them, and theirs stay", async () => {
  ip("link add for1 type bridge");
  ip("link set for1 up");
  const lines = Array.from(
    { length: 10_000 },
    (_, i) => `route add 10.${i >> 8}.${i & 255}.0/24 dev for1 table 6000 proto static`,
  );
  execFileSync("ip", ["-batch", "-"], { input: lines.join("\n") });
  const count = (protocol: string) => ip(`route show table 6000 proto ${protocol}`).split("\n").length - 1;
  const keeper = start();
  // The last two are there already, and not ours.
  const wanted = ["10.200.0.1/32", "10.200.0.2/32", "10.0.0.0/24", "10.0.1.0/24"];
  for (const text of wanted) keeper.want(text, [route(text, 6_000)]);
  keeper.complete();
  await until(() => count("248") === 2);
  execFileSync("ip", ["route", "flush", "table", "6000", "proto", "248"]);
  await until(() => count("248") === 2);
  assert.ok(wanted.slice(2).every((text) => keeper.statusOf(text)[0]?.place !== "placed"));
  await keeper.stop();
  assert.deepEqual([count("248"), count("static")], [0, 10_000]);
});

test("the interface loses its carrier, and is too small for IPv6 for a while: IPv4 stays, and IPv6 comes back", async () => {
  ip("link add lb11 type veth peer name peer11");
  ip("link set peer11 up");
  await using keeper = start();
  keeper.want("a", [on("lb11", "192.0.2.1")]);
  keeper.want("b", [on("lb11", "2001:db8::1")]);
  keeper.complete();
  await until(() => addressesOf("lb11").length === 2);
  ip("link set peer11 down");
  await until(() => ip("link show lb11").includes("NO-CARRIER"));
  assert.deepEqual(addressesOf("lb11"), ["192.0.2.1/32", "2001:db8::1/128"]);
  ip("link set lb11 mtu 1000");
  await until(() => keeper.statusOf("b")[0]?.error !== undefined);
  assert.deepEqual(addressesOf("lb11"), ["192.0.2.1/32"]);
  ip("link set lb11 mtu 1500");
  await until(() => addressesOf("lb11").length === 2, 20_000);
});

test("an interface in a VRF has its addresses all the same", async (t) => {
  try {
    ip("link add red type vrf table 900");
  } catch {
    return t.skip("this kernel has no VRFs: modprobe vrf");
  }
  await using keeper = start();
  keeper.want("a", [on("lb12", "192.0.2.1"), { ...route("198.51.100.1/32"), interface: "lb12" }]);
  keeper.complete();
  await until(() => addressesOf("lb12").length === 1 && routesOf(198).includes("198.51.100.1"));
  ip("link set red up");
  ip("link set lb12 master red"); // Which takes IPv6 addresses and routes off.
  await until(() => addressesOf("lb12").length === 1 && routesOf(198).includes("198.51.100.1"));
});
