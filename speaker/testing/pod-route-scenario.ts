/** The last Pod of a node goes, and another one comes. Run by `data-path.test.ts`, in a network namespace of its own. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { silentLog } from "#pkg/log/testing";
import { DataPath } from "../data-path.ts";

const ip = (line: string) => execFileSync("ip", line.split(" "));
function addPod(): void {
  ip("link add pod0 type veth peer name end0");
  ip("link set pod0 master cni0 up");
  ip("link set end0 up");
}

ip("link set lo up");
ip("link add cni0 type bridge");
addPod();
ip("link set cni0 up");
ip("addr add 10.244.1.1/24 dev cni0");
// As routing daemons want it: a bridge without ports has no carrier, and its route does not count.
writeFileSync("/proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown", "1");

const clock = new SimulatedClock();
const told: (readonly [isWithoutRoute: boolean, hasPods: boolean])[] = [];
using dataPath = new DataPath({
  view: {
    podCIDRs: ["10.244.1.0/24"],
    nextConnectionTest: () => undefined,
    nextHealthPorts: (scan) => ({ ports: [], scan, isQuiet: true }),
  },
  emit: (event) => void (event.type === "dataPath" && told.push([event.faults.IPv4.includes("noPodRoute"), event.hasPods])),
  clock,
  log: silentLog,
  lanFaults: () => ({ withoutIpv6: undefined, notForwarding: undefined }),
  ownAddresses: () => [],
  api: undefined,
});
dataPath.start();
async function next(): Promise<(typeof told)[number] | undefined> {
  for (const end = performance.now() + 30_000; told.length === 0 && performance.now() < end; await setTimeout(20))
    clock.advanceBy(1_000);
  return told.shift();
}

assert.deepEqual(await next(), [false, false]);
ip("link del cni0");
assert.deepEqual(await next(), [true, true]);
ip("link add cni0 type bridge");
ip("link set pod0 master cni0");
ip("link set cni0 up");
ip("addr add 10.244.1.1/24 dev cni0");
assert.deepEqual((await next())?.[0], false);
ip("link del pod0");
assert.deepEqual(await next(), [true, false]);
addPod();
assert.deepEqual((await next())?.[0], false);
