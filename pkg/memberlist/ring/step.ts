import type { Millis } from "#pkg/clock";
import type { Dead, Endpoint, NodeName, PacketMessage, Suspect } from "../codec/messages.ts";
import type { Effect, Event, Member } from "./events.ts";
import { awaitHeartbeats, takeDiffering } from "./heartbeat.ts";
import {
  aliveOf,
  announce,
  deadOf,
  endSuspicions,
  leave,
  mergeAlive,
  mergeDead,
  mergeSuspect,
  noteContact,
  onNewcomerAck,
} from "./merging.ts";
import { askAgain, askAgainAt } from "./newcomers.ts";
import { isMember, isSlow, memberOf, type NodeRecord, ownMetadata } from "./node-record.ts";
import { addStall, continueBackOff, type Overload } from "./overload.ts";
import { judgePaths, pathChanged } from "./path-failures.ts";
import { choosePaths, choosePathsInTime, pathsDueAt } from "./paths.ts";
import { doProbing, onAck, onIndirectPing, onNack, onPing, onSendFailed, probeAccuser } from "./probing.ts";
import {
  askMore,
  askMoreAt,
  join,
  onExchangeEnd,
  onReconnectAck,
  onRequest,
  periodicPushPull,
  pull,
  reconnect,
} from "./push-pull.ts";
import { Ring, type RingOptions } from "./ring.ts";
import { broadcastUser, gossip, sendDirect } from "./sending.ts";
import { suspicionBounds, suspicionDueAt } from "./suspicion.ts";
import { pushPullInterval, type TimingName, timings } from "./timing.ts";

/** A timer later than this means that the process did not run, and that packets have come in meanwhile... */
const stallTolerance: Millis = 10;
/** ...for this long, before it judges others by missing messages. */
const stallGrace: Millis = 20;

/** A ring of this node alone. @throws {RangeError} when `encodeMetadata` does */
export function startRing(options: RingOptions, now: Millis): [Ring, Effect[]] {
  const ring = new Ring(options, now);
  const { timing } = ring;
  ring.probeAt = now + timing.probeInterval;
  ring.pushPullAt = now + options.random() * timing.pushPullInterval + pushPullInterval(timing, 1);
  announce(ring, ring.self.meta, now);
  return [ring, takeEffects(ring, now)];
}

/**
 * Advances a ring by one event, in place. Answers every event in every state, and throws only what the event's own doc comment
 * names.
 * @returns what to do, in this order
 */
export function step(ring: Ring, event: Event, now: Millis): Effect[] {
  const late = now - nextDeadline(ring);
  // Also where a packet is read before the timer runs: what it makes this node say is to tell that it was late.
  if (late > stallTolerance) ring.stall = { at: now, late };
  switch (event.type) {
    case "timer":
      if (late >= 0) onTimer(ring, late, now); // Else it was set before the deadline moved.
      break;
    case "packet":
      noteContact(ring, now);
      for (const message of event.messages) onMessage(ring, message, event.from, now);
      break;
    case "sendFailed":
      onSendFailed(ring, event.messages, now);
      break;
    case "request":
      noteContact(ring, now);
      onRequest(ring, event.stream, event.from, event.message, now);
      break;
    case "exchanged":
      noteContact(ring, now);
      onExchangeEnd(ring, event.exchange, event.message, now);
      break;
    case "exchangeFailed":
      onExchangeEnd(ring, event.exchange, event.reason, now);
      break;
    case "join":
      join(ring, event.join, event.endpoints, now);
      break;
    case "pull":
      pull(ring, event.node, now);
      break;
    case "leave":
      leave(ring, now);
      break;
    case "keepPaths":
      ring.paths.areKept = event.areKept;
      ring.timingStale = true;
      break;
    case "path":
      pathChanged(ring, event.node, event.verdict, now);
      break;
    case "metadata":
      ownMetadata(event.fields, ring.options.timing !== "lan"); // Throws also when they fit only as long as the ring adds nothing.
      ring.metadata = event.fields;
      refreshMetadata(ring, now);
      break;
    case "broadcast":
      broadcastUser(ring, event.topic, event.text, now);
      break;
    default:
      event satisfies never;
  }
  return takeEffects(ring, now);
}

/** When the next `timer` event is due; it may be in the past. */
export function nextDeadline(ring: Ring): Millis {
  if (ring.resumeAt !== undefined) return ring.resumeAt;
  let next = Math.min(
    ring.probeAt,
    ring.gossipAt,
    ring.pushPullAt,
    ring.reconnectAt,
    ring.overload.watchAt,
    askAgainAt(ring),
    askMoreAt(ring),
    pathsDueAt(ring),
  );
  next = Math.min(next, ring.heartbeats.awaited?.dueAt ?? Infinity);
  for (const { indirectAt, verdictAt } of ring.probes.values()) next = Math.min(next, indirectAt, verdictAt);
  for (const suspicion of ring.suspicions.values()) next = Math.min(next, suspicionDueAt(suspicion));
  for (const { deadline } of ring.relays.values()) next = Math.min(next, deadline);
  return next;
}

/** The nodes that are alive or suspect; this one too, until it leaves. */
export function members(ring: Ring): Member[] {
  return ring.order.filter(isMember).map(memberOf);
}

function onTimer(ring: Ring, late: Millis, now: Millis): void {
  if (late > stallTolerance) {
    if (ring.options.timing === "auto") setOverload(ring, addStall(ring.overload, late, now));
    if (ring.resumeAt === undefined) {
      ring.counters.stalls++;
      ring.resumeAt = now + stallGrace;
      return;
    }
  }
  ring.resumeAt = undefined;
  setOverload(ring, continueBackOff(ring.overload, now));
  doProbing(ring, now);
  endSuspicions(ring, now);
  judgePaths(ring, now);
  choosePathsInTime(ring, now);
  askAgain(ring, now);
  askMore(ring, now);
  if (now >= ring.gossipAt) gossip(ring, now);
  if (now >= ring.pushPullAt) periodicPushPull(ring, now);
  if (now >= ring.reconnectAt) reconnect(ring, now);
}

function setOverload(ring: Ring, overload: Overload): void {
  if ((overload.backOffUntil === undefined) !== (ring.overload.backOffUntil === undefined)) ring.timingStale = true;
  ring.overload = overload;
}

function onMessage(ring: Ring, message: PacketMessage, from: Endpoint, now: Millis): void {
  switch (message.type) {
    case "ping":
      onPing(ring, message, from, now);
      break;
    case "indirectPing":
      onIndirectPing(ring, message, from, now);
      break;
    case "ack": {
      onAck(ring, message, from, now);
      onReconnectAck(ring, message, now);
      onNewcomerAck(ring, message.sequence, now);
      const differing = takeDiffering(ring);
      if (differing !== undefined) pull(ring, differing, now);
      break;
    }
    case "nack":
      onNack(ring, message);
      break;
    case "alive":
      mergeAlive(ring, message, now);
      break;
    case "suspect":
      correct(ring, message, from, now);
      mergeSuspect(ring, message, now);
      if (answerAccusation(ring, message, from)) probeAccuser(ring, message.from, now);
      break;
    case "dead":
      correct(ring, message, from, now);
      mergeDead(ring, message, now);
      answerAccusation(ring, message, from);
      break;
    case "user":
      ring.effects.push({ ...message, isNews: true });
      break;
    default:
      message satisfies never;
  }
}

/**
 * Answers an accusation that is out of date. Its sender missed the later news, which is sent only a limited number of times, and
 * would otherwise hold on to the accusation until it compares views with somebody. Either it was refuted, or the accused is gone
 * already.
 */
function correct(ring: Ring, accusation: Suspect | Dead, from: Endpoint, now: Millis): void {
  const { type, node, incarnation } = accusation;
  const record = ring.records.get(node);
  if (record === undefined || incarnation > record.incarnation) return;
  if (record.status === "alive" && incarnation < record.incarnation) sendDirect(ring, from, aliveOf(record));
  else if (type === "suspect" && !isMember(record) && sawItGo(ring, from, record, now))
    sendDirect(ring, from, deadOf(ring, record));
}

/**
 * A node that accuses this one after it has just refuted that is told directly, because gossip takes longer. @returns whether it
 * was told
 */
function answerAccusation(ring: Ring, { node, incarnation }: Suspect | Dead, from: Endpoint): boolean {
  const { self, leave } = ring;
  const hasRefuted = node === self.node && leave === "none" && incarnation === self.incarnation - 1;
  if (hasRefuted) sendDirect(ring, from, aliveOf(self));
  return hasRefuted;
}

/**
 * Whether a node was a member all the time since another went, and not long ago. One that was not may come from behind a cut, where
 * the other lives: it must not receive a death that never was, which it would believe.
 */
function sawItGo(
  { order, places, timing, cutOffUntil }: Ring,
  witness: Endpoint,
  { status, since }: NodeRecord,
  now: Millis,
): boolean {
  if (status === "left") return true;
  if (since <= cutOffUntil) return false; // Perhaps it is this node that was behind a cut.
  // A witness that missed it then has suspected the node since. Later, others forget that it was gone, and may know better that it
  // is back.
  if (now - since > Math.min(suspicionBounds(timing, order.length).max, timing.gossipToTheDead / 2)) return false;
  const member = places.at(witness);
  return member !== undefined && member.since <= since;
}

function takeEffects(ring: Ring, now: Millis): Effect[] {
  if (ring.timingStale) chooseTiming(ring, now);
  const { effects } = ring;
  ring.effects = [];
  return effects;
}

/** Announces the metadata of this node, where that changed. */
function refreshMetadata(ring: Ring, now: Millis): void {
  const meta = ownMetadata(ring.metadata, isFastOffered(ring));
  if (ring.leave === "none" && meta !== ring.self.meta) announce(ring, meta, now);
}

/** Keeps what runs, and brings forward what would wait longer than the new timing has it. */
function chooseTiming(ring: Ring, now: Millis): void {
  refreshMetadata(ring, now);
  ring.timingStale = false;
  const { timing: wanted } = ring.options;
  const because = wanted === "auto" ? holdsBack(ring) : undefined;
  const name: TimingName = wanted !== "auto" ? wanted : because === undefined ? "fast" : "lan";
  if (name !== ring.timing.name) changeTiming(ring, name, because, now);
  awaitHeartbeats(ring, now);
  choosePaths(ring, now);
}

function changeTiming(ring: Ring, name: TimingName, because: NodeName | undefined, now: Millis): void {
  ring.timing = timings[name];
  ring.probeAt = Math.min(ring.probeAt, now + ring.timing.probeInterval);
  if (ring.gossipAt !== Infinity) ring.gossipAt = Math.min(ring.gossipAt, now + ring.timing.gossipInterval);
  ring.pushPullAt = Math.min(ring.pushPullAt, now + ring.options.random() * pushPullInterval(ring.timing, ring.order.length));
  if (ring.reconnectAt !== Infinity) ring.reconnectAt = Math.min(ring.reconnectAt, now + ring.timing.reconnectInterval);
  ring.effects.push({ type: "timingChanged", timing: name, because });
}

function isFastOffered({ options: { timing }, places, overload }: Ring): boolean {
  if (timing !== "auto") return timing === "fast";
  return overload.backOffUntil === undefined && !places.doubted.values().some(isSlow);
}

/** The first that does not offer the fast timing; where that is this node, the one that it finds too slow, or itself. */
function holdsBack({ places, self }: Ring): NodeName | undefined {
  const [without] = places.withoutFast;
  return (without === self ? (places.doubted.values().find(isSlow) ?? self) : without)?.node;
}
