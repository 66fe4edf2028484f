// Scenario: many seeds.
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
const known = [1210, 1515, 2270, 5414, 9110];

interface Tenant extends TriedService {
  readonly answersAfter: Millis | undefined;
  /** From then on it answers nothing. */
  readonly until: Millis;
}

/** Answers of a node's kernel; times are milliseconds after the start. */
interface Story {
  readonly tenants: readonly Tenant[];
  /** Nothing of these families is answered then, as after kube-proxy's rules are flushed. */
  readonly flushed: { readonly of: readonly Family[]; readonly at: Millis; readonly until: Millis };
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
    return { key, address: `192.0.2.${index}`, clusterIPs, answersAfter, until: dies ? pick(60_000) : Infinity };
  });
  const at = 4_000 + pick(90_000);
  const of = isDual && pick(3) === 0 ? (["IPv6"] as const) : families;
  const until = at + 4_000 + pick(30_000);
  const awayAt = pick(2) === 0 ? pick(at) : until + pick(10_000);
  const withoutApi = { at: awayAt, until: isAway ? awayAt + pick(40_000) : 0, oneOf: 1 + pick(3) };
  return { tenants, flushed: { of, at, until }, withoutApi };
}

// Each Service is looked at once in each of its families: one every 5 s, and after one that does not answer 10 s later.
const lookMs: Millis = 12_000;
const foundWithin: Millis = 3_000;
// Of one family, by Services alone, one in three seconds.
const foundByTenants: Millis = 20_000;
const ableAfter: Millis = 50_000;

async function judge({ tenants, flushed, withoutApi }: Story): Promise<void> {
  let asked = 0;
  const answers = (host: string): Millis | undefined => {
    const { now } = node;
    const family = parseAddress(host)?.family ?? "IPv4";
    if (now >= flushed.at && now < flushed.until && flushed.of.includes(family)) return undefined;
    const tenant = tenants.find(({ clusterIPs }) => clusterIPs.includes(host));
    const isApiAway = tenant === undefined && now >= withoutApi.at && now < withoutApi.until && ++asked % withoutApi.oneOf === 0;
    return tenant === undefined ? (isApiAway ? undefined : 0) : now < tenant.until ? tenant.answersAfter : undefined;
  };
  let node: TryingNode = undefined as never; // It asks nothing before its first step.
  node = new TryingNode(tenants, answers);
  using _ = node;
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

  while (node.now < flushed.at) {
    await node.pass(500);
    for (const family of families) isWell(family);
    for (const family of used) if (node.now > knownWithin) assert.notDeepEqual(known(family), [], `${family} at ${node.now}`);
  }
  const answering = tenants.filter(({ until }) => until > flushed.at).map(({ key }) => key);
  const before = new Map(families.map((family) => [family, known(family).filter((key) => answering.includes(key))]));
  // It has heard of silent Services alone, some while they were and some before: it may think so for another round.
  for (const family of flushed.of) if (known(family).length === 0) excused.set(family, Infinity);
  for (const family of flushed.of) {
    const namespaces = new Set(before.get(family)?.map((key) => key[0]));
    const isAll = flushed.of.length === families.length;
    const isApiKnown = families.some((one) => node.bench.state.dataPath[one].tests.api.answeredAt > -Infinity);
    if (namespaces.size < (isAll && isApiKnown ? 1 : 3)) continue;
    const limit = flushed.at + (isAll ? foundWithin : foundByTenants);
    while (node.now < Math.min(limit, flushed.until) && faults(family).length === 0) await node.pass(100);
    if (node.now < flushed.until) assert.deepEqual(faults(family), ["noConnection"], `${family} at ${node.now}`);
  }
  while (node.now < flushed.until + ableAfter) {
    await node.pass(500);
    for (const family of families) if (!flushed.of.includes(family)) isWell(family);
  }
  for (const family of families) isWell(family);
  assert.ok(node.tried <= node.now / 1_000 + 11, `${node.tried} connections in ${node.now} ms`);
}

test(`a node takes itself for unable when its rules are flushed, and never for what tenants do (${count} seeds from ${from})`, async () => {
  const drawn = Array.from({ length: count }, (_, index) => from + index);
  for (const seed of [...known, ...drawn]) {
    const story = draw(seed);
    await judge(story).catch((error: Error) => assert.fail(`seed ${seed}: ${error.message}\n${JSON.stringify(story, null, 1)}`));
  }
});
