import type { Millis } from "#pkg/clock";
import type { SpeakerEvent } from "../events.ts";
import { portOf } from "../services/self-tests.ts";
import { endpointsOf } from "../services/services.ts";
import type { SpeakerState } from "../state.ts";
import type { ConnectionTest, ConnectionTests } from "./data-path-state.ts";

// Connections from this node, by its own kernel, to cluster IPs: they go the way that packets of clients go from here on, and no other node can
// answer for these addresses. A connection that is refused proves the way, too. One tenant's Service that does not answer says nothing of the
// node: it takes the API's own Service, or Services of three namespaces.

const apiService = "/kubernetes"; // In no tenant's namespace.
// More say little more.
const maxSample = 12;
const maxOfNamespace = 2;
// How long a Service counts as one that answers.
const knownMs: Millis = 300_000;
// The API server sees a connection without a request: thousands of nodes make few of them.
const apiEveryMs: Millis = 30_000;
const namespacesForAll = 3;
// The answer of a Service that is not known says little, and takes the place of one that is.
const freshEveryMs: Millis = 10_000;
const fewEveryMs: Millis = 2_000;
// Limit of Services that one test looks at.
const maxLooked = 200;

/** The connection to try next; undefined where no Service can be tried. */
export function nextTest(state: SpeakerState, now: Millis): ConnectionTest | undefined {
  const { tests } = state.dataPath;
  const pools = state.config?.config.pools ?? [];
  if (state.services.rows.size === 0 || pools.every(({ announceWhen }) => announceWhen === "alive")) return undefined;
  const { sample, silent, silentSince, api } = tests;
  const ofApi: ConnectionTest = { service: undefined, scan: tests.scan };
  if (silent.length > 0 ? api.triedAt < silentSince : now >= api.triedAt + apiEveryMs) return ofApi;
  const isFew = new Set([...sample.keys()].map(namespaceOf)).size < namespacesForAll;
  const isFreshDue = silent.length === 0 && sample.size < maxSample && now >= tests.freshAt + (isFew ? fewEveryMs : freshEveryMs);
  const fresh = isFreshDue || sample.size === 0 ? freshTest(state) : ofApi;
  if (fresh.service !== undefined) return fresh;
  const all = [...sample].flatMap(([key, { triedAt }]) => ({ key, triedAt, service: targetOf(state, key) }));
  const inTurn = all
    .filter(({ service }) => service !== undefined)
    .sort((a, b) => rank(tests, a.key) - rank(tests, b.key) || a.triedAt - b.triedAt);
  const [first] = inTurn;
  if (silent.includes(apiService) && (first === undefined || (rank(tests, first.key) > 0 && api.triedAt < first.triedAt)))
    return ofApi;
  return first && { service: first.service, scan: fresh.scan };
}

/** Services of namespaces of which none is silent come first. */
function rank({ silent }: ConnectionTests, key: string): number {
  return silent.some((other) => namespaceOf(other) === namespaceOf(key)) ? 1 : 0;
}

/** Without a Service: there is none among those that were looked at, and the next are those from `scan` on. */
function freshTest(state: SpeakerState): ConnectionTest {
  const { sample, scan } = state.dataPath.tests;
  const { rows } = state.services;
  const from = scan < rows.size ? scan : 0;
  let at = from;
  for (const key of rows.keys().drop(from).take(maxLooked)) {
    at++;
    const ofNamespace = [...sample.keys()].filter((other) => namespaceOf(other) === namespaceOf(key));
    const isWanted = !sample.has(key) && ofNamespace.length < maxOfNamespace;
    const service = isWanted ? targetOf(state, key) : undefined;
    if (service !== undefined) return { service, scan: at };
  }
  return { service: undefined, scan: at };
}

/** Undefined for a Service that this node cannot try, or whose endpoints may be on nodes that are gone. */
function targetOf(state: SpeakerState, key: string): ConnectionTest["service"] {
  const row = state.services.rows.get(key);
  const found = portOf(state, [key]);
  const [address] = row?.service.clusterIPs ?? [];
  if (found === undefined || address === undefined || row?.addresses.length === 0 || !isAlive(state, key)) return undefined;
  return { key, address, port: found.port };
}

function isAlive({ services, members }: SpeakerState, key: string): boolean {
  const ready = endpointsOf(services, key).filter((each) => each.ready > 0);
  const isGone = (node: string | undefined) =>
    node !== undefined && (members.missing.has(node) || !members.active.includes(node));
  return ready.length > 0 && !ready.some(({ nodeName }) => isGone(nodeName));
}

/** A connection was tried. */
export function connectionTried(
  tests: ConnectionTests,
  { test: { service, scan }, result }: Omit<Extract<SpeakerEvent, { readonly type: "connected" }>, "type">,
  now: Millis,
): void {
  tests.scan = scan;
  const key = service?.key ?? apiService;
  const before = service === undefined ? tests.api : tests.sample.get(key);
  const isKnown = before !== undefined && now - before.answeredAt < knownMs;
  const answeredAt = result === "answered" ? now : (before?.answeredAt ?? -Infinity);
  const tried = { triedAt: now, answeredAt };
  if (service === undefined) tests.api = tried;
  else if (isKnown || result === "answered") tests.sample.set(key, tried);
  else tests.sample.delete(key);
  if (before === undefined) tests.freshAt = now;
  if (result === "silent" && isKnown && !tests.silent.some((other) => namespaceOf(other) === namespaceOf(key))) {
    if (tests.silent.length === 0) tests.silentSince = now;
    tests.silent = [...tests.silent, key];
  }
  if (result !== "answered") return;
  if (service === undefined) tests.silent = tests.silent.filter((other) => other !== apiService);
  else {
    tests.answeredAt = now;
    // These are faults of their own.
    for (const other of tests.silent) tests.sample.delete(other);
    tests.silent = [];
  }
}

/** Whether Services that answered before are silent for which one tenant, or a node that is gone, cannot be the reason. */
export function nobodyAnswers(state: SpeakerState): boolean {
  const { silent } = state.dataPath.tests;
  const tenants = silent.filter((key) => key !== apiService && isAlive(state, key));
  // While its changes are seen, the API is there.
  const isApiSilent = silent.includes(apiService) && state.apiView.lostSince === Infinity;
  return tenants.length >= namespacesForAll || (isApiSilent && tenants.length > 0);
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
