// Long: many seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { type Family, families, parseAddress } from "#pkg/net";
import { type TriedService, TryingNode } from "./testing/trying-node.ts";

/** `make nightly` has others. */
const count = Number(process.env.PATH_TEST_SEEDS ?? 60);
const from = Number(process.env.PATH_TEST_FROM ?? 1);
/** Seeds that found something once. */
const known = [1210, 1515, 2270, 5414, 9110, 11349, 23499];

interface Tenant extends TriedService {
  readonly answersAfter: Millis | undefined;
  /** From then on it answers nothing. */
  readonly until: Millis;
  /** Its policy keeps other nodes out that have no Pod of it. */
  readonly isOnlyForPodsNode: boolean;
}

/** Answers of a node's kernel; times are milliseconds after the start. */
interface Story {
  readonly tenants: readonly Tenant[];
  /** Nothing of these families is answered then, as after kube-proxy's rules are flushed. */
  readonly flushed: { readonly of: readonly Family[]; readonly at: Millis; readonly until: Millis };
  /** Other nodes tell that Services answer them. */
  readonly othersAnswer: boolean;
  /** All Pods are on another node then, as while this one is drained. */
  readonly drained: { readonly at: Millis; readonly until: Millis };
  /** One of so many API servers is away then, to which that part of the connections goes. */
  readonly withoutApi: { readonly at: Millis; readonly until: Millis; readonly oneOf: number };
}

function draw(seed: number): Story {
  const random = seededRandom(seed);
  const pick = (limit: number) => Math.floor(random() * limit);
  const isDual = pick(2) === 0;
  const well = pick(8);
  const isAway = pick(3) === 0;
  const tenants = Array.from({ length: 1 + well + pick(3) }, (_, index): Tenant => {
    const isOfDual = isDual && (index === well || pick(4) > 0);
    const clusterIPs = [`10.96.1.${index}`, ...(isOfDual ? [`fd00:96::1:${index}`] : [])];
    const key = `${"abcdef"[pick(6)]}/s${index}`;
    const kind = index === well ? pick(2) : pick(5);
    // Services of more namespaces that begin to be silent would be a sign.
    const dies = kind === 4 && (isAway ? /^a/ : /^[ab]/).test(key);
    const answersAfter = kind === 3 ? undefined : kind === 1 ? 200 + pick(350) : pick(60);
    const until = dies ? pick(60_000) : Infinity;
    const isOnlyForPodsNode = index !== well && seed % 3 === 0 && pick(2) === 0;
    return { key, address: `192.0.2.${index}`, clusterIPs, answersAfter, until, isOnlyForPodsNode };
  });
  // A speaker that begins then has seen no answer.
  const at = seed % 4 === 0 ? 0 : 1_000 + pick(seed % 4 === 1 ? 4_000 : 90_000);
  const of = isDual && pick(3) === 0 ? (["IPv6"] as const) : families;
  const until = at + 4_000 + pick(30_000);
  const awayAt = pick(2) === 0 ? pick(at) : until + pick(10_000);
  const withoutApi = { at: awayAt, until: isAway ? awayAt + pick(40_000) : 0, oneOf: 1 + pick(3) };
  const drainedAt = pick(2) === 0 ? 3_000 + pick(60_000) : Infinity;
  const othersAnswer = pick(2) === 0;
  return {
    tenants,
    othersAnswer,
    flushed: { of, at, until },
    withoutApi,
    drained: { at: drainedAt, until: drainedAt + pick(60_000) },
  };
}

// Each Service is looked at once in each of its families: one every 5 s, and after one that does not answer 10 s later.
const atFirst = 24; // Twelve of each family.
const lookMs: Millis = 12_000;
const startedWithin: Millis = 700;
// Later ones are tried once a second until then.
const settledMs: Millis = 4_000;
const foundWithin: Millis = 3_000;
// Of one family, by Services alone, one in three seconds.
const foundByTenants: Millis = 20_000;
const ableAfter: Millis = 50_000;

async function judge({ tenants, othersAnswer, flushed, withoutApi, drained }: Story): Promise<void> {
  let asked = 0;
  const answers = (host: string, now: Millis): Millis | undefined => {
    const family = parseAddress(host)?.family ?? "IPv4";
    if (now >= flushed.at && now < flushed.until && flushed.of.includes(family)) return undefined;
    const tenant = tenants.find(({ clusterIPs }) => clusterIPs.includes(host));
    const isApiAway = tenant === undefined && now >= withoutApi.at && now < withoutApi.until && ++asked % withoutApi.oneOf === 0;
    if (tenant === undefined) return isApiAway ? undefined : 0;
    return now < tenant.until && !(tenant.isOnlyForPodsNode && isDrained(now)) ? tenant.answersAfter : undefined;
  };
  const isDrained = (now: Millis) => now >= drained.at && now < drained.until;
  using node = new TryingNode(tenants, answers, othersAnswer);
  for (const [at, areHere] of [
    [drained.at, false],
    [drained.until, true],
  ] as const)
    if (at < Infinity) node.bench.clock.schedule("Pods move", at, () => node.setPods(areHere));
  const faults = (family: Family) => node.bench.view.pathFaults(family);
  const known = (family: Family) => [...node.bench.state.dataPath[family].tests.sample.keys()];
  const used = families.filter((family) =>
    tenants.some(({ clusterIPs }) => clusterIPs.some((ip) => parseAddress(ip)?.family === family)),
  );

  const knownWithin = lookMs * tenants.reduce((sum, { clusterIPs }) => sum + clusterIPs.length, 1);

  // Where the API's Service is silent too, one Service is enough for a node that knows no more.
  const excused = new Map<Family, Millis>();
  const isWell = (family: Family) => {
    const namespaces = new Set(known(family).map((key) => key[0]));
    if (withoutApi.until > 0 && namespaces.size < 2) excused.set(family, node.now + ableAfter);
    if (node.now >= (excused.get(family) ?? 0)) assert.deepEqual(faults(family), [], `${family} at ${node.now}`);
  };

  while (!node.bench.state.isStarted) await node.pass(50);
  assert.ok(node.now <= startedWithin, `started after ${node.now}`);
  if (flushed.at === 0)
    for (const family of flushed.of) {
      const ofFamily = tenants.filter(({ clusterIPs }) => clusterIPs.some((ip) => parseAddress(ip)?.family === family));
      const isSign = new Set(ofFamily.map(({ key }) => key[0])).size >= (othersAnswer ? 1 : 3);
      assert.deepEqual(faults(family), isSign ? ["noConnection"] : [], `${family} at its start`);
    }

  while (node.now < flushed.at) {
    await node.pass(500);
    for (const family of families) isWell(family);
    for (const family of used) if (node.now > knownWithin) assert.notDeepEqual(known(family), [], `${family} at ${node.now}`);
  }
  const isThere = ({ until, isOnlyForPodsNode }: Tenant) => until > flushed.at && !(isOnlyForPodsNode && isDrained(flushed.at));
  const answering = tenants.filter(isThere).map(({ key }) => key);
  const before = new Map(families.map((family) => [family, known(family).filter((key) => answering.includes(key))]));
  // Without the API's silence those that answered while their Pods were here do not count where these are gone.
  const isDrainedThen = drained.at < flushed.at + foundByTenants && drained.until > flushed.at;
  const isSure = (family: Family, key: string) =>
    !(isDrainedThen && node.bench.state.dataPath[family].tests.sample.get(key)?.wasHere);
  const areSure = (family: Family) => known(family).every((key) => isSure(family, key));
  // It has heard of silent Services alone, some while they were and some before: it may think so for another round.
  for (const family of flushed.of) if (known(family).length === 0) excused.set(family, Infinity);
  for (const family of flushed.of) {
    const namespaces = new Set(before.get(family)?.map((key) => key[0]));
    const isAll = flushed.of.length === families.length;
    const isApiKnown = families.some((one) => node.bench.state.dataPath[one].tests.api.answeredAt > -Infinity);
    const isByApi = isAll && isApiKnown;
    if (namespaces.size < (isByApi ? 1 : 3) || !(isByApi || areSure(family))) continue;
    const isSoon = isAll && !isDrainedThen && (isByApi || flushed.at >= settledMs);
    // By Services alone each family takes its own.
    const limit = flushed.at + (isSoon ? foundWithin * (isByApi ? 1 : used.length) : foundByTenants);
    while (node.now < Math.min(limit, flushed.until) && faults(family).length === 0) await node.pass(100);
    if (node.now < flushed.until) assert.deepEqual(faults(family), ["noConnection"], `${family} at ${node.now}`);
  }
  while (node.now < flushed.until + ableAfter) {
    await node.pass(500);
    for (const family of families) if (!flushed.of.includes(family)) isWell(family);
  }
  for (const family of families) isWell(family);
  assert.ok(node.tried <= node.now / 1_000 + 11 + atFirst, `${node.tried} connections in ${node.now} ms`);
}

test(`a node takes itself for unable when its rules are flushed, and never for what tenants do (${count} seeds from ${from})`, async () => {
  const drawn = Array.from({ length: count }, (_, index) => from + index);
  for (const seed of [...known, ...drawn]) {
    const story = draw(seed);
    await judge(story).catch((error: Error) => assert.fail(`seed ${seed}: ${error.message}\n${JSON.stringify(story, null, 1)}`));
  }
});
