import type { Millis } from "#pkg/clock";
import type { Alive, Dead, MemberState, MemberStatus, NodeName, Suspect } from "../codec/messages.ts";
import { decodeMetadata } from "../codec/metadata.ts";
import { randomIndex, swap } from "./choice.ts";
import type { Evidence, MemberEvent } from "./events.ts";
import { answeredBy, askNewcomer, endAsking } from "./newcomers.ts";
import { isMember, memberOf, type NodeRecord, newRecord, noteMistake, offersFast } from "./node-record.ts";
import { isFoundByPaths, noteAccuser, noteDeath, noteReturn } from "./paths.ts";
import { changeLocalHealth, maxU32, noteChange, type Ring, sameEndpoint, withPort } from "./ring.ts";
import { broadcast, finishLeave, sendToNode } from "./sending.ts";
import { confirmSuspicion, extendSuspicion, startSuspicion, suspicionBounds, suspicionDueAt, wantsAccuser } from "./suspicion.ts";
import { pullSoon } from "./timing.ts";

/** The source of a whole view: a member sent it unasked, or this node asked for it. A common view is an answer that all other members know already. */
export type ViewSource = "message" | "view" | "commonView";

/** The source of the statement that a node is alive: some message, a view, or the node itself by its answer to a ping. */
type Source = ViewSource | "itself";

export function mergeAlive(ring: Ring, alive: Alive, now: Millis, source: Source = "message"): void {
  if (alive.node === ring.self.node && ring.leave !== "none") return;
  const [min, max] = alive.versions;
  if (min === 0 || max === 0 || min > max) return;
  const endpoint = withPort(ring, alive.endpoint);
  let record = ring.records.get(alive.node);
  if (record === undefined) {
    if (alive.incarnation === 0) return; // No node announces it.
    if (source === "message" || (source !== "itself" && wasForgotten(ring, alive))) {
      askNewcomer(ring, alive, endpoint, now);
      return;
    }
    record = newRecord(alive.node, endpoint, alive.versions, alive.meta, now);
    addRecord(ring, record);
  } else if (!sameEndpoint(record.endpoint, endpoint)) {
    if (!isReplaceable(record, alive)) {
      if (isSuccessor(record, alive)) record.successor = { ...alive, endpoint };
      ring.counters.conflicts++;
      ring.effects.push({ type: "conflict", node: record.node, known: record.endpoint, claimed: endpoint });
      return;
    }
    record.incarnation = -1; // It is another process, and so all of its announcements are newer.
  }
  if (record === ring.self) mergeAliveSelf(ring, alive, now);
  else if (alive.incarnation > record.incarnation) adoptAlive(ring, record, { ...alive, endpoint }, now, source);
}

/** Whether a node was gone in that incarnation, or a later one, and is forgotten: a view in which it lives is older than that. */
function wasForgotten({ forgotten }: Ring, { node, incarnation }: Alive): boolean {
  return incarnation <= (forgotten.get(node) ?? 0);
}

/** Takes those into the ring that have answered the ping of that number. */
export function onNewcomerAck(ring: Ring, sequence: number, now: Millis): void {
  const alive = answeredBy(ring, sequence);
  if (alive === undefined) return;
  mergeAlive(ring, alive, now, "itself");
  ring.newcomers.delete(alive.node);
}

/** Known nodes get a random place, so that nodes that join together are not probed together. */
function addRecord(ring: Ring, record: NodeRecord): void {
  ring.records.set(record.node, record);
  ring.forgotten.delete(record.node);
  ring.newcomers.delete(record.node);
  ring.order.push(record);
  swap(ring.order, ring.order.length - 1, randomIndex(ring.options.random, ring.order.length));
}

/**
 * Whether a node may come back at another address. One of ours whose incarnation is greater may at once when it is dead: the key proves
 * that it is a speaker, and its incarnation that it started later. One of ours whose incarnation is not may never: that was captured.
 */
function isReplaceable(record: NodeRecord, alive: Alive): boolean {
  const { status, incarnation } = record;
  if (isOurs(record) && isOurs(alive) && alive.incarnation <= incarnation) return false;
  return status === "left" || (status === "dead" && isSuccessor(record, alive));
}

function isSuccessor({ incarnation }: NodeRecord, alive: Alive): boolean {
  return alive.incarnation > incarnation && isOurs(alive);
}

function isOurs({ meta }: Pick<NodeRecord, "meta">): boolean {
  return decodeMetadata(meta) !== undefined;
}

function mergeAliveSelf(ring: Ring, { incarnation, meta, versions }: Alive, now: Millis): void {
  const { self } = ring;
  if (incarnation < self.incarnation) return;
  const same = meta === self.meta && versions.every((version, i) => version === self.versions[i]);
  if (incarnation > self.incarnation || !same) refute(ring, incarnation, undefined, now);
}

function adoptAlive(ring: Ring, record: NodeRecord, alive: Alive, now: Millis, source: Source): void {
  const evidence = evidenceOf(ring, record, undefined, now);
  ring.suspicions.delete(record.node);
  ring.unanswered.delete(record.node);
  if (source !== "commonView") broadcast(ring, alive, now);
  const before = record.status;
  const metaChanged = (record.meta ?? "") !== (alive.meta ?? "");
  record.incarnation = alive.incarnation;
  record.endpoint = alive.endpoint;
  record.versions = alive.versions;
  record.meta = alive.meta;
  record.offersFast = offersFast(alive.meta);
  if (before !== "alive") setStatus(record, "alive", now);
  noteChange(ring, record); // Also where nothing is emitted: the incarnation is another.
  if (before === "dead" || before === "left") {
    // One that is slow stays so until it answers quickly: it may have been taken for dead for that, and a process that is replaced has the same network.
    if (before === "dead") noteReturn(ring, record, now);
    if (before === "dead") noteMistake(record);
    ring.failed.delete(record.node);
    ring.agreeing.clear();
    ring.pushPullAt = Math.min(ring.pushPullAt, now + pullSoon(ring.timing, ring.order.length, ring.options.random));
    emitChange(ring, "joined", record);
  } else {
    if (before === "suspect") {
      ring.counters.refuted++;
      emitChange(ring, "refuted", record, evidence);
    }
    if (metaChanged) emitChange(ring, "updated", record);
  }
}

/** Merges a suspect message: a probe of the node failed. @param told whether those who have to know already do, so that the rest may wait for gossip */
export function mergeSuspect(ring: Ring, suspect: Suspect, now: Millis, told: "nobody" | "witnesses" = "nobody"): void {
  const record = ring.records.get(suspect.node);
  if (record === undefined || suspect.incarnation < record.incarnation) return;
  noteAccuser(ring, suspect, now);
  const suspicion = ring.suspicions.get(suspect.node);
  if (suspicion !== undefined) {
    const confirmed = confirmSuspicion(suspicion, suspect.from, now);
    if (confirmed === undefined) return;
    ring.suspicions.set(suspect.node, confirmed);
    broadcastSuspect(ring, suspect, now);
    return;
  }
  if (record.status !== "alive") return;
  if (record === ring.self) {
    refute(ring, suspect.incarnation, suspect.from, now);
    return;
  }
  broadcastSuspect(ring, suspect, now);
  record.incarnation = suspect.incarnation;
  setStatus(record, "suspect", now);
  ring.suspicions.set(record.node, startSuspicion(suspect.from, suspicionBounds(ring.timing, ring.order.length), now));
  if (suspect.from !== ring.self.node) considerChecking(ring, record.node);
  ring.counters.suspicions++;
  if (suspect.from === ring.self.node && told === "nobody") {
    ring.gossipAt = now; // Nobody else begins at this instant.
    if (ring.timing.heartbeats) sendToNode(ring, record, [suspect]); // By gossip alone it may know only after others have waited for long.
  }
  emitChange(ring, "suspected", record, evidenceOf(ring, record, suspect.from, now));
  confirmUnanswered(ring, record, now);
}

/**
 * Findings of paths wait for so long before they are gossiped. Members that keep a path to the node know of a suspicion already, and most suspicions are
 * deaths by then, of which all members are told directly. So nobody passes on what everybody knows while somebody takes addresses over.
 */
const pathsDecide: Millis = 20;

function broadcastSuspect(ring: Ring, suspect: Suspect, now: Millis): void {
  broadcast(ring, suspect, ring.paths.watched.size > 0 ? now + pathsDecide : now);
}

/** How long this node's own finding that another does not answer holds. */
const unansweredHolds: Millis = 500;

/** Confirms a suspicion of others by the result of this node's ping for them. */
export function confirmUnanswered(ring: Ring, { node, incarnation }: NodeRecord, now: Millis): void {
  const suspicion = ring.suspicions.get(node);
  const at = ring.unanswered.get(node);
  if (suspicion === undefined || at === undefined) return;
  ring.unanswered.delete(node);
  const from = ring.self.node;
  if (now - at <= unansweredHolds && wantsAccuser(suspicion, from))
    mergeSuspect(ring, { type: "suspect", node, incarnation, from }, now);
}

/** Merges a dead message: the node left, or its suspicion timed out. */
export function mergeDead(ring: Ring, dead: Dead, now: Millis): void {
  const record = ring.records.get(dead.node);
  if (record === undefined) {
    // Nodes that had its answer already wait for that news; it would reach few of them if only they passed it on.
    if (dead.node === dead.from && endAsking(ring, dead)) broadcast(ring, dead, now);
    return;
  }
  if (dead.incarnation < record.incarnation) return;
  const seen = evidenceOf(ring, record, dead.from, now);
  const evidence = { ...seen, isByPaths: isFoundByPaths(ring, seen.suspectedFor) };
  ring.suspicions.delete(dead.node);
  ring.unanswered.delete(dead.node);
  const hasLeft = dead.node === dead.from;
  // One that others took for failed while it left has left after all: its process is not there, but its kernel may be.
  if (!isMember(record) && !(hasLeft && record.status === "dead")) return;
  if (record === ring.self && ring.leave === "none") {
    refute(ring, dead.incarnation, dead.from, now); // Also when it seems to come from us: it is the echo of an old leave.
    return;
  }
  // When this node is the one that is cut off, it must not broadcast this afterwards: the others would believe it.
  if (record === ring.self || dead.from !== ring.self.node || !isCutOff(ring, now))
    broadcast(ring, dead, evidence.isByPaths ? now + pathsDecide : now);
  record.incarnation = dead.incarnation;
  setStatus(record, hasLeft ? "left" : "dead", now);
  if (hasLeft) ring.failed.delete(record.node);
  else {
    ring.counters.failures++;
    noteDeath(ring, record, evidence.isByPaths, now);
    ring.failed.add(record.node, record.endpoint, now, ring.options.random);
    ring.reconnectAt = Math.min(ring.reconnectAt, now + ring.timing.reconnectInterval);
  }
  if (hasLeft) emitChange(ring, "left", record);
  else emitChange(ring, "failed", record, evidence);
  askSuccessor(ring, record, now);
}

/** It has announced itself while the one before counted as alive, and may not do so again. */
function askSuccessor(ring: Ring, record: NodeRecord, now: Millis): void {
  const { successor } = record;
  record.successor = undefined;
  if (successor !== undefined && isSuccessor(record, successor)) askNewcomer(ring, successor, successor.endpoint, now);
}

/**
 * Merges a node's view of the whole ring, which the node sent unasked or as an answer. A node that the view calls dead is only suspected
 * here, so that the accused can refute.
 */
export function mergeStates(ring: Ring, states: readonly MemberState[], source: ViewSource, now: Millis): void {
  for (const { node, status, incarnation, endpoint, meta, versions } of states) {
    if (status === "alive") mergeAlive(ring, { type: "alive", node, incarnation, endpoint, meta, versions }, now, source);
    else if (status === "left") mergeDead(ring, { type: "dead", node, incarnation, from: node }, now);
    else mergeSuspect(ring, { type: "suspect", node, incarnation, from: ring.self.node }, now);
  }
}

/**
 * Declares suspects dead whose time to refute is over. Each suspect is notified a little earlier: it can still refute a
 * suspicion that it had not heard of, and repeats a refutation that this node missed (see `correct`).
 */
export function endSuspicions(ring: Ring, now: Millis): void {
  for (const [node, suspicion] of ring.suspicions) {
    const record = ring.records.get(node);
    if (record === undefined || now < suspicionDueAt(suspicion)) continue;
    const { incarnation } = record;
    const from = ring.self.node;
    if (now >= suspicion.deadline) mergeDead(ring, { type: "dead", node, incarnation, from }, now);
    else {
      ring.suspicions.set(node, { ...suspicion, notified: true });
      sendToNode(ring, record, [{ type: "suspect", node, incarnation, from }]);
    }
  }
}

/** Whether nothing was received for as long as a suspicion lasts: then this node is more likely to be cut off than all others dead. */
function isCutOff({ lastContactAt, timing, order }: Ring, now: Millis): boolean {
  return now - lastContactAt > suspicionBounds(timing, order.length).min + timing.cutOffSlack;
}

/** Notes that something was received. Suspicions do not count the time in which this node was cut off. */
export function noteContact(ring: Ring, now: Millis): void {
  if (isCutOff(ring, now)) {
    for (const [node, suspicion] of ring.suspicions)
      ring.suspicions.set(node, extendSuspicion(suspicion, ring.lastContactAt, now));
    ring.cutOffUntil = now;
  }
  ring.lastContactAt = now;
}

/** Announces this node for the first time, or with new metadata. */
export function announce(ring: Ring, meta: string | undefined, now: Millis): void {
  const { self } = ring;
  const first = self.incarnation === 0;
  self.incarnation = first ? ring.options.firstIncarnation : Math.min(self.incarnation + 1, maxU32);
  self.meta = meta;
  self.offersFast = offersFast(meta);
  if (first) setStatus(self, "alive", now);
  broadcast(ring, aliveOf(self), now);
  emitChange(ring, first ? "joined" : "updated", self);
}

export function leave(ring: Ring, now: Millis): void {
  if (ring.leave === "announced") ring.effects.push({ type: "leaveFinished" });
  if (ring.leave !== "none") return;
  ring.leave = "announcing";
  const { node, incarnation } = ring.self;
  mergeDead(ring, { type: "dead", node, incarnation, from: node }, now);
  if (ring.places.members.length === 0) finishLeave(ring); // Nobody receives it.
}

/** Outbids an accusation. One that leaves no greater number is ignored: we could never come back from it. */
function refute(ring: Ring, accused: number, accuser: NodeName | undefined, now: Millis): void {
  const { self } = ring;
  const incarnation = Math.max(self.incarnation, accused) + 1;
  if (incarnation > maxU32) return;
  self.incarnation = incarnation;
  changeLocalHealth(ring, 1);
  ring.counters.refutations++;
  broadcast(ring, aliveOf(self), now);
  ring.gossipAt = now; // Others may be about to declare it dead.
  emitChange(ring, "refuted", self, evidenceOf(ring, self, accuser, now));
}

export function aliveOf({ node, incarnation, endpoint, meta, versions }: NodeRecord): Alive {
  return { type: "alive", node, incarnation, endpoint, meta, versions };
}

/** The `dead` message about a node that is gone: from the node itself when it left, from this node when it failed. */
export function deadOf(ring: Ring, { node, incarnation, status }: NodeRecord): Dead {
  return { type: "dead", node, incarnation, from: status === "left" ? node : ring.self.node };
}

function setStatus(record: NodeRecord, status: MemberStatus, now: Millis): void {
  record.status = status;
  record.since = now;
}

function emitChange(ring: Ring, change: MemberEvent["change"], record: NodeRecord, evidence?: Evidence): void {
  noteChange(ring, record);
  ring.effects.push({ type: "member", change, member: memberOf(record), evidence });
}

/** @param accuser who accuses it now */
function evidenceOf(
  { suspicions, stall }: Ring,
  { node, heardAt }: NodeRecord,
  accuser: NodeName | undefined,
  now: Millis,
): Evidence {
  const suspicion = suspicions.get(node);
  return {
    accusers: [...new Set([...(suspicion?.accusers ?? []), ...(accuser === undefined ? [] : [accuser])])],
    suspectedFor: suspicion && now - suspicion.startedAt,
    silentFor: heardAt && now - heardAt,
    isByPaths: false,
    stall: stall && { late: stall.late, ago: now - stall.at },
  };
}

/**
 * About this many of the nodes that receive a suspicion probe the suspect themselves. Two of them have to accuse it for the suspicion to be
 * short; and while the suspect lives, each of them notifies it of the suspicion.
 */
const checkers = 12;

/** Takes note, by chance, of a node that others suspect. */
function considerChecking(ring: Ring, node: NodeName): void {
  if (ring.options.random() * ring.order.length < checkers) ring.toCheck.add(node);
}
