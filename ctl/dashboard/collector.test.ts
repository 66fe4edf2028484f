import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import type { Processes } from "../cluster/processes.ts";
import { missingPods } from "../doctor/missing-pods.ts";
import { Collector } from "./collector.ts";
import type { Model } from "./model/rows.ts";
import { clusterApi, clusterProcesses, type FakeCluster, manyServices } from "./testing/cluster.ts";

const nodes = ["n1", "n2", "n3"];
const silentWhy = "connection refused";

async function started(start: FakeCluster, connect?: (processes: Processes) => Promise<Processes>) {
  const clock = new SimulatedClock();
  const state = { cluster: start, model: undefined as Model | undefined, asked: [] as string[] };
  const processes = clusterProcesses(() => state.cluster);
  const api = clusterApi(() => state.cluster);
  const noted: Processes = {
    get targets() {
      return processes.targets;
    },
    get: (target, path) => {
      state.asked.push(`${target.pod} ${path}`);
      return processes.get(target, path);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const collector = new Collector({
    namespace: "metallb-system",
    missing: (found) => missingPods(found, api, "metallb-system"),
    connect: () => connect?.(noted) ?? Promise.resolve(noted),
    cluster: "test",
    clock,
    date: () => new Date("2026-01-02T03:04:05Z"),
  });
  collector.onModel((model) => {
    state.model = model;
  });
  await collector.start();
  const pass = async (ms: number): Promise<Model> => {
    for (const end = clock.now() + ms; clock.now() < end; ) {
      clock.advanceBy(50);
      for (let turn = 0; turn < 20; turn++) await setImmediate();
    }
    assert.ok(state.model, "there is no model");
    return state.model;
  };
  return { state, pass, collector, clock, [Symbol.asyncDispose]: () => collector[Symbol.asyncDispose]() };
}

test("what all processes say becomes one model", async () => {
  await using world = await started({ nodes, services: manyServices(6, nodes), silent: {} });
  const model = await world.pass(500);
  assert.deepEqual(
    [...model.about.values()],
    [
      {
        id: "about",
        cluster: "test",
        isComplete: true,
        everyMs: 1000,
        startedAt: "2026-01-02T03:04:05.000Z",
        outage: undefined,
        silence: undefined,
      },
    ],
  );
  const web = model.services.get("default/web-1");
  assert.deepEqual([web?.verdict.state, web?.addresses[0]?.nodes], ["Announced", ["n2"]]);
  const pool = model.pools.get("lan");
  assert.deepEqual([pool?.inUse, pool?.ranges, pool?.verdict.cause], [6, ["10.0.0.0-10.255.255.255"], "available"]);
  const node = model.nodes.get("n3");
  assert.deepEqual([node?.announces, node?.sees, node?.roundTrips.n1], [2, ["n1", "n2"], 0.4]);
  const peer = model.peers.get("10.0.0.1:179 n1");
  assert.deepEqual([peer?.session, peer?.prefixesAnnounced, peer?.flaps], ["established", 2, 1]);
  assert.deepEqual([model.bfd.size, model.occupied.size, model.processes.size, model.events.size], [3, 1, 4, 0]);
  assert.equal(model.processes.get("controller-n1")?.leads, true);
});

test("what stays the same is the same object, so that nothing is sent for it", async () => {
  await using world = await started({ nodes, services: manyServices(6, nodes), silent: {} });
  const first = await world.pass(500);
  const later = await world.pass(5_000);
  assert.equal(later.services, first.services);
  assert.equal(later.nodes, first.nodes);
});

test("one speaker is asked for all Services, the others for what is not well", async () => {
  await using world = await started({ nodes, services: manyServices(6, nodes), silent: {} });
  await world.pass(4_500);
  const whole = new Set(world.state.asked.filter((text) => /^speaker.* \/v1\/services$/.test(text)));
  assert.equal(whole.size, 1);
});

test("a speaker that sees no owner of what others announce is no longer the one that lists all Services", async () => {
  const services = manyServices(3, nodes);
  const processes = clusterProcesses(() => ({ nodes, services, silent: {} }));
  const cutOff = { state: "Pending", cause: "noInterface", message: "announced by no node", evidence: [], next: "", since: "" };
  const lost = services.map(({ key, address }) => {
    const one = { address, pool: "lan", protocol: "layer2", owner: null, candidates: [], announced: false, verdict: cutOff };
    return { service: key, addresses: [one], verdict: cutOff };
  });
  const odd: Processes = {
    targets: processes.targets,
    get: async (target, path) =>
      target.pod === "speaker-n1" && path.startsWith("/v1/services")
        ? { node: "n1", services: lost }
        : processes.get(target, path),
    [Symbol.asyncDispose]: async () => {},
  };
  await using world = await started({ nodes, services: [], silent: {} }, async () => odd);
  const model = await world.pass(4_000);
  const web = model.services.get("default/web-1");
  assert.deepEqual([web?.verdict.state, web?.addresses[0]?.nodes], ["Announced", ["n2"]]);
});

test("a speaker that is starting, and knows of no Service yet, is not the one that lists all of them", async () => {
  const services = manyServices(3, nodes);
  const processes = clusterProcesses(() => ({ nodes, services, silent: {} }));
  const odd: Processes = {
    targets: processes.targets,
    get: async (target, path) =>
      target.pod === "speaker-n1" && path.startsWith("/v1/services")
        ? { node: "n1", missing: ["Services"], services: [] }
        : processes.get(target, path),
    [Symbol.asyncDispose]: async () => {},
  };
  await using world = await started({ nodes, services: [], silent: {} }, async () => odd);
  const model = await world.pass(4_000);
  const web = model.services.get("default/web-1");
  assert.deepEqual([web?.verdict.state, web?.addresses[0]?.nodes], ["Announced", ["n2"]]);
});

test("in the midst of a takeover not all is well: MetalLB's processes answer, and tell nothing", async () => {
  const services = manyServices(3, ["n1"]);
  const processes = clusterProcesses(() => ({ nodes, services, silent: {} }));
  const metallb = ["speaker-n3"];
  const half: Processes = {
    targets: processes.targets,
    get: async (target, path) => {
      if (metallb.includes(target.pod)) throw new Error(`it has no ${path}: it is MetalLB, or another version of Ingot`);
      return processes.get(target, path);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  await using world = await started({ nodes, services: [], silent: {} }, async () => half);
  const causes = async () => [...(await world.pass(4_000)).causes.values()].map(({ where, found }) => `${where}: ${found}`);
  assert.match((await causes()).join("\n"), /^speaker speaker-n3 on n3: it does not answer: it has no \/v1\/\S+: it is MetalLB/m);
  metallb[0] = "controller-n1";
  assert.match(
    (await causes()).join("\n"),
    /^controller controller-n1 on n1: it does not answer: it has no .*: it is MetalLB[^\n]*$/m,
  );
});

test("a failover is an event with its reason, and no address is told to be lost in between", async () => {
  const services = manyServices(3, nodes);
  await using world = await started({ nodes, services, silent: {} });
  await world.pass(1_500);
  const moved = services.map((one) => (one.owner === "n1" ? { ...one, owner: "n2" } : one));
  world.state.cluster = { nodes, services: moved, silent: { n1: silentWhy } };
  const model = await world.pass(3_000);
  assert.deepEqual(model.services.get("default/web-0")?.addresses[0]?.nodes, ["n2"]);
  const events = [...model.events.values()].map(({ what, why }) => ({ what, why }));
  assert.deepEqual(
    events.filter(({ what }) => what.includes("10.0.0.0")),
    [{ what: "default/web-0: 10.0.0.0 moved from n1 to n2", why: `speaker-n1 does not answer: ${silentWhy}` }],
  );
  assert.equal(model.nodes.get("n1")?.verdict.cause, "noAnswer");
  assert.equal(model.processes.get("speaker-n1")?.problem, silentWhy);
  assert.ok(!events.some(({ what }) => what.includes("not announced")), JSON.stringify(events));
});

test("while the API server does not answer, the page shows what was known, says so once, and makes up no events", async () => {
  const cluster: FakeCluster = { nodes, services: manyServices(3, nodes), silent: {} };
  const outage = "the API server https://192.0.2.1:6443 does not answer: no answer within 5 s";
  let isOut = false;
  const connect = async (): Promise<Processes> => {
    if (isOut) throw new Error(outage);
    const processes = clusterProcesses(() => cluster);
    const get: Processes["get"] = (target, path) =>
      isOut ? Promise.reject(new Error("the connection was closed")) : processes.get(target, path);
    return { targets: processes.targets, get, [Symbol.asyncDispose]: async () => {} };
  };
  await using world = await started(cluster, connect);
  const before = await world.pass(3_000);
  isOut = true;
  const model = await world.pass(30_000);
  assert.deepEqual(model.about.get("about")?.outage, { since: "2026-01-02T03:04:05.000Z", why: outage });
  for (const table of ["services", "pools", "nodes", "peers", "bfd", "processes"] as const)
    assert.equal(model[table], before[table], table);
  assert.deepEqual(
    [...model.events.values()].map(({ what, why }) => [what, why]),
    [["the API server does not answer", outage]],
  );
  isOut = false;
  const after = await world.pass(15_000);
  assert.equal(after.about.get("about")?.outage, undefined);
  assert.equal(after.nodes.get("n1")?.verdict.state, "Ready");
  assert.deepEqual([...after.events.values()].at(-1)?.what, "the API server answers again");
  assert.equal(after.events.size, 2);
});

test("a process that falls silent keeps its rows and its peers', with the time of its last answer", async () => {
  await using world = await started({ nodes, services: manyServices(3, nodes), silent: {} });
  await world.pass(3_000);
  world.state.cluster = { nodes, services: manyServices(3, nodes), silent: { n1: silentWhy } };
  const model = await world.pass(5_000);
  const { version, silentSince } = model.processes.get("speaker-n1") ?? {};
  assert.deepEqual([version, silentSince], ["1.0.0", "2026-01-02T03:04:05.000Z"]);
  const { session, verdict } = model.peers.get("10.0.0.1:179 n1") ?? {};
  assert.deepEqual([session, verdict?.cause, verdict?.since], ["none", "noAnswer", "2026-01-02T03:04:05.000Z"]);
  assert.deepEqual([...model.bfd.values()].find(({ node }) => node === "n1")?.verdict, "unknown");
  const events = [...model.events.values()].filter(({ subject, what }) => subject.startsWith("peer/") || what.includes("BFD"));
  assert.deepEqual(events, []);
});

test("one that never answers keeps nobody else from the page", async () => {
  const processes = clusterProcesses(() => ({ nodes, services: manyServices(3, nodes), silent: {} }));
  const stuck: Processes = {
    targets: processes.targets,
    get: (target, path) =>
      target.node === "n1" && target.program === "speaker" ? new Promise(() => {}) : processes.get(target, path),
    [Symbol.asyncDispose]: async () => {},
  };
  const world = await started({ nodes, services: [], silent: {} }, async () => stuck);
  const model = await world.pass(5_000);
  assert.deepEqual(model.services.get("default/web-1")?.addresses[0]?.nodes, ["n2"]);
  assert.match(model.nodes.get("n1")?.verdict.message ?? "", /has not been asked yet|does not answer/);
});

test("where no speaker runs any more, nothing is announced, whatever the last one said", async () => {
  let now = nodes;
  const services = manyServices(3, nodes);
  await using world = await started({ nodes, services, silent: {} }, async () =>
    clusterProcesses(() => ({ nodes: now, services, silent: {} })),
  );
  const before = await world.pass(3_000);
  assert.deepEqual(
    [before.services.get("default/web-1")?.verdict.state, before.pools.get("lan")?.verdict.state],
    ["Announced", "Ready"],
  );
  now = [];
  const model = await world.pass(12_000);
  const web = model.services.get("default/web-1");
  assert.deepEqual(
    [web?.verdict.cause, web?.addresses[0]?.verdict.state, web?.addresses[0]?.nodes],
    ["noActiveSpeaker", "Pending", []],
  );
  assert.equal(model.pools.get("lan")?.verdict.cause, "noActiveSpeaker");
  const [cause, ...others] = model.causes.values();
  assert.deepEqual([cause?.services?.length, others], [3, []]);
  assert.match(cause?.found ?? "", /there is no Pod of a speaker/);
});

test("where no speaker has ever answered, no pool is available; afterwards what they said last stays", async () => {
  const silent = Object.fromEntries(nodes.map((node) => [node, silentWhy]));
  await using world = await started({ nodes, services: manyServices(3, nodes), silent });
  const pool = (await world.pass(4_000)).pools.get("lan");
  assert.deepEqual(
    [pool?.verdict.cause, pool?.verdict.message],
    ["noActiveSpeaker", "no speaker answers that could announce pool lan"],
  );
  world.state.cluster = { nodes, services: manyServices(3, nodes), silent: {} };
  assert.equal((await world.pass(4_000)).pools.get("lan")?.verdict.cause, "available");
  assert.equal(world.state.model?.about.get("about")?.silence, undefined);
  world.state.cluster = { nodes, services: manyServices(3, nodes), silent };
  const model = await world.pass(4_000);
  assert.equal(model.pools.get("lan")?.verdict.cause, "available");
  assert.equal(model.services.get("default/web-1")?.verdict.state, "Announced");
  assert.deepEqual(model.about.get("about")?.silence, { since: "2026-01-02T03:04:05.000Z", why: silentWhy });
});

test("Pods that come and go are followed", async () => {
  let now = nodes;
  const connect = async () => {
    const cluster: FakeCluster = { nodes: now, services: manyServices(3, now), silent: {} };
    return clusterProcesses(() => cluster);
  };
  await using world = await started({ nodes, services: [], silent: {} }, connect);
  await world.pass(1_000);
  now = ["n1", "n2", "n4"];
  const model = await world.pass(12_000);
  assert.deepEqual([...model.nodes.keys()], ["n1", "n2", "n4"]);
});

const garbage: unknown[] = [
  null,
  7,
  "text",
  [],
  {},
  { verdicts: 7, services: "x", pools: {}, members: null },
  { verdicts: [null] },
  [null],
];
for (const body of garbage)
  test(`a speaker that answers ${JSON.stringify(body)} to everything takes nothing from the others`, async () => {
    const processes = clusterProcesses(() => ({ nodes, services: manyServices(3, nodes), silent: {} }));
    const odd: Processes = {
      targets: processes.targets,
      get: async (target, path) => (target.pod === "speaker-n1" ? body : processes.get(target, path)),
      [Symbol.asyncDispose]: async () => {},
    };
    await using world = await started({ nodes, services: [], silent: {} }, async () => odd);
    const model = await world.pass(6_000);
    assert.deepEqual(model.services.get("default/web-1")?.addresses[0]?.nodes, ["n2"]);
    assert.equal(model.nodes.get("n2")?.verdict.state, "Ready");
    assert.ok(model.nodes.has("n1"));
  });

test("where the controller's Deployment asks for no Pod, one cause says so beside the others, until there is one again", async () => {
  const well = { nodes, services: manyServices(6, nodes), silent: {}, waiting: 3 };
  let outage: string | undefined;
  await using world = await started(well, async (processes) => {
    if (outage !== undefined) throw new Error(outage);
    return processes;
  });
  const causes = async (ms: number) => {
    const { causes } = await world.pass(ms);
    return [...causes.values()].flatMap(({ severity, where, found, fix, services = [] }) =>
      severity === "error" ? [`${where}: ${found} -> ${fix} (${services.length})`] : [],
    );
  };
  assert.match((await causes(500)).join("\n"), /^pool lan: [^\n]*no free IPv4 address[^\n]* \(3\)$/);
  const gone = { ...well, isWithoutController: true, isRouterDead: true, silent: { n3: silentWhy } };
  world.state.cluster = gone;
  const scaled =
    /^controller: no controller runs, because Deployment controller is scaled to 0 replicas: [^\n]* -> kubectl -n metallb-system scale deployment controller --replicas=1 \(3\)$/m;
  const during = await causes(11_000);
  assert.match(during.join("\n"), scaled);
  assert.match(during.join("\n"), /^speaker speaker-n3 on n3: it does not answer: connection refused/m);
  assert.match(during.join("\n"), /^peer 10\.0\.0\.1:179[^\n]*: [^\n]*does not answer/m);
  assert.equal(during.length, 3, during.join("\n"));
  // The page goes on naming the Deployment while the API does not answer.
  outage = "no answer within 5 s";
  world.state.cluster = { ...gone, outage };
  assert.match((await causes(11_000)).join("\n"), scaled);
  outage = undefined;
  world.state.cluster = well;
  assert.doesNotMatch((await causes(11_000)).join("\n"), /controller:/);
});

/** The first 20 of these speakers answer, and from the time on when there is a clock the others hang. */
function partlyHanging(count: number) {
  const nodes = Array.from({ length: count }, (_, index) => `n${index}`);
  const cluster = { nodes, services: [], silent: {} };
  const processes = clusterProcesses(() => cluster);
  const hanging = new Set(nodes.slice(20).map((node) => `speaker-${node}`));
  const asked: string[] = [];
  const now = { clock: undefined as SimulatedClock | undefined, areGone: false };
  const half: Processes = {
    get targets() {
      return processes.targets.filter(({ pod }) => !(now.areGone && hanging.has(pod)));
    },
    get: (target, path) => {
      const { clock } = now;
      if (path.startsWith("/v1/verdicts")) asked.push(target.pod);
      // The one that lists all Services is restarted while others wait.
      if (target.pod === "speaker-n0" && clock !== undefined && Math.abs(clock.now() - 5_000) < 500) throw new Error("refused");
      if (clock === undefined || !hanging.has(target.pod)) return processes.get(target, path);
      const { promise, reject } = Promise.withResolvers<never>();
      clock.schedule("a time-out", clock.now() + 5_000, () => reject(new Error("no answer within 5 s")));
      return promise;
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return { cluster, hanging, asked, now, half };
}

test("more speakers that hang than are asked at a time delay the others once, until they count as silent", async () => {
  const { cluster, hanging, asked, now, half } = partlyHanging(40);
  await using world = await started(cluster, async () => half);
  now.clock = world.clock;
  await world.pass(30_000);
  asked.length = 0;
  await world.pass(12_000);
  const often = Map.groupBy(asked, (pod) => pod);
  for (const pod of hanging) often.delete(pod);
  for (const [pod, { length }] of often) assert.ok(length >= 9 && length <= 13, `${pod} is asked ${length} times in 12 s`);
  assert.equal(often.size, 21);
});

test("more speakers that hang than are asked at a time keep no other from the first page", async () => {
  const { cluster, asked, now, half } = partlyHanging(40);
  await using world = await started(cluster, async () => half);
  now.clock = world.clock;
  await world.pass(1_500);
  assert.equal(new Set(asked).size, half.targets.length);
});

test("a Pod that is gone when its turn comes is not asked, and takes no turn from others", async () => {
  const { cluster, hanging, asked, now, half } = partlyHanging(60);
  await using world = await started(cluster, async () => half);
  Object.assign(now, { clock: world.clock, areGone: true });
  await world.pass(6_950);
  asked.length = 0;
  await world.pass(2_500);
  assert.deepEqual(
    asked.filter((pod) => hanging.has(pod)),
    [],
  );
  assert.ok(asked.includes("speaker-n19"));
});

test("where the API server fails while a speaker hangs, no other process is named for it, whenever that happens", async () => {
  for (let afterMs = 0; afterMs < 4_000; afterMs += 150) {
    const hanging = { nodes, services: manyServices(6, nodes), silent: { n3: silentWhy } };
    let outage: string | undefined;
    let clock: SimulatedClock | undefined;
    await using world = await started(hanging, async (processes) => {
      if (outage !== undefined) throw new Error(outage);
      const { promise, resolve } = Promise.withResolvers<void>();
      if (clock === undefined) resolve();
      else clock.schedule("an answer of the API server", clock.now() + 600, resolve);
      await promise;
      return processes;
    });
    ({ clock } = world);
    await world.pass(11_000 + afterMs);
    outage = "no answer within 5 s";
    world.state.cluster = { ...hanging, outage };
    const { about, causes } = await world.pass(5_000);
    assert.equal(about.get("about")?.outage?.why, outage);
    const named = [...causes.values()].flatMap(({ where, found }) =>
      found.includes("not answer") ? [`${where}: ${found}`] : [],
    );
    assert.deepEqual(named, ["speaker speaker-n3 on n3: it does not answer: connection refused"], `after ${afterMs} ms`);
  }
});

test("models that take long, as of 1,000 nodes, take a quarter of the time", async () => {
  const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
  await using world = await started({ nodes: names, services: [], silent: {} });
  let models = 0;
  world.collector.onModel((model) => {
    world.state.model = model;
    models++;
    world.clock.advanceBy(600);
  });
  const start = world.clock.now();
  await world.pass(20_000);
  const share = (models * 600) / (world.clock.now() - start);
  assert.ok(models > 5 && share <= 0.25, `${models} models, ${share}`);
});
