import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "js-yaml";
import { ApiError } from "#pkg/k8s";
import { configMap } from "#pkg/k8s/testing";
import { lastGoodKey, statusConfigMap, summaryConfigMap } from "#pkg/live-config";
import { configText, namespace, startWorld, type World } from "../testing/world.ts";
import { maxSummaryBytes, summarize, summaryKeys } from "./summary.ts";

const small = configText("a 10.0.0.0-10.0.0.1");

/** Time passes. @returns how often the summary was written */
async function pass(world: World, ms: number, each: (i: number) => void = () => {}): Promise<number> {
  const { cluster, clock } = world;
  const write = cluster.writeConfigMap.bind(cluster);
  let written = 0;
  cluster.writeConfigMap = (namespace, name, data) => {
    if (data?.pools !== undefined) written++;
    return write(namespace, name, data);
  };
  for (let i = 0; i < ms / 500; i++) {
    each(i);
    clock.advanceBy(500);
    await world.settle();
  }
  cluster.writeConfigMap = write;
  return written;
}

function data(world: World): Readonly<Record<string, string>> {
  return world.cluster.configMap(`${namespace}/${summaryConfigMap}`)?.data ?? {};
}

/** Somebody else writes something else into it. */
function overwrite(world: World): void {
  world.cluster.put("configmaps", configMap(`${namespace}/${summaryConfigMap}`, { pools: `# ${world.clock.now()}` }));
}

type Fields = Readonly<Record<string, unknown>>;

/** The summary, read as YAML. */
function read(texts: Readonly<Record<string, string>>) {
  const list = (key: string) => load(texts[key] ?? "") as readonly Fields[];
  return {
    configuration: load(texts.configuration ?? "") as Fields,
    pools: list("pools"),
    peers: list("peers"),
    problems: list("problems"),
  };
}

test("pools, the configuration and Services with problems are in ingot-summary", async () => {
  const world = await startWorld(small, { one: {}, two: {} });
  world.service("three");
  await world.settle();
  assert.equal(data(world).pools, undefined, "what comes together is written together");
  await pass(world, 10_000);
  const { configuration, pools, peers, problems } = read(data(world));
  const { hash, since, ...rest } = configuration;
  assert.match(`${hash}`, /^[0-9a-f]{16}$/);
  assert.match(`${since}`, /^\d{4}-/);
  assert.deepEqual([rest.state, rest.cause, rest.evidence], ["Ready", "inForce", []]);
  assert.deepEqual(
    pools.map(({ pool, protocol, total, inUse }) => [pool, protocol, total, inUse]),
    [["a", "layer2", 2, 2]],
  );
  assert.deepEqual(peers, []);
  assert.deepEqual(
    problems.map(({ service, state, cause, message }) => [service, state, cause, message]),
    [
      [
        "default/three",
        "Pending",
        "noPoolFits",
        'no pool can serve this Service: pool "a" has no free IPv4 address (all 2 are in use)',
      ],
    ],
  );
});

test("what is wrong with a configuration is there by line and column", async () => {
  const world = await startWorld(small);
  world.config(small.replace("10.0.0.1", "10.0.0.x"));
  await pass(world, 10_000);
  const { state, cause, evidence } = read(data(world)).configuration;
  assert.deepEqual([state, cause], ["Degraded", "invalid"]);
  assert.match(`${evidence}`, /line \d+, column \d+/);
});

test("while much changes it is written every few seconds, and not at all while nothing does", async () => {
  const world = await startWorld(small, { one: {} });
  await pass(world, 10_000);
  const written = await pass(world, 60_000, (i) => (i % 2 === 0 ? world.delete("one") : world.service("one")));
  assert.ok(written >= 5 && written <= 20, `${written} times`);
  await pass(world, 10_000);
  assert.equal(await pass(world, 60_000), 0);
});

test("it is put right when somebody else changes it, and written by the controller at work alone", async () => {
  const world = await startWorld(small, { one: {} });
  await pass(world, 10_000);
  const { pools } = data(world);
  overwrite(world);
  await pass(world, 10_000);
  assert.equal(data(world).pools, pools);
  await world.controller[Symbol.asyncDispose]();
  overwrite(world);
  assert.equal(await pass(world, 60_000), 0);
});

test("where another controller overwrites it again and again it is put right ever later", async () => {
  const world = await startWorld(small, { one: {} });
  await pass(world, 10_000);
  const written = await pass(world, 600_000, () => overwrite(world));
  assert.ok(written >= 3 && written <= 15, `${written} times`);
});

test("so it is where another controller overwrites it a while after each write", async () => {
  const world = await startWorld(small, { one: {} });
  await pass(world, 10_000);
  let written = 0;
  for (let i = 0; i < 150; i++) {
    overwrite(world);
    written += await pass(world, 4_000);
  }
  assert.ok(written >= 3 && written <= 15, `${written} times`);
});

test("the summary that version 0.1.0 wrote beside the last good configuration goes", async () => {
  const world = await startWorld(small, { one: {} });
  const key = `${namespace}/${statusConfigMap}`;
  const former = { configuration: "state: Ready", pools: "[]", peers: "[]", problems: "[]" };
  world.cluster.put("configmaps", configMap(key, { ...former, [lastGoodKey]: small }));
  await pass(world, 10_000);
  assert.deepEqual(world.cluster.configMap(key)?.data, { [lastGoodKey]: small });
});

test("whatever Services are named and ask for, all texts are YAML of at most 256 KiB, and say how many more there are", async () => {
  const world = await startWorld(small);
  for (let i = 0; i < 3000; i++)
    world.service(`s${i}-${"x".repeat(200)}`, { annotations: { "metallb.io/address-pool": `"\n- # ${"\u202e'".repeat(600)}` } });
  await pass(world, 30_000);
  const texts = summaryKeys.map((key) => data(world)[key] ?? "");
  const octets = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  assert.ok(octets <= maxSummaryBytes && octets > maxSummaryBytes / 2, `${octets} octets`);
  const { problems } = read(data(world));
  assert.match(data(world).problems ?? "", new RegExp(`\n# and ${3000 - problems.length} more\n$`));
  assert.ok(problems.every(({ service }) => /^default\/s\d+-x{200}$/.test(`${service}`)));
});

test("of many pools a summary asks for no more than it has room for, and says how many there are", async () => {
  const many = Array.from({ length: 300 }, (_, i) => `p${i} 10.${i >> 8}.${i & 255}.0-10.${i >> 8}.${i & 255}.1`);
  const world = await startWorld(configText(...many));
  for (let i = 0; i < 2_000 && world.controller.view.configuration.inForce === undefined; i++) {
    await sleep(50); // It is read in a thread.
    await world.settle();
  }
  let asked = 0;
  const pools = (function* () {
    for (const pool of world.controller.view.pools()) {
      asked++;
      yield pool;
    }
  })();
  const { configuration } = world.controller.view;
  const summary = summarize({ configuration, pools, problems: [], problemCount: 0, dateOf: String });
  assert.match(summary.pools, /\n# and 100 more\n$/);
  assert.equal(asked, 200);
});

test("a summary that the API refuses for long has a verdict, until it is written", async () => {
  const world = await startWorld(small, { one: {} });
  const name = `${namespace}/${summaryConfigMap}`;
  world.cluster.refused.set(name, new ApiError(`Cannot write ConfigMap ${name}: 403 forbidden`, 403, "Forbidden"));
  await pass(world, 5_000);
  assert.equal(world.controller.view.configuration.verdict.cause, "inForce", "it may be over in a second");
  await pass(world, 60_000);
  const { verdict } = world.controller.view.configuration;
  assert.deepEqual([verdict.state, verdict.cause], ["Degraded", "notReported"]);
  assert.match(verdict.message, /in force, but the summary of the state is not written: .*403 forbidden/);
  assert.equal(world.controller.view.refusedReports, 1);
  world.cluster.refused.clear();
  await pass(world, 60_000);
  assert.equal(world.controller.view.configuration.verdict.cause, "inForce");
  assert.equal(world.controller.view.refusedReports, 0);
  world.cluster.refused.set(name, new ApiError(`Cannot write ConfigMap ${name}: 403 forbidden`, 403, "Forbidden"));
  world.service("late");
  await pass(world, 1_000_000);
  assert.equal(world.controller.view.configuration.verdict.cause, "notReported");
  world.cluster.refused.clear();
  await pass(world, 75_000);
  assert.equal(world.controller.view.configuration.verdict.cause, "inForce", "a minute after it is mended");
});
