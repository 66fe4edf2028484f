import type { Millis } from "#pkg/clock";
import type { Ack, Endpoint, IndirectPing, Nack, NodeName, PacketMessage, Ping } from "../codec/messages.ts";
import { chooseRandom, isNeighbourOf, neighbourOf, shuffle } from "./choice.ts";
import { confirmUnanswered, deadOf, mergeSuspect } from "./merging.ts";
import {
  changeLocalHealth,
  isMember,
  type NodeRecord,
  nextSequence,
  ownPing,
  type Probe,
  type Ring,
  sameEndpoint,
  sourceOf,
  withPort,
} from "./ring.ts";
import { sendDirect, sendToNode } from "./sending.ts";
import { wantsAccuser } from "./suspicion.ts";
import { timings } from "./timing.ts";

/** An answer that takes longer would take too long for the fast timing in an indirect probe... */
const slowAnswer: Millis = 25;
/** ...and so many in a row are the network's fault, not that of a process that stalled. */
const slowProbesTolerated = 9;
/** Of one that was slow: one quick answer among many slow ones would make the ring alternate. */
const quickProbesWanted = 3;

/** Whether a node cannot be reached as quickly as the fast timing needs it. */
export function isSlow({ slowProbes }: NodeRecord): boolean {
  return slowProbes > slowProbesTolerated;
}

/** Does what of the probes, our own and those for others, is due. */
export function doProbing(ring: Ring, now: Millis): void {
  for (const [sequence, { node, to, sequence: theirs, nack, deadline }] of ring.relays) {
    if (now < deadline) continue;
    ring.relays.delete(sequence);
    noteUnanswered(ring, node, now);
    if (nack) sendDirect(ring, to, { type: "nack", sequence: theirs });
  }
  for (const probe of ring.probes.values()) {
    if (now >= probe.indirectAt) probeIndirectly(ring, probe, now);
    if (now >= probe.verdictAt) judge(ring, probe, now);
  }
  if (ring.awaitedPing !== undefined && now >= ring.awaitedPing.dueAt) probeSilent(ring, ring.awaitedPing.node, now);
  if (now >= ring.probeAt) {
    const interval = ring.suspicions.size > 0 ? ring.timing.alertInterval : ring.timing.probeInterval;
    ring.probeAt = Math.max(ring.probeAt, now - interval) + interval; // Of the ticks missed in a stall, one is made up for.
    const suspect = nextToCheck(ring);
    if (suspect !== undefined && !isBeingProbed(ring, suspect)) startProbe(ring, suspect, now);
    probeNext(ring, now);
  }
}

/**
 * Probes the neighbour, and now and then the next node in the order: each node is probed by somebody in most intervals, and by everybody
 * in the long run. Those that are being probed are passed over, so that one that does not answer hides nobody.
 */
function probeNext(ring: Ring, now: Millis): void {
  const { othersEvery, othersBeside } = ring.timing;
  ring.othersIn = Math.min(ring.othersIn, othersEvery) - 1;
  const isOthersTurn = ring.othersIn <= 0;
  if (isOthersTurn) ring.othersIn = othersEvery;
  const isFree = (record: NodeRecord) => record.status === "alive" && !isBeingProbed(ring, record);
  const neighbour = isOthersTurn && !othersBeside ? undefined : neighbourOf(ring.self, ring.order, isFree);
  if (neighbour !== undefined) startProbe(ring, neighbour, now);
  if (neighbour === undefined || isOthersTurn) probeInOrder(ring, now);
}

/** Goes on from where it was in the order, and comes round to its beginning once. */
function probeInOrder(ring: Ring, now: Millis): void {
  for (let steps = 2 * ring.order.length; steps >= 0; steps--) {
    const record = ring.order[ring.probeIndex++];
    if (record === undefined) {
      forgetGone(ring, now);
      shuffle(ring.order, ring.options.random);
      ring.probeIndex = 0;
    } else if (record !== ring.self && isMember(record) && !isBeingProbed(ring, record)) {
      startProbe(ring, record, now);
      return;
    }
  }
}

function isBeingProbed({ probes }: Ring, { node }: NodeRecord): boolean {
  for (const probe of probes.values()) if (probe.node === node) return true;
  return false;
}

/** Forgets the dead and left after a while, so that they no longer count as nodes of the ring. */
function forgetGone(ring: Ring, now: Millis): void {
  const isKept = (record: NodeRecord) =>
    record === ring.self || isMember(record) || now - record.since <= ring.timing.gossipToTheDead;
  const kept = ring.order.filter(isKept);
  if (kept.length === ring.order.length) return;
  for (const record of ring.order) if (!isKept(record)) ring.records.delete(record.node);
  ring.order.splice(0, Infinity, ...kept);
}

function startProbe(ring: Ring, record: NodeRecord, now: Millis): void {
  const { node, incarnation, endpoint, status } = record;
  const sequence = nextSequence(ring);
  const indirectAt = now + ring.timing.probeTimeout;
  const indirectTimeout = ring.timing.indirectTimeout + ring.timing.suspicionUnit * ring.localHealth; // An unwell node gives others more time.
  ring.probes.set(sequence, {
    sequence,
    node,
    incarnation,
    sentAt: now,
    indirectTimeout,
    indirectAt,
    verdictAt: indirectAt + indirectTimeout,
    nacksExpected: 0,
    nacks: 0,
    answeredOnStream: false,
  });
  ring.counters.probes++;
  const ping = ownPing(ring, sequence, node);
  if (status === "alive") sendDirect(ring, endpoint, ping);
  else sendToNode(ring, record, [ping, { type: "suspect", node, incarnation, from: ring.self.node }]);
}

/** There is no ack yet: sends indirect probes, and pings the node on a stream in case packets are lost. */
function probeIndirectly(ring: Ring, probe: Probe, now: Millis): void {
  probe.indirectAt = Infinity;
  // When this process ran late, the others still get their time.
  probe.verdictAt = Math.max(probe.verdictAt, now + probe.indirectTimeout);
  ring.counters.indirectProbes++;
  const record = ring.records.get(probe.node);
  if (record === undefined) return;
  const { sequence, node } = probe;
  const eligible = (other: NodeRecord) => other !== ring.self && other !== record && other.status === "alive";
  for (const other of chooseRandom(ring.order, ring.timing.indirectChecks, eligible, ring.options.random)) {
    const nack = other.versions[1] >= 4;
    if (nack) probe.nacksExpected++;
    const request = { type: "indirectPing", sequence, node, target: record.endpoint, nack, source: sourceOf(ring) } as const;
    sendDirect(ring, other.endpoint, request);
  }
  if (record.versions[1] >= 3) {
    const exchange = ring.exchange++;
    ring.exchanges.set(exchange, { type: "probe", sequence });
    const message = ownPing(ring, sequence, node);
    ring.effects.push({ type: "exchange", exchange, to: record.endpoint, message, deadline: probe.verdictAt });
  }
}

/** Takes note of whether the fast timing would have had an answer in good time. */
function noteTime(ring: Ring, { node }: Probe, time: Millis): void {
  const record = ring.records.get(node);
  if (record?.status !== "alive") return; // That a suspect does not answer does not make the way to it slow.
  const was = isSlow(record);
  if (time <= slowAnswer) record.slowProbes = was && record.slowProbes > slowProbesTolerated + 1 ? record.slowProbes - 1 : 0;
  else record.slowProbes = Math.min(record.slowProbes + 1, slowProbesTolerated + quickProbesWanted);
  if (isSlow(record) !== was) ring.timingStale = true;
}

/** The probe's time is over without an answer in a packet. */
function judge(ring: Ring, probe: Probe, now: Millis): void {
  const { sequence, node, incarnation, nacksExpected, nacks } = probe;
  ring.probes.delete(sequence);
  noteTime(ring, probe, Infinity);
  if (probe.answeredOnStream) {
    ring.effects.push({ type: "packetsLost", node });
    changeLocalHealth(ring, -1);
    return;
  }
  ring.counters.failedProbes++;
  // A node that receives nacks can trust itself; one that receives nothing is itself in doubt.
  changeLocalHealth(ring, nacksExpected > 0 ? Math.max(0, nacksExpected - nacks) : 1);
  mergeSuspect(ring, { type: "suspect", node, incarnation, from: ring.self.node }, now);
}

export function onPing(ring: Ring, ping: Ping, from: Endpoint, now: Millis): void {
  if (ping.node !== "" && ping.node !== ring.self.node) return; // For who was here before us.
  const to = replyTo(ping, from);
  const sender = ping.source === undefined ? undefined : ring.records.get(ping.source.node);
  // It does not know that it was declared dead: send it that, so that it refutes at once.
  if (sender?.status === "dead" && sameEndpoint(sender.endpoint, to)) sendDirect(ring, to, deadOf(ring, sender));
  sendDirect(ring, to, { type: "ack", sequence: ping.sequence, payload: undefined });
  if (sender !== undefined) awaitPing(ring, sender, now);
}

/** How late a ping may be. */
const pingTolerance: Millis = 15;

/** At the fast pace a ping from the one whose neighbour this node is comes in each interval: that tells of it as much as a probe. */
function awaitPing(ring: Ring, record: NodeRecord, now: Millis): void {
  if (ring.timing !== timings.fast || !isNeighbourOf(ring.self, record, ring.order, isMember)) return;
  ring.awaitedPing = { node: record.node, dueAt: now + ring.timing.probeInterval + pingTolerance };
}

/** A ping is overdue: it may be lost, or the sender dead. */
function probeSilent(ring: Ring, node: NodeName, now: Millis): void {
  ring.awaitedPing = undefined;
  const record = ring.records.get(node);
  if (record?.status === "alive" && ring.timing === timings.fast && !isBeingProbed(ring, record)) startProbe(ring, record, now);
}

/** At once, for one member: as many as there are members that it may suspect together. */
const maxRelaysOfMember = 64;

/** Pings a node for another member. Who is none could have this node send packets to anybody. */
export function onIndirectPing(ring: Ring, ping: IndirectPing, from: Endpoint, now: Millis): void {
  const to = replyTo(ping, from);
  if (!ring.order.some((record) => isMember(record) && sameEndpoint(record.endpoint, to))) return;
  if (
    ring.relays
      .values()
      .filter((relay) => sameEndpoint(relay.to, to))
      .toArray().length >= maxRelaysOfMember
  )
    return;
  const sequence = nextSequence(ring);
  const deadline = now + ring.timing.relayTimeout;
  ring.relays.set(sequence, { node: ping.node, to, sequence: ping.sequence, nack: ping.nack, deadline });
  sendDirect(ring, withPort(ring, ping.target), ownPing(ring, sequence, ping.node));
}

export function onAck(ring: Ring, { sequence }: Ack, now: Millis): void {
  const relay = ring.relays.get(sequence);
  const probe = ring.probes.get(sequence);
  if (relay !== undefined) {
    ring.relays.delete(sequence);
    sendDirect(ring, relay.to, { type: "ack", sequence: relay.sequence, payload: undefined });
  } else if (probe !== undefined) {
    const { node, sentAt, indirectAt } = probe;
    ring.probes.delete(sequence);
    const time = now - sentAt;
    noteTime(ring, probe, time);
    if (indirectAt !== Infinity) ring.effects.push({ type: "roundTrip", node, time });
    changeLocalHealth(ring, -1);
  }
}

export function onNack(ring: Ring, { sequence }: Nack): void {
  const probe = ring.probes.get(sequence);
  if (probe !== undefined) probe.nacks++;
}

export function onStreamAck(ring: Ring, sequence: number): void {
  const probe = ring.probes.get(sequence);
  if (probe !== undefined) probe.answeredOnStream = true;
}

/** A ping that could not be sent will not be answered: indirect probes start at once. */
export function onSendFailed(ring: Ring, messages: readonly PacketMessage[], now: Millis): void {
  for (const message of messages) {
    const probe = message.type === "ping" ? ring.probes.get(message.sequence) : undefined;
    if (probe !== undefined && probe.indirectAt !== Infinity) probeIndirectly(ring, probe, now);
  }
}

function replyTo({ source }: Ping | IndirectPing, from: Endpoint): Endpoint {
  return source === undefined ? from : { address: source.address, port: source.port };
}

/** Takes the next suspect whom too few have accused so far. */
export function nextToCheck({ toCheck, suspicions, records, self }: Ring): NodeRecord | undefined {
  for (const node of toCheck) {
    toCheck.delete(node);
    const suspicion = suspicions.get(node);
    if (suspicion !== undefined && wantsAccuser(suspicion, self.node)) return records.get(node);
  }
  return undefined;
}

/** A node did not answer this one for another: that confirms a suspicion that there is, or that follows soon. */
function noteUnanswered(ring: Ring, node: NodeName, now: Millis): void {
  const record = ring.records.get(node);
  if (record === undefined || !isMember(record)) return;
  ring.unanswered.set(node, now);
  confirmUnanswered(ring, record, now);
}
