import type { Millis } from "#pkg/clock";
import type { Ack, Endpoint, MemberState, NodeName, PushPull, StreamMessage, Versions } from "../codec/messages.ts";
import { chooseRandom } from "./choice.ts";
import { mergeStates, onNewcomerAck, type ViewSource } from "./merging.ts";
import { isMember, type NodeRecord, stateOf } from "./node-record.ts";
import { onStreamAck } from "./probing.ts";
import { type ExchangePurpose, nextSequence, ownPing, type Ring } from "./ring.ts";
import { sendDirect } from "./sending.ts";
import { pushPullInterval } from "./timing.ts";

/** Connecting, writing and reading together. */
const exchangeTimeout: Millis = 10_000;
/** A few at once, so that those that do not answer hold up nobody; not all, since the first answer lists the others. */
const maxJoinsAtOnce = 4;
/** In a large ring each answer has megabytes, and the first one most likely lists all others. This node asks for a further one only after so long. */
const many = 100;
const joinPatience: Millis = 1_000;

/** One alone may lie. */
const agreementsWanted = 2;

/**
 * Starts the periodic push/pull with a random node, unless members have told the same digest since the last time: what this node has missed
 * before would have made theirs another, and what it has missed since then will.
 */
export function periodicPushPull(ring: Ring, now: Millis): void {
  ring.pushPullAt = now + pushPullInterval(ring.timing, ring.order.length);
  const areAgreed = ring.agreeing.size >= agreementsWanted;
  ring.agreeing.clear();
  if (areAgreed) return;
  const eligible = (record: NodeRecord) => record !== ring.self && record.status === "alive";
  for (const { endpoint } of chooseRandom(ring.order, 1, eligible, ring.options.random))
    openPushPull(ring, { type: "pushPull", to: endpoint }, endpoint, now);
}

export function join(ring: Ring, id: number, endpoints: readonly Endpoint[], now: Millis): void {
  const patience = endpoints.length < many ? 0 : joinPatience;
  ring.joins.set(id, { waiting: [...endpoints], patience, moreAt: now, underway: 0, joined: 0, failures: [] });
  goOnJoining(ring, id, now);
}

/** When `askMore` is due. */
export function askMoreAt({ joins }: Ring): Millis {
  let next = Infinity;
  for (const { moreAt, underway, waiting } of joins.values())
    if (underway < maxJoinsAtOnce && waiting.length > 0) next = Math.min(next, moreAt);
  return next;
}

/** Further ones are asked where those before do not answer. */
export function askMore(ring: Ring, now: Millis): void {
  for (const [id, { moreAt }] of ring.joins) if (now >= moreAt) goOnJoining(ring, id, now);
}

function goOnJoining(ring: Ring, id: number, now: Millis): void {
  const join = ring.joins.get(id);
  if (join === undefined) return;
  while (join.underway < maxJoinsAtOnce && (join.underway === 0 || now >= join.moreAt)) {
    const to = join.waiting.shift();
    if (to === undefined) break;
    if (ring.places.at(to) !== undefined) join.joined++;
    else {
      join.underway++;
      join.moreAt = now + join.patience;
      openPushPull(ring, { type: "join", join: id, to }, to, now);
    }
  }
  if (join.underway > 0) return;
  ring.joins.delete(id);
  ring.effects.push({ type: "joinFinished", join: id, joined: join.joined, failures: join.failures });
}

/** Exchanges views with a member; does nothing if the node is no longer a member. */
export function pull(ring: Ring, node: NodeName, now: Millis): void {
  const member = ring.records.get(node);
  if (member !== undefined && isMember(member) && member !== ring.self)
    openPushPull(ring, { type: "pushPull", to: member.endpoint }, member.endpoint, now);
}

/** Sends this node's view, and merges the one that comes back. */
export function openPushPull(ring: Ring, purpose: ExchangePurpose, to: Endpoint, now: Millis): void {
  const exchange = ring.exchange++;
  ring.exchanges.set(exchange, purpose);
  const message = pushPull(ring, purpose.type === "join");
  ring.effects.push({ type: "exchange", exchange, to, message, deadline: now + exchangeTimeout });
}

function pushPull(ring: Ring, join: boolean): PushPull {
  return { type: "pushPull", join, states: ring.order.map(stateOf), userState: ring.options.userState?.() ?? new Uint8Array() };
}

/** Answers a request on a stream. */
export function onRequest(ring: Ring, stream: number, from: Endpoint, message: StreamMessage, now: Millis): void {
  if (message.type === "ping" && (message.node === "" || message.node === ring.self.node)) {
    ring.effects.push({ type: "reply", stream, message: { type: "ack", sequence: message.sequence, payload: undefined } });
  } else if (message.type === "pushPull") {
    ring.effects.push({ type: "reply", stream, message: pushPull(ring, message.join) }); // Before merging, as peers do.
    const problem = mergePushPull(ring, message, "message", now);
    if (problem !== undefined) ring.effects.push({ type: "exchangeProblem", with: from, reason: problem });
  } else ring.effects.push({ type: "close", stream });
}

/** An exchange of ours ended; `result` is what came back, or why nothing did. */
export function onExchangeEnd(ring: Ring, exchange: number, result: StreamMessage | string, now: Millis): void {
  const purpose = ring.exchanges.get(exchange);
  if (purpose === undefined) return;
  ring.exchanges.delete(exchange);
  if (purpose.type === "ping") {
    const answers = typeof result !== "string" && result.type === "ack" && result.sequence === purpose.sequence;
    if (!answers) return;
    onStreamAck(ring, purpose.sequence);
    onNewcomerAck(ring, purpose.sequence, now);
    return;
  }
  const problem = typeof result === "string" ? result : mergePushPull(ring, result, viewOf(ring, result), now);
  if (purpose.type === "pushPull") {
    if (problem !== undefined) ring.effects.push({ type: "exchangeProblem", with: purpose.to, reason: problem });
    return;
  }
  const join = ring.joins.get(purpose.join);
  if (join === undefined) return;
  join.underway--;
  if (problem === undefined) join.joined++;
  else join.failures.push({ endpoint: purpose.to, reason: problem });
  goOnJoining(ring, purpose.join, now);
}

/**
 * A large view that one asked for who knows few of its members is nobody's news: this node does not pass it on. With 5,000 members that would be 20,000
 * messages in 24,000 full packets, of which the first 1,500 would go before news of its own, as these are short. Members that the one that answers
 * lacks are few, and learn of these by comparing views.
 */
function viewOf({ places }: Ring, answer: StreamMessage): ViewSource {
  const isCommon =
    answer.type === "pushPull" && answer.states.length >= many && places.members.length <= answer.states.length / 10;
  return isCommon ? "commonView" : "view";
}

/** @returns why nothing was merged */
function mergePushPull(ring: Ring, message: StreamMessage, source: ViewSource, now: Millis): string | undefined {
  if (message.type === "error") return `the other reports: ${message.message}`;
  if (message.type !== "pushPull") return `the other sends ${message.type} instead of push/pull`;
  const problem = versionProblem(message.states, ring.order);
  if (problem !== undefined) {
    ring.counters.pushPullsRefused++;
    return problem;
  }
  ring.counters.pushPulls++;
  mergeStates(ring, message.states, source, now);
  const isNews = source !== "commonView";
  if (message.userState.length > 0) ring.effects.push({ type: "user", payload: message.userState, isNews });
  return undefined;
}

/**
 * Whether all nodes of two views can speak to one another. Peers refuse an exchange otherwise, without saying so, so that it must be
 * checked here too. Versions that any node speaks, also a dead one, have to lie in the range that all living nodes understand.
 * @returns the reason, undefined when they can
 */
export function versionProblem(received: readonly MemberState[], own: readonly NodeRecord[]): string | undefined {
  const all = [...received, ...own];
  const living = all.filter(({ status }) => status === "alive").map(({ versions }) => versions);
  for (const [what, at] of [["protocol", 0] as const, ["delegate", 3] as const]) {
    const low = living.reduce((most, versions) => Math.max(most, versions[at]), 0);
    const high = living.reduce((least, versions) => Math.min(least, versions[(at + 1) as 1 | 4]), 255);
    const current = (versions: Versions) => versions[(at + 2) as 2 | 5];
    const misfit = all.find(({ versions }) => current(versions) < low || current(versions) > high);
    if (misfit !== undefined)
      return `node speaks a ${what} version outside ${low} to ${high}: ${misfit.node} speaks ${current(misfit.versions)}`;
  }
  return undefined;
}

/** How much longer the interval grows for each millisecond since the member failed: to 2.5 s after ten minutes. */
const reconnectSlowdown = 1 / 240;

/**
 * Pings one of the members that failed, each in its turn, as Serf reconnects. Where a network was cut, it is enough that any node of
 * one side reaches any of the other, so that in a large ring each node pings less often.
 */
export function reconnect(ring: Ring, now: Millis): void {
  const member = ring.leave === "none" ? ring.failed.next(now) : undefined;
  ring.reconnectAt = Infinity;
  if (member === undefined) return;
  member.sequence = nextSequence(ring);
  sendDirect(ring, member.endpoint, ownPing(ring, member.sequence, member.node));
  const { reconnectInterval, reconnectSpread } = ring.timing;
  const shared = reconnectSpread * ring.places.members.length;
  const interval = Math.max(reconnectInterval, shared, (now - member.since) * reconnectSlowdown);
  ring.reconnectAt = now + interval * (0.5 + ring.options.random()); // By chance, so that not all nodes ping together.
}

/** A member that failed answers: both sides compare views, so that each learns that it was taken for dead, and refutes. */
export function onReconnectAck(ring: Ring, { sequence }: Ack, now: Millis): void {
  const member = ring.failed.bySequence(sequence);
  if (member === undefined) return;
  member.sequence = undefined;
  ring.reconnectAt = now + ring.timing.suspicionFloor + ring.timing.reconnectInterval; // Members on its side have this long to refute.
  openPushPull(ring, { type: "pushPull", to: member.endpoint }, member.endpoint, now);
}
