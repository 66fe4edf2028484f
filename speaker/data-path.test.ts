import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import http, { createServer } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { SimulatedClock } from "#pkg/clock/testing";
import type { NetlinkMessage } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { parseAddress } from "#pkg/net";
import { prefix } from "#pkg/net/testing";
import type { LanFaults } from "#pkg/node-checks";
import type { SpeakerEvent } from "./core/index.ts";
import { type Conntrack, DataPath, leadsToPods, readConntrack } from "./data-path.ts";

const header = "entries  clashres found insert_failed drop early_drop";

/** A kernel's files. */
function files(max: number, entries: number, ...drops: number[]) {
  const row = (drop: number) =>
    ["", "", "", "", drop, ""].map((value) =>
      Number(value || 0)
        .toString(16)
        .padStart(8, "0"),
    );
  const rows = drops.map((drop) => row(drop).with(0, entries.toString(16).padStart(8, "0")).join(" "));
  return (path: string) => (path.endsWith("nf_conntrack_max") ? `${max}\n` : `${[header, ...rows].join("\n")}\n`);
}

test("a table of connections is full from when packets are dropped until less than nine tenths of it are in use", () => {
  let before: Conntrack | undefined;
  for (const [what, entries, drops, isFull] of [
    ["packets were dropped before anybody looked", 100, [7, 1], false],
    ["it is full, and entries that nobody answered make room", 100, [7, 1], false],
    ["one processor drops packets", 99, [7, 2], true],
    ["it drops none just now", 95, [7, 2], true],
    ["there is room", 89, [7, 2], false],
    ["packets are dropped for another reason", 50, [9, 2], false],
    ["it is in use again", 95, [9, 2], false],
  ] as const) {
    before = readConntrack(before, files(100, entries, ...drops));
    assert.equal(before?.isFull, isFull, what);
  }
});

test("a kernel without such a table, or with other columns, is not full", () => {
  const missing = () => {
    throw new Error("ENOENT");
  };
  assert.equal(readConntrack(undefined, missing), undefined);
  const isUnlimited = readConntrack({ dropped: 1, isFull: false }, files(0, 50, 2));
  assert.equal(isUnlimited?.isFull, false, "one without a limit drops what comes twice at once");
  for (const text of ["", "entries\n", "a b c\n1 2\n"])
    assert.equal(readConntrack({ dropped: 0, isFull: false }, () => text)?.isFull ?? false, false);
});

test("kube-proxy is asked on the ports that the core names, and the core hears of what is not as before", async () => {
  let status = 200;
  let isQuiet = false;
  await using server = createServer((_, response) => response.writeHead(status).end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clock = new SimulatedClock();
  const heard: SpeakerEvent[] = [];
  let turns = 0;
  using dataPath = new DataPath({
    view: {
      podCIDRs: [],
      nextConnectionTest: () => undefined,
      nextHealthPorts: (scan) => ({ ports: [{ key: "default/web", port }], scan: scan + ++turns, isQuiet }),
    },
    emit: (event) => void heard.push(event),
    clock,
    log: silentLog,
    lanFaults: () => ({ withoutIpv6: undefined, notForwarding: undefined }),
    ownAddresses: () => [],
    api: undefined,
  });
  dataPath.start();
  const turn = async () => {
    const before = turns;
    for (const end = performance.now() + 30_000; turns === before && performance.now() < end; ) {
      clock.advanceBy(1_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const next = async (wanted: number) => {
    await turn(); // The one before is over then.
    heard.length = 0;
    await turn();
    await turn(); // One of its own is over, too.
    const answers = heard.flatMap((event) => (event.type === "healthPorts" ? [...event.answers.values()] : []));
    assert.ok(wanted === 0 ? answers.length === 0 : answers.length >= wanted, answers.join());
    return answers[0];
  };
  assert.equal(await next(1), "serves");
  isQuiet = true;
  await next(0);
  status = 503;
  assert.equal(await next(1), "serves none");
  isQuiet = false;
  status = 404;
  assert.equal(await next(1), "silent", "something else");
  isQuiet = true;
  await next(0);
});

test("the core hears of the LAN's faults, each for its family, before it announces, and that they are over", async () => {
  const clock = new SimulatedClock();
  const heard: string[] = [];
  let lan: LanFaults = { withoutIpv6: "eth0", notForwarding: "eth0" };
  using dataPath = new DataPath({
    view: {
      podCIDRs: [],
      nextConnectionTest: () => undefined,
      nextHealthPorts: (scan) => ({ ports: [], scan, isQuiet: true }),
    },
    emit(event) {
      if (event.type !== "dataPath") return;
      const { IPv4, IPv6 } = event.faults;
      heard.push([IPv4.includes("forwardingOff") ? "4" : "", IPv6.includes("ipv6Off") ? "6" : ""].join(""));
    },
    clock,
    log: silentLog,
    lanFaults: () => lan,
    ownAddresses: () => [],
    api: undefined,
  });
  dataPath.start();
  const told = async (count: number) => {
    for (const end = performance.now() + 30_000; heard.length < count && performance.now() < end; ) {
      clock.advanceBy(1_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await told(1);
  lan = { withoutIpv6: undefined, notForwarding: "eth0" };
  await told(2);
  assert.deepEqual(heard, ["46", "4"]);
});

type Get = (url: string, options: http.RequestOptions, then: (response: http.IncomingMessage) => void) => EventEmitter;

/** The driver asks kube-proxy for its health by this from now on. */
function replaceGet(t: TestContext, get: Get): void {
  t.mock.method(http, "get", get);
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

/** A request that fails. */
function failing(code: string): EventEmitter {
  const request = new EventEmitter();
  process.nextTick(() => request.emit("error", Object.assign(new Error("no answer"), { code })));
  return request;
}

test("a speaker without a descriptor to ask kube-proxy takes it for what it was", async (t) => {
  await using server = createServer((_, response) => response.end());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { get } = http;
  let failure: string | undefined;
  let asked = 0;
  replaceGet(t, (url, options, then) => {
    asked++;
    if (failure !== undefined) return failing(failure);
    return get(url.replace(/:\d+\//, `:${url.includes("10256") ? port : 1}/`), options, then);
  });
  const clock = new SimulatedClock();
  const heard: boolean[] = [];
  const view = {
    podCIDRs: [],
    nextConnectionTest: () => undefined,
    nextHealthPorts: (scan: number) => ({ ports: [], scan, isQuiet: true }),
  };
  const emit = (event: SpeakerEvent) => void (event.type === "dataPath" && heard.push(event.faults.IPv4.includes("proxySilent")));
  const lanFaults = () => ({ withoutIpv6: undefined, notForwarding: undefined });
  using dataPath = new DataPath({ view, emit, clock, log: silentLog, lanFaults, ownAddresses: () => [], api: undefined });
  dataPath.start();
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn++) {
      clock.advanceBy(1_000);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  };
  await turns(2);
  for (failure of ["EMFILE", "ECONNREFUSED"]) {
    const before = asked;
    await turns(10);
    assert.ok(asked > before);
    assert.deepEqual(heard, failure === "EMFILE" ? [false] : [false, true], failure);
  }
});

for (const answers of [true, false])
  test(`a speaker may begin once the core has ${answers ? "the first look and kube-proxy's answers" : "waited for these for a second"}`, async () => {
    const asked = Promise.withResolvers<() => void>();
    await using server = createServer((_, response) => asked.resolve(() => response.end()));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const clock = new SimulatedClock();
    const heard: string[] = [];
    using dataPath = new DataPath({
      view: {
        podCIDRs: [],
        nextConnectionTest: () => undefined,
        nextHealthPorts: (scan) => ({ ports: [{ key: "default/web", port }], scan, isQuiet: true }),
      },
      emit: ({ type }) => void heard.push(type),
      clock,
      log: silentLog,
      lanFaults: () => ({ withoutIpv6: undefined, notForwarding: undefined }),
      ownAddresses: () => [],
      api: undefined,
    });
    dataPath.start();
    void dataPath.looked.then(() => heard.push("may begin"));
    clock.advanceBy(999);
    const answer = await asked.promise;
    assert.ok(!heard.includes("may begin"));
    if (answers) answer();
    else clock.advanceBy(1);
    await dataPath.looked;
    await Promise.resolve();
    assert.deepEqual(
      heard.slice(-2),
      answers ? ["dataPath", "may begin"] : heard.includes("dataPath") ? ["dataPath", "may begin"] : ["may begin"],
    );
  });

test("a fault that is over at the next look is told to be, also while an answer is waited for", async () => {
  await using server = createServer(() => {}); // It never answers.
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const clock = new SimulatedClock();
  const heard: boolean[] = [];
  let lan: LanFaults = { withoutIpv6: "eth0", notForwarding: undefined };
  using dataPath = new DataPath({
    view: {
      podCIDRs: [],
      nextConnectionTest: () => undefined,
      nextHealthPorts: (scan) => ({ ports: [{ key: "default/web", port }], scan, isQuiet: true }),
    },
    emit: (event) => void (event.type === "dataPath" && heard.push(event.faults.IPv6.includes("ipv6Off"))),
    clock,
    log: silentLog,
    lanFaults: () => lan,
    ownAddresses: () => [],
    api: undefined,
  });
  dataPath.start();
  clock.advanceBy(0);
  for (const end = performance.now() + 30_000; heard.length === 0 && performance.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 5));
  lan = { withoutIpv6: undefined, notForwarding: undefined };
  clock.advanceBy(1_000);
  assert.deepEqual(heard, [true, false]);
});

test("a veth leads to a Pod unless it has a subnet, as on a node that is a container itself, or is of a bridge of others", () => {
  const veth = (index: number, kind = "veth", master?: number) =>
    ({ type: "interfaceSet", networkInterface: { index, kind, master } }) as NetlinkMessage;
  const address = (interfaceIndex: number, text: string, prefixLength: number) =>
    ({ type: "addressSet", address: { interfaceIndex, address: parseAddress(text), prefixLength } }) as NetlinkMessage;
  for (const [what, messages, expected] of [
    ["the node's own", [veth(2), address(2, "172.18.0.2", 16), address(2, "fe80::1", 64)], false],
    ["of a bridge", [veth(2), address(2, "172.18.0.2", 16), veth(3), address(3, "fe80::1", 64)], true],
    ["with its Pod's gateway alone", [veth(3), address(3, "10.244.1.1", 32)], true],
    ["another kind", [veth(3, "bridge")], false],
    ["of the bridge of Pods", [veth(3, "veth", 4), veth(4, "bridge"), address(4, "10.244.1.1", 24)], true],
    ["of a bridge without an address", [veth(3, "veth", 4), veth(4, "bridge"), address(4, "fe80::4", 64)], true],
    ["of another bridge, as a container of docker", [veth(3, "veth", 4), veth(4, "bridge"), address(4, "172.17.0.1", 16)], false],
  ] as const)
    assert.equal(leadsToPods(messages, [prefix("10.244.1.0/24")]), expected, what);
});

const unshare = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

test("a node whose last Pod has gone has no interface to Pods, whatever it had before", {
  skip: !available && "needs unshare, ip and user namespaces",
}, async () => {
  const file = new URL("./testing/pod-route-scenario.ts", import.meta.url).pathname;
  const options = { timeout: 60_000, killSignal: "SIGKILL" } as const;
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], options);
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});
