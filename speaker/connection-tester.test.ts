import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Millis } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { ConnectionTester, connectMs, resultOf } from "./connection-tester.ts";
import { x } from "./testing/speaker-bench.ts";
import { TryingNode } from "./testing/trying-node.ts";

test("an attempt to connect that fails for want of something on this node says nothing of the way to Pods", () => {
  for (const code of ["ECONNREFUSED", "ECONNRESET"]) assert.equal(resultOf(code), "answered", code);
  for (const code of ["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT", undefined]) assert.equal(resultOf(code), "silent", code);
  for (const code of ["EMFILE", "EADDRNOTAVAIL", "ENOBUFS", "EPERM"]) assert.equal(resultOf(code), "untried", code);
});

test("what may decide follows at once on a connection that is not answered, and one each second is not exceeded in the long run", async () => {
  const clock = new SimulatedClock();
  const begun: Millis[] = [];
  const to = { key: "default/web", address: "10.96.0.80", port: 80, isHere: false };
  let isSilent = false;
  using tester = new ConnectionTester({
    view: { nextConnectionTest: () => ({ family: "IPv4", to, scan: 0, isSuspect: isSilent, isFresh: false }) },
    emit() {},
    clock,
    api: undefined,
    tryToConnect() {
      begun.push(clock.now());
      return new Promise((resolve) =>
        clock.schedule("connection", clock.now() + (isSilent ? connectMs : 0), () => resolve(isSilent ? "silent" : "answered")),
      );
    },
  });
  const pass = async (ms: Millis) => {
    for (const end = clock.now() + ms; clock.now() < end; ) {
      clock.advanceBy(50);
      await setImmediate();
    }
  };
  tester.start();
  await pass(10_000);
  isSilent = true;
  const from = begun.length;
  await pass(5_000);
  const silent = begun.slice(from).map((at) => at - 10_000);
  assert.deepEqual(
    silent.slice(0, 7).map((at) => at - (silent[0] ?? 0)),
    [0, 600, 1_200, 1_800, 2_400, 3_000, 3_600],
    "each at once",
  );
  isSilent = false;
  await pass(60_000);
  assert.ok(begun.length <= clock.now() / 1_000 + 1, `${begun.length} in ${clock.now()} ms`);
  assert.ok(
    begun.every((at, index) => index === 0 || at - (begun[index - 1] ?? 0) <= 1_800),
    `${begun}`,
  );
});

/** Cluster IPs of Services that never answer. */
const noAnswer = ["10.96.0.90", "10.96.0.91"];
const tenants = noAnswer.map((clusterIP, index) => ({
  key: `tenant/s${index}`,
  address: `192.0.2.${index + 9}`,
  clusterIPs: [clusterIP],
}));

/** All addresses of Services, of which some never answer, go through rules that may be flushed. */
async function untilUnable(after: Millis, isDual: boolean): Promise<{ found: Millis; perSecond: number }> {
  const clusterIPs = ["10.96.0.80", ...(isDual ? ["fd00:10:96::80"] : [])];
  let isFlushed = false;
  const answers = (host: string) => (isFlushed || noAnswer.includes(host) ? undefined : 0);
  using node = new TryingNode([{ key: "default/web", address: x, clusterIPs }, ...tenants], answers);
  const begun = node.now;
  await node.pass(after);
  const perSecond = (1_000 * node.tried) / (node.now - begun);
  isFlushed = true;
  const flushedAt = node.now;
  const families = isDual ? (["IPv4", "IPv6"] as const) : (["IPv4"] as const);
  const isUnable = () => families.every((family) => node.bench.view.pathFaults(family).length > 0);
  while (!isUnable() && node.now < flushedAt + 60_000) await node.pass(50);
  return { found: node.now - flushedAt, perSecond };
}

test("a node whose rules for Services are flushed knows of both families within 3 s, also where some Services never answer", async () => {
  const found: Millis[] = [];
  let most = 0;
  for (const isDual of [false, true])
    for (let after = 20_000; after < 31_000; after += 150) {
      const one = await untilUnable(after, isDual);
      found.push(one.found);
      most = Math.max(most, one.perSecond);
    }
  assert.ok(Math.max(...found) <= 3_000, `after ${Math.max(...found)} ms`);
  const mean = found.reduce((sum, one) => sum + one) / found.length;
  assert.ok(mean <= 1_700, `after ${mean} ms in the mean`);
  assert.ok(most <= 1.1, `${most} connections a second`);
});

test("a speaker begins with the first answer, whatever else does not answer, and without any when the attempts have ended", async () => {
  const services = ["a", "b", "c"].map((namespace, index) => ({
    key: `${namespace}/web`,
    address: `192.0.2.${index}`,
    clusterIPs: [`10.96.1.${index}`],
  }));
  const begunAfter = async (answers: (host: string) => Millis | undefined) => {
    using node = new TryingNode(services, answers);
    while (!node.bench.state.isStarted) await node.pass(50);
    return node.now;
  };
  assert.equal(await begunAfter((host) => (host === "10.96.1.1" ? 0 : undefined)), 50);
  assert.equal(await begunAfter(() => undefined), connectMs);
});

test("a Service whose answers come late is told silent once, and is waited for from then on", async () => {
  const clock = new SimulatedClock();
  const to = { key: "default/web", address: "10.96.0.80", port: 80, isHere: false };
  const told: string[] = [];
  using tester = new ConnectionTester({
    view: { nextConnectionTest: () => ({ family: "IPv4", to, scan: 0, isSuspect: false, isFresh: false }) },
    emit: (event) => void (event.type === "connected" && told.push(event.result)),
    clock,
    api: undefined,
    tryToConnect: () => new Promise((resolve) => clock.schedule("connection", clock.now() + 400, () => resolve("answered"))),
  });
  tester.start();
  for (let turn = 0; turn < 60; turn++) {
    clock.advanceBy(50);
    await setImmediate();
  }
  assert.deepEqual(told, ["silent", "answered", "answered", "answered"]);
});
