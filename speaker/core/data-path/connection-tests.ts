import type { Millis } from "#pkg/clock";
import { answeredBits, type PathSign, seenWithoutBit } from "#pkg/gossip";
import { type Family, families, parseAddress } from "#pkg/net";
import type { SpeakerEvent } from "../events.ts";
import { portOf } from "../services/self-tests.ts";
import { endpointsOfFamily, isReadyOn, policyOf } from "../services/services.ts";
import type { SpeakerState } from "../state.ts";
import type { ConnectionTarget, ConnectionTest, ConnectionTests, DataPaths } from "./data-path-state.ts";

// Connections from this node, by its own kernel, to cluster IPs: they go the way that packets of clients go from here on, and no other node can
// answer for these addresses. A connection that is refused proves the way, too. One tenant's Service that does not answer says nothing of the
// node: it takes the API's own Service, or Services of three namespaces. One connection is tried at a time, and most of them are of the family that
// most Services have.

const apiService = "/kubernetes"; // In no tenant's namespace.
// More say little more.
export const maxSample = 12;
const maxOfNamespace = 2;
// How long a Service counts as one that answers.
const knownMs: Millis = 300_000;
// The API server sees a connection without a request: thousands of nodes make few of them.
const apiEveryMs: Millis = 30_000;
export const namespacesForAll = 3;
// Where the API's Service is silent, too. One of several API servers may be gone while one tenant's Service hangs.
const namespacesWithApi = 2;
// Most Services that are not known are silent, once all that answer are: that says nothing.
const freshEveryMs: Millis = 10_000;
const fewEveryMs: Millis = 2_000;
// Limit of Services that one test looks at.
const maxLooked = 200;
const otherEveryMs: Millis = 3_000;

/**
 * The connection to try next; undefined where no Service can be tried.
 * @param isFirst it is to one that is known, where there is one: another one may follow it at once
 */
export function nextTest(state: SpeakerState, now: Millis, isFirst = false): ConnectionTest | undefined {
  const { dataPath, services, config } = state;
  const pools = config?.config.pools ?? [];
  if (services.rows.size === 0 || pools.every(({ announceWhen }) => announceWhen === "alive")) return undefined;
  const family = nextFamily(dataPath, now);
  const { sample, silent } = dataPath[family].tests;
  const isSuspect = isSuspected(dataPath, family);
  const ofApi: ConnectionTest = { family, to: "api", scan: dataPath.scan, isSuspect, isFresh: false };
  const apiAt = apiTriedAt(dataPath);
  if (isApiDue(dataPath, family)) return { ...ofApi, beside: testsBeside(state, family) };
  if (now >= apiAt + (isSuspect || isApiKnown(dataPath) ? apiEveryMs : freshEveryMs)) return ofApi;
  const [first] = knownInTurn(state, family);
  const isTenants = first !== undefined && isExplained(dataPath, family);
  const isFreshDue = (isTenants || !(isFirst || isSuspect)) && now >= dataPath.freshAt;
  const fresh = isFreshDue || sample.size === 0 ? freshTest(state, family) : { ...ofApi, to: undefined };
  if (fresh.to !== undefined) return fresh;
  if (silent.includes(apiService) && (first === undefined || (rank(silent, first.key) > 0 && apiAt < first.triedAt)))
    return ofApi;
  const test = { family, to: first?.to, scan: fresh.scan, isSuspect: isSuspect && !isTenants, isFresh: false };
  if (!test.isSuspect || !isApiSilent(dataPath)) return test;
  return { ...test, beside: testsBeside(state, family).filter(({ to }) => to !== "api" && to?.address !== first?.to.address) };
}

/** Services of the sample that can be tried, in turn. */
function knownInTurn(state: SpeakerState, family: Family) {
  const { sample, silent } = state.dataPath[family].tests;
  const found = [...sample].flatMap(([key, { triedAt }]) => {
    const to = targetOf(state, key, family);
    return to === undefined ? [] : [{ key, triedAt, to }];
  });
  return found.sort((a, b) => rank(silent, a.key) - rank(silent, b.key) || a.triedAt - b.triedAt);
}

/** Services of two namespaces of each family: with the API's silence theirs decides. */
function testsBeside(state: SpeakerState, family: Family): readonly ConnectionTest[] {
  return families.flatMap((each) => {
    const { broken, tests } = state.dataPath[each];
    if (each !== family && broken.includes("noConnection")) return [];
    const byNamespace = Map.groupBy(knownInTurn(state, each), ({ key }) => namespaceOf(key));
    const untold = [...byNamespace.values()].flatMap(([first]) =>
      first === undefined || rank(tests.silent, first.key) > 0 ? [] : first.to,
    );
    const wanted = namespacesWithApi - new Set(tests.silent.filter((key) => key !== apiService).map(namespaceOf)).size;
    return untold
      .slice(0, Math.max(0, wanted))
      .map((to) => ({ family: each, to, scan: state.dataPath.scan, isSuspect: true, isFresh: false }));
  });
}

/** The family of most Services that answered, and now and then the other one; if one is suspected, that one, and the other one now and then. */
function nextFamily(dataPath: DataPaths, now: Millis): Family {
  const size = (family: Family) => dataPath[family].tests.sample.size;
  const [most, other] = size("IPv6") > size("IPv4") ? (["IPv6", "IPv4"] as const) : (["IPv4", "IPv6"] as const);
  // A node that could not deliver from the start on is to know soon that it can.
  if (size(other) === 0 && !dataPath[other].broken.includes("noConnection")) return most;
  const isUrgent = (family: Family) => isSuspected(dataPath, family) && !isExplained(dataPath, family);
  const [first, second] = !isUrgent(most) && isUrgent(other) ? [other, most] : [most, other];
  return !isApiDue(dataPath, first) && now >= dataPath[second].tests.triedAt + otherEveryMs ? second : first;
}

/** Whether the next test of the family may decide. */
function isSuspected(dataPath: DataPaths, family: Family): boolean {
  const { broken, tests } = dataPath[family];
  const isSilent = tests.silent.length > 0 || (tests.sample.size > 0 && isApiSilent(dataPath));
  return isSilent && !broken.includes("noConnection");
}

/** Whether tenants are the reason for the silence, since the API's Service answers, and no other Service is known. */
function isExplained(dataPath: DataPaths, family: Family): boolean {
  const { sample, silent } = dataPath[family].tests;
  return !isApiSilent(dataPath) && !isApiDue(dataPath, family) && sample.keys().every((key) => rank(silent, key) > 0);
}

/** Whether the API's Service is to tell if a tenant is the reason for silence. */
function isApiDue(dataPath: DataPaths, family: Family): boolean {
  const { silent, silentSince } = dataPath[family].tests;
  return silent.length > 0 && isApiKnown(dataPath) && apiTriedAt(dataPath) < silentSince;
}

function apiTriedAt({ IPv4, IPv6 }: DataPaths): Millis {
  return Math.max(IPv4.tests.api.triedAt, IPv6.tests.api.triedAt);
}

/** Only what answered before can be silent. */
function isApiKnown(dataPath: DataPaths): boolean {
  return families.some((family) => dataPath[family].tests.api.answeredAt > -Infinity);
}

/** It has one family, and kube-proxy serves both. */
function isApiSilent(dataPath: DataPaths): boolean {
  return families.some((family) => dataPath[family].tests.silent.includes(apiService));
}

/** Services of namespaces of which none is silent come first. */
function rank(silent: readonly string[], key: string): number {
  return silent.some((other) => namespaceOf(other) === namespaceOf(key)) ? 1 : 0;
}

/**
 * To a Service of which nothing is known, in either family. `to` is undefined where the Services that were looked at have no such one; the next look
 * begins at `scan`.
 */
function freshTest(state: SpeakerState, first: Family): ConnectionTest {
  const all = families.length * state.services.rows.size;
  const { scan } = state.dataPath;
  const found = freshFrom(state, scan < all ? scan : 0);
  const isEnd = typeof found === "number" && found >= all;
  const next = isEnd && scan < all ? freshFrom(state, 0) : found;
  return typeof next === "number" ? { family: first, to: undefined, scan: next, isSuspect: false, isFresh: true } : next;
}

/** @returns where the next look begins, where it has found none */
function freshFrom(state: SpeakerState, from: number): ConnectionTest | number {
  let at = from - (from % families.length);
  for (const key of state.services.rows
    .keys()
    .drop(at / families.length)
    .take(maxLooked))
    for (const family of families) {
      if (at++ < from) continue;
      const { tests } = state.dataPath[family];
      const to = isWanted(tests, key) ? targetOf(state, key, family) : undefined;
      if (to === undefined) continue;
      const isSuspect = tests.answeredAt === -Infinity && isEnough([...tests.silentAtFirst, key]);
      return { family, to, scan: at, isSuspect, isFresh: true };
    }
  return at;
}

/** Whether Services of too few namespaces are known. */
function isFew({ sample }: ConnectionTests): boolean {
  return namespacesOf([...sample.keys()]) < namespacesForAll;
}

function isWanted({ sample }: ConnectionTests, key: string): boolean {
  if (sample.size >= maxSample || sample.has(key)) return false;
  return [...sample.keys()].filter((other) => namespaceOf(other) === namespaceOf(key)).length < maxOfNamespace;
}

/** Undefined where this node cannot try the Service, its cluster IPs need a Pod here, or its endpoints may be on nodes that are gone. */
export function targetOf(state: SpeakerState, key: string, family: Family): ConnectionTarget | undefined {
  const row = state.services.rows.get(key);
  const found = portOf(state, [key]);
  const address = row?.service.clusterIPs.find((text) => parseAddress(text)?.family === family);
  if (found === undefined || address === undefined || row?.addresses.length === 0 || !isAlive(state, key, family))
    return undefined;
  const isHere = isReadyOn(state.services, key, state.node, family);
  return row?.service.isInternalLocal && !isHere ? undefined : { key, address, port: found.port, isHere };
}

/** Whether clients reach the Service by way of this node, so that its silence says something before it has ever answered. */
export function isDeliveredHere(state: SpeakerState, to: ConnectionTarget | "api"): boolean {
  return to !== "api" && (to.isHere || policyOf(state, to.key) === "Cluster");
}

function isAlive({ services, members }: SpeakerState, key: string, family: Family): boolean {
  const ready = endpointsOfFamily(services, key, family).filter((each) => each.ready > 0);
  const isGone = (node: string | undefined) =>
    node !== undefined && (members.missing.has(node) || !members.active.includes(node));
  return ready.length > 0 && !ready.some(({ nodeName }) => isGone(nodeName));
}

/** A connection was tried. */
export function connectionTried(
  state: SpeakerState,
  { test: { family, to, scan }, result }: Omit<Extract<SpeakerEvent, { readonly type: "connected" }>, "type">,
  now: Millis,
): void {
  const { dataPath } = state;
  const { tests } = dataPath[family];
  const key = to === undefined || to === "api" ? apiService : to.key;
  const isHereNow = isReadyOn(state.services, key, state.node, family);
  const ofSample = tests.sample.get(key);
  const before = key === apiService ? tests.api : ofSample;
  if (scan !== dataPath.scan || before === undefined) dataPath.freshAt = now + (isFew(tests) ? fewEveryMs : freshEveryMs);
  dataPath.scan = scan;
  tests.triedAt = now;
  if (to === undefined) return;
  const isKnown = before !== undefined && now - before.answeredAt < knownMs;
  const answeredAt = result === "answered" ? now : (before?.answeredAt ?? -Infinity);
  const tried = { triedAt: now, answeredAt };
  const isNodeSuspect = families.some((each) => isSuspected(dataPath, each) || dataPath[each].broken.length > 0);
  const isAtFirst = result === "silent" && tests.answeredAt === -Infinity && !isNodeSuspect && isDeliveredHere(state, to);
  if (isAtFirst && !areAllSilent(tests.silentAtFirst) && !isEnough(tests.silentAtFirst))
    tests.silentAtFirst = [...tests.silentAtFirst, key];
  if (to === "api") tests.api = tried;
  else if (result === "answered") tests.sample.set(key, { ...tried, wasHere: to.isHere || isHereNow, hasMoved: false });
  else if (isKnown && ofSample !== undefined)
    tests.sample.set(key, {
      ...ofSample,
      ...tried,
      hasMoved: ofSample.hasMoved || (ofSample.wasHere && !(to.isHere && isHereNow)),
    });
  else tests.sample.delete(key);
  if (result === "silent" && isKnown) {
    if (before.triedAt === before.answeredAt) tests.silentSince = now;
    const ofNamespace = tests.silent.find((other) => namespaceOf(other) === namespaceOf(key));
    if (ofNamespace === undefined || (hasMoved(state, family, ofNamespace) && !hasMoved(state, family, key)))
      tests.silent = [...tests.silent.filter((other) => other !== ofNamespace), key];
  }
  if (result !== "answered") return;
  if (to === "api") tests.silent = tests.silent.filter((other) => other !== apiService);
  else {
    tests.answeredAt = now;
    // These are faults of their own.
    for (const other of tests.silent) if (other !== key) tests.sample.delete(other);
    tests.silent = [];
    tests.silentAtFirst = [];
  }
}

/** Whether so many Services were silent before any answered that tenants are no reason: all, or twelve, and of three namespaces at least. */
function isEnough(silentAtFirst: readonly string[]): boolean {
  const areMany = areAllSilent(silentAtFirst) || silentAtFirst.length >= maxSample;
  return areMany && namespacesOf(silentAtFirst) >= namespacesForAll;
}

/** Whether all Services were silent before any answered: one is there twice. */
function areAllSilent(silentAtFirst: readonly string[]): boolean {
  return new Set(silentAtFirst).size < silentAtFirst.length;
}

/**
 * Whether Services that answered before are silent now, and neither one tenant nor a node that is gone can be the reason. Where none has answered
 * since this speaker started, all Services are silent, or many, and Services answered most other nodes; of fewer namespaces, they do now.
 */
export function nobodyAnswers(state: SpeakerState, family: Family): boolean {
  const { silent, silentAtFirst } = state.dataPath[family].tests;
  if (isEnough(silentAtFirst)) return areOthersWithout(state, family, "noConnection");
  if (areAllSilent(silentAtFirst)) return areMostOthers(state, answeredBits[family]);
  // A node that was found unable stays so until something answers: what becomes of the silent Services, or of the nodes of their Pods, proves nothing.
  const isUnable = state.dataPath[family].broken.includes("noConnection");
  const tenants = silent.filter((key) => key !== apiService && (isUnable || isAlive(state, key, family)));
  const isApiThere = seesApi(state) || state.dataPath[family].since.has("noConnection");
  const isApiAway = isApiThere && isApiSilent(state.dataPath);
  const sure = tenants.filter((key) => !hasMoved(state, family, key));
  if (sure.length >= namespacesForAll) return true;
  const known = knownInTurn(state, family).map(({ key }) => key);
  if (!isApiAway || tenants.length === 0) {
    // A Service that answers other nodes does not hang.
    const areEnough = tenants.length >= namespacesForAll && areSilent(state.dataPath[family].tests, known);
    return areEnough && areMostOthers(state, answeredBits[family]);
  }
  const knownForSure = known.filter((key) => !hasMoved(state, family, key));
  if (knownForSure.length === 0) return tenants.length >= namespacesOf(known) && isApiLast(state.dataPath, family);
  return sure.length >= Math.min(namespacesWithApi, namespacesOf(knownForSure));
}

/** Whether none of these was answered the last time. */
function areSilent({ sample }: ConnectionTests, keys: readonly string[]): boolean {
  const isSilent = ({ triedAt, answeredAt } = { triedAt: 0, answeredAt: 0 }) => answeredAt < triedAt;
  return keys.every((key) => isSilent(sample.get(key)));
}

/** Whether the API's Service was tried since any Service was. */
function isApiLast(dataPath: DataPaths, family: Family): boolean {
  return dataPath[family].tests.sample.values().every(({ triedAt }) => triedAt <= apiTriedAt(dataPath));
}

/** Whether the Service answered when it had a Pod on this node, and has none, or had none when it was silent: its policies may keep other nodes out. */
function hasMoved({ dataPath, services, node }: SpeakerState, family: Family, key: string): boolean {
  const known = dataPath[family].tests.sample.get(key);
  return known !== undefined && (known.hasMoved || (known.wasHere && !isReadyOn(services, key, node, family)));
}

/** Whether changes in the API are seen by this node, or by most others: this one reaches it by its Service, too. */
function seesApi({ node, apiView, members: { active, gossip } }: SpeakerState): boolean {
  if (apiView.lostSince === Infinity) return true;
  const others = active.filter((other) => other !== node);
  const seeing = others.filter((other) => gossip?.isParticipating(other) && gossip.view(other) === "current");
  return apiView.view !== "current" && 2 * seeing.length > others.length;
}

/** Whether most other nodes were seen without the sign, so that it is not how nodes of this cluster work. */
export function areOthersWithout(state: SpeakerState, family: Family, sign: PathSign): boolean {
  return areMostOthers(state, seenWithoutBit(family, sign));
}

/** Whether most other nodes report the bit: see `NodeSummary.seenWithout`. */
export function areMostOthers({ node, members }: SpeakerState, bit: number): boolean {
  const others = members.active.filter((other) => other !== node);
  return 2 * others.filter((other) => ((members.gossip?.seenWithout(other) ?? 0) & bit) !== 0).length > others.length;
}

function namespacesOf(keys: readonly string[]): number {
  return new Set(keys.map(namespaceOf)).size;
}

export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
