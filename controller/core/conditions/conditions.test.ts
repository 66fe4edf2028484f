import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnnouncedLine, aliveKey, announcedConfigMap, announcedKey, encodeAnnounced, subjectOf } from "#pkg/announced";
import { ApiError } from "#pkg/k8s";
import { configMap, service } from "#pkg/k8s/testing";
import { verdict } from "#pkg/verdict";
import { configText, coreOptions, namespace, type ServiceSpec, World } from "../../testing/world.ts";
import type { ControllerEvent } from "../events.ts";
import { createState } from "../state.ts";
import { step } from "../step.ts";
import { desiredConditions } from "./desired.ts";

const pool = configText("main 192.0.2.1-192.0.2.200");
type Said = Omit<AnnouncedLine, "subject">;
const announced = (node: string): Said => ({ cause: "announced", message: `192.0.2.1 is announced by ${node}` });
const unready: Said = { cause: "noReadyEndpoint", message: "no endpoint is ready; see why its Pods are not ready" };

/** A controller that writes conditions, with these Services. */
async function begin(services: Readonly<Record<string, ServiceSpec>>, config = pool, hasConditions = true): Promise<World> {
  const world = new World({ hasConditions });
  world.config(config);
  for (const [name, spec] of Object.entries(services)) world.service(name, spec);
  world.controller.start();
  await world.settle();
  return world;
}

/** Time passes. @returns what was written and recorded */
async function pass(world: World, ms: number): Promise<string[]> {
  const lines: string[] = [];
  for (let at = 0; at < ms; at += 500) {
    world.clock.advanceBy(500);
    lines.push(...(await world.settle()));
  }
  return lines.filter((line) => !line.startsWith("metallb-system/"));
}

/** A speaker says this about Services, all at once. */
function say(world: World, said: Readonly<Record<string, Said>>, alive?: string): void {
  const lines = Object.entries(said).map(([name, line]) => {
    const key = `default/${name}`;
    const text = encodeAnnounced({ ...line, subject: subjectOf(world.cluster.service(key) ?? assert.fail(key)) });
    return { configMap: `${namespace}/${announcedConfigMap(key)}`, entry: [announcedKey(key), text] as const };
  });
  for (const [name, those] of Map.groupBy(lines, ({ configMap: name }) => name)) {
    const live = alive === undefined ? {} : { [aliveKey]: alive };
    const data = { ...world.cluster.configMap(name)?.data, ...live, ...Object.fromEntries(those.map(({ entry }) => entry)) };
    world.cluster.put("configmaps", configMap(name, data));
  }
}

test("a Service gets its address first, then both conditions, and no others while nothing changes", async () => {
  const world = await begin({ web: {} });
  assert.deepEqual(world.addresses("web"), ["web=192.0.2.1"]);
  say(world, { web: announced("node1") });
  assert.deepEqual(await pass(world, 60_000), [
    "default/web: ingot.dev/Assigned=True Assigned: 192.0.2.1 of pool main is assigned",
    "default/web: ingot.dev/Announced=True Announced: 192.0.2.1 is announced by node1",
  ]);
  await world.restart();
  await world.settle();
  assert.deepEqual(await pass(world, 60_000), [], "another process writes what is different");
});

test("conditions follow cause and owner at most once in 10 s, and keep their date while their status stays", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  await pass(world, 5_000);
  const dates = () => world.cluster.service("default/web")?.conditions.map(({ type, since }) => `${type} ${since}`);
  const before = dates();
  let writes = 0;
  for (let i = 0; i < 60; i++) {
    say(world, { web: announced(`node${i}`) });
    writes += (await pass(world, 1_000)).length;
  }
  assert.ok(writes >= 5 && writes <= 7, `${writes} writes in 60 s`);
  assert.deepEqual(dates(), before);
  assert.match(JSON.stringify((await pass(world, 10_000)).at(-1)), /node59/);
});

test("a Service without an address says why in both conditions, and words that vary are not written again", async () => {
  const world = await begin({ web: {}, yet: {} }, configText("main 192.0.2.1/32"));
  const lines = await pass(world, 60_000);
  assert.equal(lines.filter((line) => line.startsWith("default/web: ingot.dev/Assigned=True")).length, 1);
  const waiting = lines.filter((line) => line.startsWith("default/yet"));
  assert.match(
    waiting.join("\n"),
    /^default\/yet: ingot\.dev\/Assigned=False NoPoolFits: .*\n.*Announced=False NotAssigned: no address is assigned$/,
  );
  world.delete("web");
  assert.match((await pass(world, 15_000)).join("\n"), /Assigned=True Assigned/);
});

test("a Service that requests something else in vain says so", async () => {
  const pools = (name: string) => ({ "metallb.universe.tf/address-pool": name });
  const world = await begin({ web: { annotations: pools("laan") } });
  const said = () => world.cluster.service("default/web")?.conditions.find(({ type }) => type === "ingot.dev/Assigned")?.message;
  await pass(world, 15_000);
  assert.match(said() ?? "", /"laan"/);
  world.change("web", { annotations: pools("lann") });
  await pass(world, 15_000);
  assert.match(said() ?? "", /"lann"/);
});

test("an Event tells that a Service has all that it asks for again, where another request was refused meanwhile", async () => {
  const world = await begin({ web: {} });
  world.change("web", { annotations: { "metallb.universe.tf/address-pool": "laan" } });
  assert.match((await pass(world, 1_000)).join("\n"), /default\/web: Warning AllocationFailed: .*it keeps \["192\.0\.2\.1"\]/);
  world.change("web", { annotations: {} });
  const events = (await pass(world, 1_000)).filter((line) => / (?:Normal|Warning) /.test(line));
  assert.deepEqual(events, ['default/web: Normal IPAllocated: Assigned IP ["192.0.2.1"]']);
  world.change("web", { annotations: { other: "" } });
  assert.deepEqual(
    (await pass(world, 1_000)).filter((line) => / (?:Normal|Warning) /.test(line)),
    [],
  );
});

test("a line says nothing about another Service of the same name, nor about other addresses", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  await pass(world, 15_000);
  world.delete("web");
  await pass(world, 15_000);
  world.service("web", { uid: "another" });
  const lines = (await pass(world, 60_000)).join("\n");
  assert.match(lines, /Assigned=True/);
  assert.doesNotMatch(lines, /Announced=True/);
  say(world, { web: announced("node2") });
  assert.match((await pass(world, 15_000)).join("\n"), /Announced=True Announced: 192.0.2.1 is announced by node2/);
});

test("a line that comes before its Service counts once the Service is there", async () => {
  const world = await begin({ web: {} });
  const later = { uid: "later", ingress: ["192.0.2.9"] };
  const key = `${namespace}/${announcedConfigMap("default/later")}`;
  const text = encodeAnnounced({ ...announced("node1"), subject: subjectOf(later) });
  world.cluster.put("configmaps", configMap(key, { [announcedKey("default/later")]: text }));
  await pass(world, 5_000);
  world.service("later", later);
  assert.match((await pass(world, 15_000)).join("\n"), /default\/later: ingot.dev\/Announced=True/);
});

test("conditions that a restore from a backup undoes are written again, and each time later where something undoes them always", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  await pass(world, 15_000);
  const ours = world.cluster.service("default/web")?.conditions;
  world.change("web", { conditions: [] });
  await pass(world, 30_000);
  assert.deepEqual(
    world.cluster.service("default/web")?.conditions.map(({ type }) => type),
    ours?.map(({ type }) => type),
  );
  let writes = 0;
  for (let second = 0; second < 1_200; second++) {
    writes += (await pass(world, 1_000)).some((line) => line.includes("Announced=True")) ? 1 : 0;
    world.change("web", { conditions: [] });
  }
  assert.ok(writes > 4 && writes < 12, `${writes} writes in 20 min`);
});

test("a controller without conditions takes those of before away", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  await pass(world, 15_000);
  const [condition] = world.cluster.service("default/web")?.conditions ?? [];
  assert.ok(condition);
  const off = await begin({ web: { ingress: ["192.0.2.1"], conditions: [condition] } }, pool, false);
  assert.deepEqual(await pass(off, 60_000), ["default/web: ingot.dev/Assigned gone"]);
});

test("conditions of others stay, and ours go when another load balancer is to serve the Service", async () => {
  const others = { type: "ingot.dev/ByHand", status: "True", reason: "Test", message: "", since: "" };
  const world = await begin({ web: { conditions: [others] } });
  await pass(world, 5_000);
  assert.equal(world.cluster.service("default/web")?.conditions.length, 2);
  world.change("web", { isClaimed: false });
  assert.match((await pass(world, 15_000)).join("\n"), /Assigned gone/);
});

test("a refused condition keeps no address from a Service, is logged once and not written again until it is another one", async () => {
  const world = await begin({});
  const { cluster } = world;
  let refused = 0;
  cluster.writeConditions = async () => {
    refused++;
    throw new ApiError("Cannot write conditions: denied by policy", 403, "Forbidden");
  };
  for (let i = 0; i < 20; i++) world.service(`web${i}`);
  await world.settle();
  await pass(world, 600_000);
  assert.equal(refused, 20);
  assert.equal(world.addresses("web19")[0]?.startsWith("web19=192.0.2."), true);
  assert.match(world.controller.view.conditionsRefused ?? "", /denied by policy/);
  const { verdict } = world.controller.view.configuration;
  assert.deepEqual([verdict.state, verdict.cause], ["Degraded", "notReported"]);
  assert.match(verdict.message, /in force, but conditions of Services are not written: .*denied by policy/);
});

test("a refusal is over once every Service is gone whose conditions were refused, also while one of them is being written", async () => {
  for (const isUnderWay of [false, true]) {
    const world = await begin({});
    const underWay: (() => void)[] = [];
    const refuse = () => {
      for (const end of underWay.splice(0)) end();
    };
    world.cluster.writeConditions = async () => {
      if (isUnderWay) await new Promise<void>((resolve) => underWay.push(resolve));
      throw new ApiError("Cannot write conditions: services is forbidden: cannot patch resource", 403, "Forbidden");
    };
    const cause = () => world.controller.view.configuration.verdict.cause;
    for (const name of ["web", "other"]) world.service(name);
    for (let i = 0; i < 5; i++) {
      await pass(world, 30_000);
      refuse();
    }
    await pass(world, 30_000);
    assert.equal(cause(), "notReported");
    world.delete("web");
    await pass(world, 5_000);
    assert.equal(cause(), "notReported", "one is still refused");
    world.delete("other");
    refuse();
    await pass(world, 400_000); // The next try was put off.
    assert.equal(cause(), "inForce");
    assert.equal(world.controller.view.conditionsRefused, undefined);
  }
});

test("while nothing can be written one Service after the other tries, ever later", async () => {
  const world = await begin({});
  const { cluster } = world;
  const write = cluster.writeConditions.bind(cluster);
  let attempts = 0;
  cluster.writeConditions = async () => {
    attempts++;
    throw new ApiError('services "x" is forbidden: User "c" cannot patch resource "services/status"', 403, "Forbidden");
  };
  for (let i = 0; i < 50; i++) world.service(`web${i}`);
  await pass(world, 1_000_000);
  say(world, { web7: unready });
  assert.match((await pass(world, 1_000)).join("\n"), /default\/web7: Warning notAnnounced/, "an Event waits for no condition");
  say(world, { web7: announced("node1") });
  await pass(world, 800_000);
  assert.ok(attempts > 3 && attempts < 60, `${attempts} attempts in 30 minutes`);
  cluster.writeConditions = write;
  const lines = await pass(world, 1_200_000);
  assert.equal(lines.filter((line) => line.includes("Assigned=True")).length, 50);
});

test("no condition says that an address is assigned which the status does not have, and a minute after an outage all are written", async () => {
  const world = await begin({});
  const { cluster } = world;
  const write = cluster.writeConditions.bind(cluster);
  const refuse = async () => {
    throw new ApiError("Cannot write: 503", 503, "ServiceUnavailable");
  };
  cluster.beforeStatus = refuse;
  world.service("web");
  const during = await pass(world, 30_000);
  assert.deepEqual(
    [
      during.filter((line) => line.includes("Assigned=True")),
      during.filter((line) => line.includes("Assigned=False StatusRefused")).length,
    ],
    [[], 1],
  );
  cluster.writeConditions = refuse;
  for (let minute = 0; minute < 10; minute++) {
    world.service(`more${minute}`);
    await pass(world, 60_000);
  }
  cluster.writeConditions = write;
  cluster.beforeStatus = async () => {};
  const after = await pass(world, 70_000);
  assert.equal(after.filter((line) => line.includes("Assigned=True")).length, 11, after.join("\n"));
});

test("an API server that drops conditions is not asked again and again", async () => {
  const world = await begin({});
  let writes = 0;
  world.cluster.writeConditions = async () => void writes++;
  world.service("web");
  await pass(world, 120_000);
  assert.equal(writes, 1);
});

test("conditions that somebody undoes before they were seen in place are written again", async () => {
  const world = await begin({ web: {} });
  const { cluster } = world;
  const write = cluster.writeConditions.bind(cluster);
  let writes = 0;
  cluster.writeConditions = async (...args) => {
    await write(...args);
    if (++writes === 1) world.change("web", { conditions: [] });
  };
  await pass(world, 120_000);
  assert.equal(writes, 2);
  assert.equal(cluster.service("default/web")?.conditions.length, 1);
});

test("conditions that a restore of the API takes away before they were seen in place are written again", async () => {
  const world = await begin({ web: {} });
  const { cluster } = world;
  const write = cluster.writeConditions.bind(cluster);
  const backup = cluster.backup();
  let writes = 0;
  cluster.writeConditions = async (...args) => {
    await write(...args);
    if (++writes === 1) cluster.restore(backup);
  };
  await pass(world, 60_000);
  assert.equal(writes, 2);
  assert.equal(cluster.service("default/web")?.conditions.length, 1);
});

test("conditions that the API server fails to write are written later, each time later, and refused ones once", async () => {
  for (const { status, message, attempts } of [
    { status: 500, message: "etcdserver: request timed out", attempts: 5 },
    { status: 422, message: "invalid", attempts: 1 },
  ]) {
    const world = await begin({});
    const { cluster } = world;
    const write = cluster.writeConditions.bind(cluster);
    let writes = 0;
    cluster.writeConditions = async (...args) => {
      if (++writes < 5) throw new ApiError(`Cannot write: ${message}`, status, "");
      await write(...args);
    };
    world.service("web");
    world.service("other");
    await pass(world, 50_000);
    assert.ok(writes < attempts + 2, `${writes} writes`);
    await pass(world, 150_000);
    const has = ["web", "other"].map((name) => cluster.service(`default/${name}`)?.conditions.length);
    assert.deepEqual(has, status === 500 ? [1, 1] : [0, 0], message);
  }
});

test("one Event says that nobody announces a Service, and one that it is announced again, also across controllers", async () => {
  const world = await begin({ web: {} });
  const events = async (ms = 15_000) =>
    (await pass(world, ms)).filter((line) => /nnounced(Again)?: /.test(line) && !line.includes("ingot.dev"));
  say(world, { web: announced("node1") });
  assert.deepEqual(await events(), []);
  say(world, { web: unready });
  assert.deepEqual(await events(), [`default/web: Warning notAnnounced: ${unready.message}`]);
  for (let i = 0; i < 10; i++) {
    say(world, { web: { ...unready, message: `no endpoint is ready, ${i}` } });
    assert.deepEqual(await events(500), [], "other words are no other Event before they last");
  }
  say(world, { web: unready });
  assert.deepEqual(await events(), [], "nor where they do not");
  const other = { ...unready, message: "no endpoint is ready yet" };
  say(world, { web: other });
  assert.deepEqual(await events(), [`default/web: Warning notAnnounced: ${other.message}`]);
  assert.deepEqual(await events(60_000), []);
  const mended = { cause: "noSession", message: "no node has a BGP session" } as const;
  say(world, { web: mended });
  assert.deepEqual(await events(), [`default/web: Warning notAnnounced: ${mended.message}`], "behind the first cause is another");
  for (let i = 0; i < 3; i++) {
    await world.handOver();
    assert.deepEqual(await events(), []);
  }
  say(world, { web: announced("node2") });
  assert.deepEqual(await events(), ["default/web: Normal announcedAgain: 192.0.2.1 is announced by node2"]);
  say(world, { web: announced("node3") });
  assert.deepEqual(await events(), []);
  await world.restart();
  await world.settle();
  assert.deepEqual(await events(), []);
});

test("a controller that begins tells what no other one has, where conditions say so, and without them takes it for told", async () => {
  for (const hasConditions of [true, false]) {
    const world = await begin({ web: { ingress: ["192.0.2.1"] } }, pool, hasConditions);
    await world.controller[Symbol.asyncDispose]();
    say(world, { web: unready });
    await world.restart();
    const lines = [...(await world.settle()), ...(await pass(world, 15_000))];
    assert.equal(lines.filter((line) => line.includes("notAnnounced")).length, hasConditions ? 1 : 0);
  }
});

test("obstacles of which speakers tell at once are told of once more where they last, and so is their end", async () => {
  const world = await begin({ web: {} });
  say(world, { web: { cause: "notInSubnet", message: "x" } });
  assert.equal((await pass(world, 15_000)).filter((line) => line.includes("notAnnounced")).length, 1);
  say(world, { web: announced("node1") });
  assert.ok((await pass(world, 15_000)).some((line) => line.includes("announcedAgain")));
});

test("a Service of which only a note is to be said counts by who announces it", async () => {
  const prefers = { clusterIPs: ["10.96.0.1", "fd96::1"], prefersDualStack: true };
  const world = await begin({ web: prefers });
  await pass(world, 15_000);
  const count = (state: string, cause: string) => world.metric("ingot_services", { state, cause });
  assert.equal(await count("Assigned", "oneFamily"), 1);
  say(world, { web: { cause: "noReadyEndpoint", message: "x" } });
  await pass(world, 15_000);
  assert.deepEqual([await count("Pending", "noReadyEndpoint"), await count("Assigned", "oneFamily")], [1, undefined]);
});

test("a fault from which an announced Service suffers is in its condition, and an Event tells of it once, and of its end", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  await pass(world, 15_000);
  const message = "192.0.2.1 is announced by node1; on node1: net.ipv4.ip_forward is 0; sysctl -w net.ipv4.ip_forward=1";
  say(world, { web: { cause: "announcedWithFault", message } });
  assert.deepEqual(await pass(world, 15_000), [
    `default/web: Warning announcedWithFault: ${message}`,
    `default/web: ingot.dev/Announced=True AnnouncedWithFault: ${message}`,
  ]);
  assert.equal(await world.metric("ingot_services", { state: "Degraded", cause: "announcedWithFault" }), 1);
  await world.restart();
  assert.deepEqual([...(await world.settle()), ...(await pass(world, 15_000))], [], "the condition says what was told");
  say(world, { web: { cause: "announcedWithFault", message: `${message}, and more` } });
  assert.match((await pass(world, 15_000)).join(), /Warning announcedWithFault: .*, and more/, "another fault");
  say(world, { web: unready });
  assert.match((await pass(world, 15_000)).join(), /Warning notAnnounced: .*Announced=False NoReadyEndpoint/);
  say(world, { web: announced("node1") });
  assert.match((await pass(world, 15_000)).join(), /Normal announcedAgain: .*Announced=True Announced: /);
});

test("where no speaker says for minutes who announces a Service, its condition is Unknown until one does", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  assert.deepEqual((await pass(world, 600_000)).length, 2, "speakers of an earlier version do not say that they are there");
  const live = (at: number) => say(world, { web: announced("node1") }, `${at}`);
  for (let minute = 0; minute < 20; minute += 4) {
    live(minute);
    assert.deepEqual(await pass(world, 240_000), []);
  }
  const [event, ...others] = await pass(world, 120_000);
  assert.match(event ?? "", /^default\/web: Warning notAnnounced: no speaker has said for minutes .*get pods/);
  assert.equal(others.length, 1, "and the condition");
  const { status, reason, message } = world.cluster.service("default/web")?.conditions.at(-1) ?? assert.fail();
  assert.match(
    `${status} ${reason} ${message}`,
    /^Unknown NoActiveSpeaker no speaker has said .*; kubectl -n metallb-system get pods/,
  );
  assert.equal(
    await world.metric("ingot_services", { state: "Pending", cause: "noActiveSpeaker" }),
    1,
    "which there is an alert for",
  );
  await world.restart();
  assert.deepEqual([...(await world.settle()), ...(await pass(world, 600_000))], [], "it stays");
  assert.equal(await world.metric("ingot_services", { state: "Pending", cause: "noActiveSpeaker" }), 1);
  live(99);
  assert.deepEqual(await pass(world, 15_000), [
    "default/web: Normal announcedAgain: 192.0.2.1 is announced by node1",
    "default/web: ingot.dev/Announced=True Announced: 192.0.2.1 is announced by node1",
  ]);
});

test("a cause that only a later version of speakers has leaves open whether the Service is announced", async () => {
  const world = await begin({ web: {} });
  say(world, { web: announced("node1") });
  await pass(world, 15_000);
  say(world, { web: { cause: "causeOfALaterVersion" as Said["cause"], message: "x" } });
  assert.deepEqual(await pass(world, 15_000), ["default/web: ingot.dev/Announced=Unknown Unknown: x"]);
  assert.equal(await world.metric("ingot_services", { state: "Assigned", cause: "assigned" }), 1);
  say(world, { web: announced("node1") });
  assert.deepEqual(await pass(world, 15_000), [
    "default/web: ingot.dev/Announced=True Announced: 192.0.2.1 is announced by node1",
  ]);
});

test("of 700 Services that nobody announces 500 are told of at once, and the others in the metrics", async () => {
  const world = await begin({}, configText("main 10.0.0.1-10.0.255.200"));
  for (let i = 0; i < 700; i++) world.service(`s${i}`);
  await world.settle();
  say(world, Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`s${i}`, unready])));
  const said = [...(await world.settle())];
  assert.equal(said.filter((line) => line.includes("notAnnounced")).length, 500);
  say(world, Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`s${i}`, announced("node1")])));
  const again = [...(await world.settle())].filter((line) => line.includes("announcedAgain"));
  assert.ok(again.length < 10, `${again.length} Events of 500 that are left for both`);
  say(world, Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`s${i}`, unready])));
  await world.settle();
  assert.equal(await world.metric("ingot_services", { state: "Pending", cause: "noReadyEndpoint" }), 700);
});

test("a Service with annotations of ours that is another load balancer's is told of when nobody serves it for 30 s, once", async () => {
  const annotations = { "metallb.universe.tf/address-pool": "main" };
  const world = await begin({ old: { isClaimed: false, annotations } });
  world.service("mistaken", { isClaimed: false, annotations });
  world.service("served", { isClaimed: false, annotations });
  world.service("plain", { isClaimed: false });
  world.service("foreign", { isClaimed: false, otherClass: "example.com/metallb" });
  world.service("misspelled", { isClaimed: false, otherClass: "ingot.dev/layer-2" });
  await pass(world, 10_000);
  world.change("served", { ingress: ["198.51.100.1"] });
  const lines = [...(await pass(world, 120_000))].filter((line) => line.includes("otherLoadBalancerClass")).sort();
  assert.equal(lines.length, 3);
  world.change("mistaken", { annotations: { ...annotations, "metallb.universe.tf/allow-shared-ip": "k" } });
  assert.ok(!(await pass(world, 60_000)).some((line) => line.includes("otherLoadBalancerClass")), "once");
  assert.match(
    lines[1] ?? "",
    /^default\/mistaken: Warning .* see --lb-class and --lb-class-default \(Helm: loadBalancerClass\)$/,
  );
  assert.match(
    lines[0] ?? "",
    /^default\/misspelled: Warning .*"ingot\.dev\/layer-2".* create it again without a loadBalancerClass/,
  );
  assert.match(lines[2] ?? "", /^default\/old: Warning /);
});

test("a controller that begins tells of such a Service, since the one before may have ended before it did", async () => {
  const world = await begin({});
  world.service("misspelled", { isClaimed: false, otherClass: "ingot.dev/layer-2" });
  await pass(world, 10_000);
  await world.restart();
  await world.settle();
  assert.equal((await pass(world, 60_000)).filter((line) => line.includes("otherLoadBalancerClass")).length, 1);
});

test("of thousands of such Services there are not as many Events", async () => {
  const world = await begin({});
  for (let i = 0; i < 2_000; i++) world.service(`s${i}`, { isClaimed: false, otherClass: "ingot.dev/layer-2" });
  const lines = (await pass(world, 40_000)).filter((line) => line.includes("otherLoadBalancerClass"));
  assert.ok(lines.length >= 500 && lines.length < 530, `${lines.length} Events`);
});

test("a Service has the name of its pool in MetalLB's annotations while it has an address, written after that and only on change", async () => {
  const names = ["metallb.universe.tf/ip-allocated-from-pool", "metallb.io/ip-allocated-from-pool"];
  const world = new World({ hasPoolAnnotations: true });
  world.config(configText("main 192.0.2.1/32", "other 198.51.100.1/32"));
  world.service("web");
  // MetalLB left it.
  world.service("waiting", {
    annotations: { "metallb.io/ip-allocated-from-pool": "gone", "metallb.universe.tf/address-pool": "none" },
  });
  world.service("plain", { type: "ClusterIP", annotations: { "metallb.io/ip-allocated-from-pool": "main" } });
  world.service("theirs", { isClaimed: false, annotations: { "metallb.io/ip-allocated-from-pool": "theirs" } });
  world.controller.start();
  const lines = (await world.settle()).concat(await pass(world, 60_000)).filter((line) => /: status|ip-allocated/.test(line));
  assert.deepEqual(lines.toSorted(), [
    ...["default/plain: metallb.io/ip-allocated-from-pool gone"],
    ...["default/waiting: metallb.io/ip-allocated-from-pool gone"],
    ...names.map((name) => `default/web: ${name} = main`).toSorted(),
    "default/web: status 192.0.2.1",
  ]);
  assert.ok(lines.indexOf("default/web: status 192.0.2.1") < lines.findIndex((line) => line.includes("= main")));
  for (let i = 0; i < 3; i++) {
    await world.handOver();
    const others = (await pass(world, 30_000)).filter((line) => !line.includes("waiting: Warning"));
    assert.deepEqual(others, [], "another controller writes what is different");
  }
  world.change("web", {
    annotations: { ...world.cluster.service("default/web")?.annotations, "metallb.io/address-pool": "other" },
  });
  const moved = await pass(world, 30_000);
  assert.deepEqual(
    moved.filter((line) => line.includes("default/web: metallb")),
    names.map((name) => `default/web: ${name} = other`),
  );
  world.change("web", { type: "ClusterIP" });
  assert.equal((await pass(world, 30_000)).filter((line) => line.endsWith("ip-allocated-from-pool gone")).length, 2);
});

test("without the flag nobody's annotation with a pool is changed", async () => {
  const annotations = { "metallb.io/ip-allocated-from-pool": "gone" };
  const world = await begin({ web: { annotations }, plain: { type: "ClusterIP", annotations } });
  assert.ok(!(await pass(world, 60_000)).some((line) => line.includes("ip-allocated")));
});

test("an annotation that somebody sets again and again is put right ever later", async () => {
  const world = new World({ hasPoolAnnotations: true });
  world.config(pool);
  world.service("web");
  world.controller.start();
  await world.settle();
  let writes = 0;
  for (let i = 0; i < 600; i++) {
    const own = (await pass(world, 1_000)).filter((line) => line.includes("metallb.io/ip-allocated"));
    writes += own.length;
    const annotations = { ...world.cluster.service("default/web")?.annotations, "metallb.io/ip-allocated-from-pool": "x" };
    if (own.length === 0) continue;
    await pass(world, 3_000);
    world.change("web", { annotations });
  }
  assert.ok(writes > 3 && writes < 10, `${writes} writes in 10 minutes`);
});

test("commands in conditions are for the namespace in which controller and speakers run", () => {
  const one = service("default/web", { ingress: ["192.0.2.1"] });
  const waits = verdict("service", "noConfiguration", { message: "there is none; kubectl -n metallb-system get configmap" });
  for (const isSilent of [true, false]) {
    const text = JSON.stringify(desiredConditions(one, waits, undefined, { isSilent, namespace: "lb" }));
    assert.match(text, /kubectl -n lb get configmap/);
    assert.doesNotMatch(text, /metallb-system/);
  }
});

test("a Service that waited does not go on saying that it has no address, though no speaker says anything of it", async () => {
  const world = await begin({ a: {}, b: {} }, configText("main 192.0.2.1-192.0.2.1"));
  await pass(world, 20_000);
  world.delete("a");
  assert.deepEqual(
    (await pass(world, 60_000)).filter((line) => line.includes("ingot.dev")),
    ["default/b: ingot.dev/Assigned=True Assigned: 192.0.2.1 of pool main is assigned", "default/b: ingot.dev/Announced gone"],
  );
});

test("a controller that takes a while to read the configuration leaves the conditions as they are until then", () => {
  const state = createState({ ...coreOptions, hasConditions: true });
  const said = { type: "ingot.dev/Assigned", status: "True", reason: "Assigned", message: "it has 192.0.2.1", since: "" };
  const web = service("default/web", { ingress: ["192.0.2.1"], conditions: [said] });
  const configured = { about: undefined, version: "1", secretText: pool, mayRenumber: false };
  const events: readonly ControllerEvent[] = [
    { type: "begin" },
    { type: "configMap", now: configured },
    { type: "services", changed: [{ key: web.key, now: web }] },
    { type: "service", key: web.key },
    { type: "seen", isCurrent: true },
    { type: "lead" },
  ];
  for (const event of events) step(state, event, 0);
  const writes = step(state, { type: "timer", chance: 0.5 }, 2_000).filter(({ type }) => type === "writeConditions");
  assert.deepEqual(writes, []);
});
