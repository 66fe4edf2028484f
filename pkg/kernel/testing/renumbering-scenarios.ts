import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { type Random, SystemClock } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { interfaceIndexOf, type KernelRequest, Rtnetlink } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { KernelKeeper } from "../keeper.ts";
import type { AddressItem } from "../state/items.ts";

// Run in a network namespace of its own, by `keeper.test.ts`: a node whose own addresses change while its NIC has those of Services, beside one
// that has no speaker. After each change both have the same own addresses, routes and sources.
const mark = 248;
const seeds = Number(process.env.SEEDS ?? 4);
const stepsOfSeed = 8;
const folder = mkdtempSync(join(tmpdir(), "ingot-"));
const own = ["10.0.0.5/24", "10.0.0.6/24", "10.0.0.5/25", "10.1.0.7/24", "fd00::5/64", "fd00::6/64", "fd01::7/64"];
const services = ["10.0.0.100", "10.0.0.101", "fd00::100"];
const control = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep infinity"], {
  stdio: ["ignore", "pipe", "inherit"],
});
await once(control.stdout, "data");
after(() => void control.kill());

/** Runs a program on a node. */
type Run = (program: string, argv: readonly string[], input?: string) => string;
const node: Run = (program, argv, input) =>
  execFileSync(program, argv, { encoding: "utf8", input, stdio: ["pipe", "pipe", "ignore"] });
const withoutSpeaker: Run = (program, argv, input) =>
  node("nsenter", [`--net=/proc/${control.pid}/ns/net`, program, ...argv], input);
const nodes = [node, withoutSpeaker];

function start(wanted: readonly string[] = services): KernelKeeper {
  const clock = new SystemClock();
  const keeper = new KernelKeeper({
    node: "node1",
    folder,
    log: silentLog,
    clock,
    onDisturbance: () => {},
    onProblems: () => {},
  });
  keeper.want("services", wanted.map(item));
  keeper.complete();
  return keeper;
}

function item(text: string): AddressItem {
  const one = address(text);
  const traits = { protocol: mark, lifetimeSeconds: 60, isOnLan: true } as const;
  return { type: "address", interface: "eth0", address: one, prefixLength: one.bits, ...traits };
}

function prepare(run: Run, lines: readonly string[]): void {
  try {
    run("ip", ["link", "del", "eth0"]);
  } catch {
    // The first test makes it.
  }
  run("ip", ["link", "set", "lo", "up"]);
  run("ip", ["link", "add", "eth0", "address", "02:00:00:00:00:05", "type", "veth", "peer", "name", "lan0"]);
  for (const name of ["eth0", "lan0"]) {
    run("sysctl", ["-qw", `net.ipv6.conf.${name}.accept_dad=0`]);
    run("ip", ["link", "set", name, "up"]);
  }
  batch(run, lines);
}

/** Runs each line, also after a failure of the lines before. */
function batch(run: Run, lines: readonly string[]): void {
  try {
    run("ip", ["-force", "-batch", "-"], `${lines.join("\n")}\n`);
  } catch {
    // An address may be missing, and is on both nodes then.
  }
}

interface Shown {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly secondary?: boolean;
  readonly deprecated?: boolean;
}

function addressesOf(run: Run, name = "eth0"): readonly Shown[] {
  const [link] = JSON.parse(run("ip", ["-json", "address", "show", "dev", name])) as { addr_info: Shown[] }[];
  return link?.addr_info ?? [];
}

const isOurs = (text: string | undefined): boolean => services.includes(text ?? "");
const text = ({ local, prefixlen, secondary = false }: Shown): string => `${local}/${prefixlen}${secondary ? " secondary" : ""}`;

function routesOf(run: Run): string[] {
  const all = ["-4", "-6"].flatMap((family) => {
    const found = run("ip", ["-json", family, "route", "show", "table", "all", "dev", "eth0"]);
    return JSON.parse(found === "" ? "[]" : found) as Readonly<Record<string, unknown>>[];
  });
  const fields = ["type", "dst", "table", "protocol", "scope", "prefsrc", "gateway"];
  return all
    .filter(({ dst }) => !isOurs(dst as string))
    .map((route) => fields.map((field) => route[field] ?? "").join(" "))
    .sort();
}

function sourceTo(run: Run, destination: string): string {
  try {
    const [found] = JSON.parse(run("ip", ["-json", "route", "get", destination])) as { dev: string; prefsrc?: string }[];
    return `${found?.dev} ${found?.prefsrc}`;
  } catch {
    return "none";
  }
}

/** The node's own addresses, routes and sources. `hasSpeaker`: also the sources that depend on which address of the NIC comes first. */
function ownState(run: Run, hasSpeaker: boolean) {
  const addresses = addressesOf(run).filter(({ local }) => !isOurs(local));
  const hasGlobal = (family: string) => addresses.some(({ local, scope }) => scope === "global" && local.includes(family));
  const destinations = [
    ...(hasGlobal(".") ? ["10.0.0.9", "203.0.113.1", ...(hasSpeaker ? ["198.18.0.1", "224.0.0.1"] : [])] : []),
    ...(hasGlobal(":") ? ["fd00::9", "fd01::9", "2001:db8::1"] : []),
  ];
  const sources = destinations.map((one) => `${one} by ${sourceTo(run, one)}`);
  return { addresses: addresses.map(text), routes: routesOf(run), sources };
}

/** Ours, all of them, with the length of an address, and those of IPv4 behind the node's own. */
function isKept(): boolean {
  const all = addressesOf(node);
  const found = all.filter(({ local }) => isOurs(local)).map(text);
  const v4 = all.filter(({ local, secondary }) => local.includes(".") && secondary !== true).map(({ local }) => isOurs(local));
  return (
    isDeepStrictEqual(found.sort(), ["10.0.0.100/32", "10.0.0.101/32", "fd00::100/128"]) &&
    !v4.slice(v4.indexOf(true)).includes(false)
  );
}

/** Waits as a process that stands still: nothing of it runs meanwhile. */
const stand = (): void => void execFileSync("sleep", ["0.05"]);

async function same(wait: () => unknown, hasSpeaker: boolean, what: string): Promise<void> {
  const seen = () => nodes.map((run) => ownState(run, hasSpeaker));
  for (const end = performance.now() + 60_000; ; await wait()) {
    const [here, there] = seen();
    if (isDeepStrictEqual(here, there) && (!hasSpeaker || isKept())) return;
    if (performance.now() < end) continue;
    assert.deepEqual(here, there, what);
    assert.ok(isKept(), `${what}: ${addressesOf(node).map(text)}`);
  }
}

/** Routes that a manager of the node's network sets: the kernel drops them with the last address of a NIC. */
function managed(): string[] {
  const has = (start: string) => addressesOf(withoutSpeaker).some(({ local }) => local.startsWith(start));
  const gateway = has("10.1.") && !has("10.0.") ? "10.1.0.1" : "10.0.0.1";
  const routes = [`route replace default via ${gateway} dev eth0 onlink`, "route replace 198.18.0.0/16 dev eth0"];
  return [...routes, "route replace ::/0 via fe80::1 dev eth0"];
}

/** One change of the node's own addresses, as lines of `ip`. */
function drawChange(random: Random): string[] {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const [one, other] = [pick(own), pick(own)];
  const add = (what: string) => `addr add ${what} dev eth0${what.includes(":") ? " nodad" : ""}`;
  const del = (what: string) => `addr del ${what} dev eth0`;
  return pick([
    [add(one)],
    [del(one)],
    [del(one), add(other)],
    [add(one), del(other)],
    [del(one), add(one)],
    ["addr flush dev eth0 scope global", add(one), add(other)],
    ["link set eth0 down", "link set eth0 up"],
    [del("10.0.0.5/24"), add("10.0.0.5/25")],
    [add("10.0.0.5/25"), del("10.0.0.5/24")],
    [`addr replace ${one} dev eth0 valid_lft 3600 preferred_lft 1800`],
  ]);
}

for (let seed = 1; seed <= seeds; seed++)
  test(`seed ${seed}: after each change of its own addresses a node has and uses them as one without a speaker`, async () => {
    const random = seededRandom(seed);
    for (const run of nodes) {
      prepare(run, [...["10.0.0.5/24", "fd00::5/64"].map((one) => `addr add ${one} dev eth0`)]);
      run("sysctl", ["-qw", `net.ipv4.conf.eth0.promote_secondaries=${seed % 2}`]);
    }
    let keeper = start();
    try {
      await same(() => sleep(20), true, "at the beginning");
      for (let step = 1; step <= stepsOfSeed; step++) {
        const lines = drawChange(random);
        const speaker = (["prompt", "stalled", "killed"] as const)[Math.floor(random() * 3)];
        const what = `seed ${seed}, step ${step}, speaker ${speaker}: ${lines.join("; ")}`;
        if (speaker === "killed") await keeper[Symbol.asyncDispose](); // It leaves the kernel as it is.
        if (speaker === "prompt")
          for (const line of lines) {
            for (const run of nodes) batch(run, [line]);
            await sleep(random() < 0.5 ? 0 : 30);
          }
        else for (const run of nodes) batch(run, lines);
        const routes = managed();
        for (const run of nodes) batch(run, routes);
        if (speaker !== "prompt") await same(stand, false, what);
        if (speaker === "killed") keeper = start();
        await same(() => sleep(20), true, what);
      }
    } finally {
      await keeper[Symbol.asyncDispose]();
    }
  });

for (const isBroken of [false, true])
  test(`the next version takes over what the one before put there with the NIC's own lengths, ${isBroken ? "and the node has its network back" : "and answers all the time"}`, async () => {
    prepare(node, ["addr add 10.0.0.5/24 dev eth0"]);
    node("sysctl", ["-qw", "net.ipv4.conf.eth0.promote_secondaries=1"]); // As it did.
    using link = new Rtnetlink();
    const interfaceIndex = interfaceIndexOf("eth0") ?? assert.fail();
    const former = services.map((one): KernelRequest => {
      const traits = { protocol: mark, validSeconds: 60, hasHostScope: false, noPrefixRoute: true };
      const prefixLength = one.includes(":") ? 64 : 24;
      return { type: "setAddress", replaces: false, interfaceIndex, address: address(one), prefixLength, ...traits };
    });
    assert.deepEqual(link.perform(former), [0, 0, 0]);
    if (isBroken) batch(node, ["addr add 10.0.0.6/24 dev eth0", "addr del 10.0.0.5/24 dev eth0"]); // Which promotes one of ours.
    assert.equal(sourceTo(node, "10.0.0.9"), isBroken ? "none" : "eth0 10.0.0.5");
    const monitor = spawn("ip", ["-oneline", "monitor", "route"], { stdio: ["ignore", "pipe", "inherit"] });
    after(() => void monitor.kill());
    let seen = "";
    monitor.stdout.on("data", (data) => {
      seen += data;
    });
    const told = async (route: string) => {
      for (; !seen.includes(route); await sleep(20)) batch(node, [`route del ${route} dev lo`, `route add ${route} dev lo`]);
    };
    await told("198.18.1.1");
    await using _keeper = start();
    while (!isKept()) await sleep(20);
    await told("198.18.1.2");
    assert.equal(sourceTo(node, "10.0.0.9"), isBroken ? "eth0 10.0.0.6" : "eth0 10.0.0.5");
    for (const one of isBroken ? [] : services.slice(0, 2)) {
      const changes = seen.split("\n").filter((line) => line.includes(`local ${one} `));
      assert.match(changes.map((line) => (line.startsWith("Deleted") ? "-" : "+")).join(""), /^(\+-)+$/, "never without");
    }
  });

test("what is kept for routing daemons is no source of what the node sends", async () => {
  prepare(node, ["addr add 10.255.0.1/32 dev lo", "addr add 2001:db8:ff::1/128 dev lo", "route add default dev eth0"]);
  const sources = () => ["203.0.113.1", "2001:db8::1"].map((one) => sourceTo(node, one));
  const own = ["eth0 10.255.0.1", "eth0 2001:db8:ff::1"];
  for (; !isDeepStrictEqual(sources(), own); await sleep(20)) batch(node, ["route replace ::/0 via fe80::1 dev eth0"]);
  const routed = { interface: "alb0", isOnLan: false, lifetimeSeconds: Infinity };
  const wanted = ["198.51.100.1", "2001:db8::2"].map((one) => Object.assign(item(one), routed));
  await using keeper = start([]);
  keeper.want("routed", wanted);
  while (keeper.statusOf("routed").some(({ place }) => place !== "placed")) await sleep(20);
  assert.deepEqual(sources(), own);
  batch(node, ["addr del 10.255.0.1/32 dev lo"]);
  assert.doesNotMatch(sources().join(), /198\.51\.100\.1/, "not even where the node has no address of its own");
});
