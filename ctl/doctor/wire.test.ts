import assert from "node:assert/strict";
import { test } from "node:test";
import { verdict } from "#pkg/verdict";
import { fakeProcesses } from "../testing/processes.ts";
import { wireRound } from "./wire.ts";

const since = "2026-01-02T03:03:55.000Z";
const silent = { ...verdict("service", "notConnected", { message: "port 80 is silent", next: "see kube-proxy" }), since };
const fault = (address: string, owner = "n1") => ({ address, owner, port: 80, connection: "silent", verdict: silent });
const announced = { ...verdict("service", "announced", { message: "m" }), since };
const service = (name: string, address: string) => ({
  service: name,
  addresses: [{ address, pool: "lan", protocol: "layer2", owner: "n1", announced: false, verdict: announced }],
  verdict: announced,
});
const services = [service("shop/a", "192.0.2.1"), service("shop/b", "192.0.2.2"), service("shop/c", "192.0.2.3")];
const listed = { "/v1/services": { node: "n", services } };
const own = {
  service: "shop/a",
  port: 80,
  connection: "accepts",
  endpoints: [{ address: "10.0.0.1", port: 80, connection: "accepts" }],
};

test("a round goes on to its end, and failures of one cause at one node are one finding", async () => {
  const processes = fakeProcesses({
    "speaker-n1": {
      ...listed,
      "/v1/probe?from=0": { node: "n", tried: 1, faults: [], next: null },
      "/v1/probe": { node: "n1", isHere: true, own },
    },
    "speaker-n2": {
      ...listed,
      "/v1/probe?from=0": { node: "n", tried: 100, faults: [fault("192.0.2.1")], next: 100 },
      "/v1/probe?from=100": { node: "n", tried: 40, faults: [fault("192.0.2.2")], next: null },
      "/v1/probe": { node: "n2", attempts: [fault("192.0.2.1")] },
    },
  });
  const { tried, findings } = await wireRound(processes);
  assert.equal(tried, 141);
  assert.deepEqual(
    findings.map(({ where, found, services }) => [where, found.split(":")[0], services]),
    [["2 addresses 192.0.2.1, 192.0.2.2", "firewall", ["shop/a", "shop/b"]]],
  );
});

test("a process that sends the round back to where it was ends it", async () => {
  const processes = fakeProcesses({ "speaker-n1": { "/v1/probe": { node: "n", tried: 1, faults: [], next: 0 } } });
  assert.equal((await wireRound(processes)).tried, 1);
});

test("one that is well again when it is tried once more is told as it was found", async () => {
  const processes = fakeProcesses({
    "speaker-n2": {
      ...listed,
      "/v1/probe?from=0": { node: "n", tried: 1, faults: [fault("192.0.2.3")], next: null },
      "/v1/probe": { node: "n2", attempts: [] },
    },
  });
  const { findings } = await wireRound(processes);
  assert.deepEqual(
    findings.map(({ severity, found, fix }) => [severity, found, fix]),
    [["error", "once: port 80 is silent", "see kube-proxy"]],
  );
});

test("speakers that cannot are named, and that nothing was tried", async () => {
  const old = fakeProcesses({
    "speaker-n1": { "/v1/probe": new Error("it has no /v1/probe: it is MetalLB, or another version of Ingot") },
    "speaker-n2": { "/v1/probe": { node: "n2", why: "another question is being answered: ask again" } },
  });
  assert.deepEqual(
    (await wireRound(old)).findings.map(({ severity, found }) => `${severity} ${found}`),
    [
      "note its version cannot try all addresses",
      "note it could not try all addresses: another question is being answered: ask again",
    ],
  );
  const nothing = fakeProcesses({ "speaker-n1": { "/v1/probe": { node: "n1", tried: 0, faults: [], next: null } } });
  assert.match((await wireRound(nothing)).findings[0]?.found ?? "", /^no address could be tried/);
});
