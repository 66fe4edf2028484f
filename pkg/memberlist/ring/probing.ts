import type { Millis } from "#pkg/clock";
import { decodeDigest, decodeHeartbeat } from "../codec/heartbeat.ts";
import type { Ack, Endpoint, IndirectPing, Nack, NodeName, PacketMessage, Ping } from "../codec/messages.ts";
import { randomIndex, shuffle } from "./choice.ts";
import {
  countedLateness,
  digestPayload,
  heartbeatInterval,
  noteDigest,
  onHeartbeat,
  sendHeartbeat,
  takeOverdue,
} from "./heartbeat.ts";
import { confirmUnanswered, deadOf, mergeSuspect } from "./merging.ts";
import { isMember, isSlow, type NodeRecord, slowProbesTolerated } from "./node-record.ts";
import { changeLocalHealth, nextSequence, ownPing, type Probe, type Ring, sameEndpoint, withPort } from "./ring.ts";
import { pingOnStream, pingThroughOthers, sendDirect, sendToNode } from "./sending.ts";
import { wantsAccuser } from "./suspicion.ts";

/** An answer that takes longer would take too long for the fast timing in an indirect probe. */
const slowAnswer: Millis = 25;
/** Quick answers that a slow member has to give: one quick answer among many slow ones would make the ring alternate. */
const quickProbesWanted = 3;

/** Intervals between probes of one whose last answer took long: more often would add to the load where processes lack processor time. */
const doubtsEvery = 4;

/** Answers in a row by way of others, for which one is lost now and then. */
const lostPacketsTolerated = 2;

/** Whether its last answer took long, or came by way of others, so that it has to be seen whether that goes on. */
function isDoubtful({ timing }: Ring, record: NodeRecord): boolean {
  const isLossy = record.lostPackets > 0 && record.lostPackets <= lostPacketsTolerated;
  return isLossy || (timing.heartbeats && record.slowProbes > 0 && !isSlow(record));
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
  probeSilent(ring, now);
  if (now >= ring.probeAt) tick(ring, now);
}

function tick(ring: Ring, now: Millis): void {
  const interval = ring.suspicions.size > 0 ? ring.timing.alertInterval : heartbeatInterval(ring);
  ring.probeAt = Math.min(now, Math.max(ring.probeAt, now - interval)) + interval; // One of the probes that a stall prevented is made up for.
  const suspect = nextToCheck(ring);
  if (suspect !== undefined && !isBeingProbed(ring, suspect)) startProbe(ring, suspect, now);
  probeNext(ring, now);
}

/**
 * Sends the neighbor a heartbeat or probes it, and now and then probes the next node in the order: each node is heard of by somebody in
 * most intervals, and by everybody in the long run. Nodes that are being probed are passed over, so that a silent node hides nobody.
 */
function probeNext(ring: Ring, now: Millis): void {
  const { othersEvery, heartbeats } = ring.timing;
  ring.othersIn = Math.min(ring.othersIn, othersEvery) - 1;
  const isOthersTurn = ring.othersIn <= 0;
  if (isOthersTurn) ring.othersIn = othersEvery;
  const isFree = (record: NodeRecord) => record.status === "alive" && !isBeingProbed(ring, record);
  if (heartbeats) sendHeartbeat(ring);
  const isDoubtsTurn = ring.othersIn % Math.min(doubtsEvery, othersEvery) === 0;
  const doubtful = isDoubtsTurn
    ? ring.places.doubted.values().find((record) => isFree(record) && isDoubtful(ring, record))
    : undefined;
  if (doubtful !== undefined) startProbe(ring, doubtful, now);
  // Members that fail together with a suspect may have been the ones to await each other's heartbeats.
  const isNeighborsTurn = heartbeats ? ring.suspicions.size > 0 : !isOthersTurn;
  const neighbor = isNeighborsTurn ? ring.places.after(ring.self, isFree) : undefined;
  if (neighbor !== undefined) startProbe(ring, neighbor, now);
  if (isOthersTurn || (isNeighborsTurn && neighbor === undefined)) {
    const lossy = chooseLossy(ring, isFree);
    if (lossy === undefined) probeInOrder(ring, now);
    else startProbe(ring, lossy, now);
  }
}

/** The share of others' turns of members to which packets are lost: until their own turn comes, nobody would see the end of that. */
const lossyShare = 1 / 8;

function chooseLossy({ places, options: { random } }: Ring, isFree: (record: NodeRecord) => boolean): NodeRecord | undefined {
  const lossy = [...places.doubted].filter((record) => record.lostPackets > lostPacketsTolerated && isFree(record));
  return lossy.length === 0 || random() >= lossyShare ? undefined : lossy[randomIndex(random, lossy.length)];
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
  for (const record of ring.order) {
    if (isKept(record)) continue;
    ring.records.delete(record.node);
    ring.forgotten.set(record.node, record.incarnation);
  }
  ring.order.splice(0, Infinity, ...kept);
}

/** @param waited how much of its time is over already */
function startProbe(ring: Ring, record: NodeRecord, now: Millis, waited: Millis = 0): void {
  const { node, incarnation, endpoint, status } = record;
  const sequence = nextSequence(ring);
  const indirectAt = now + ring.timing.probeTimeout;
  const indirectTimeout = ring.timing.indirectTimeout - waited + ring.timing.suspicionUnit * ring.localHealth; // An unwell node gives others more time.
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
  const record = ring.records.get(probe.node);
  if (record === undefined) return;
  probe.nacksExpected = pingThroughOthers(ring, probe.sequence, record);
  pingOnStream(ring, probe.sequence, record, probe.verdictAt);
}

/** Takes note of whether the fast timing would have had an answer in good time. */
function noteTime(ring: Ring, { node }: Probe, time: Millis): void {
  const record = ring.records.get(node);
  if (record?.status !== "alive") return; // That a suspect does not answer does not make the way to it slow.
  const was = isSlow(record);
  if (time <= slowAnswer) record.slowProbes = was && record.slowProbes > slowProbesTolerated + 1 ? record.slowProbes - 1 : 0;
  else record.slowProbes = Math.min(record.slowProbes + 1, slowProbesTolerated + quickProbesWanted);
  ring.places.update(record);
  if (isSlow(record) !== was) ring.timingStale = true;
}

/** The answer came directly. */
function noteRoundTrip(ring: Ring, node: NodeName, time: Millis): void {
  const record = ring.records.get(node);
  if (record !== undefined) record.roundTrip = time;
  ring.effects.push({ type: "roundTrip", node, time });
}

/** It answered, and not directly. @param before the least number of such answers before */
function noteLost(ring: Ring, node: NodeName, before = 0): void {
  const record = ring.records.get(node);
  if (record === undefined) return;
  record.lostPackets = Math.max(record.lostPackets, before) + 1;
  ring.places.update(record);
  if (record.lostPackets > lostPacketsTolerated) ring.effects.push({ type: "packetsLost", node });
}

/** An answer to a ping of this node came from there: packets get through, both ways. */
function noteArrived(ring: Ring, record: NodeRecord | undefined): void {
  if (record === undefined || record.lostPackets === 0) return;
  if (record.lostPackets > lostPacketsTolerated) ring.effects.push({ type: "packetsArrive", node: record.node });
  record.lostPackets = 0;
  ring.places.update(record);
}

/** A packet of its own arrived. */
function noteHeard(record: NodeRecord | undefined, now: Millis): void {
  if (record !== undefined) record.heardAt = now;
}

/** The probe's time is over without an answer in a packet. */
function judge(ring: Ring, probe: Probe, now: Millis): void {
  const { sequence, node, incarnation, nacksExpected, nacks } = probe;
  ring.probes.delete(sequence);
  noteTime(ring, probe, Infinity);
  if (probe.answeredOnStream) {
    noteLost(ring, node, lostPacketsTolerated);
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
  if (sender !== undefined && sameEndpoint(sender.endpoint, from)) noteHeard(sender, now);
  // It does not know that it was declared dead: send it that, so that it refutes at once.
  if (sender?.status === "dead" && sameEndpoint(sender.endpoint, to)) sendDirect(ring, to, deadOf(ring, sender));
  sendDirect(ring, to, { type: "ack", sequence: ping.sequence, payload: digestPayload(ring) });
  if (ring.leave === "announced") sendDirect(ring, to, deadOf(ring, ring.self)); // It has missed that, and would go on to ask.
}

/** A heartbeat is overdue: it may be lost, or the sender dead. */
function probeSilent(ring: Ring, now: Millis): void {
  const record = takeOverdue(ring, now);
  if (record?.status === "alive" && !isBeingProbed(ring, record)) startProbe(ring, record, now, countedLateness);
}

/** Probes the neighbor that accuses this node, wrongly: it may be that it hears nobody, while what it sends still arrives. */
export function probeAccuser(ring: Ring, node: NodeName, now: Millis): void {
  const neighbor = ring.timing.heartbeats ? ring.places.after(ring.self) : undefined;
  if (neighbor?.node === node && neighbor.status === "alive" && !isBeingProbed(ring, neighbor)) startProbe(ring, neighbor, now);
}

/** At once, for one member: as many as there are members that it may suspect together. */
const maxRelaysOfMember = 64;

/** Pings a node for another member. For a node that is no member, this node would send packets to anybody. */
export function onIndirectPing(ring: Ring, ping: IndirectPing, from: Endpoint, now: Millis): void {
  const to = replyTo(ping, from);
  if (ring.places.at(to) === undefined) return;
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

export function onAck(ring: Ring, ack: Ack, from: Endpoint, now: Millis): void {
  const { sequence } = ack;
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
    noteDigest(ring, node, decodeDigest(ack.payload));
    if (indirectAt !== Infinity) noteRoundTrip(ring, node, time);
    const answered = ring.places.at(from);
    noteHeard(answered, now);
    if (answered === undefined || answered.node === node) noteArrived(ring, ring.records.get(node));
    else noteLost(ring, node); // Another passed it on.
    changeLocalHealth(ring, -1);
  } else {
    const heartbeat = decodeHeartbeat(ack);
    if (heartbeat === undefined) {
      const answered = ring.places.at(from);
      noteHeard(answered, now);
      noteArrived(ring, answered); // The direct answer, which was later than another's.
    } else {
      noteHeard(ring.records.get(heartbeat.node), now);
      if (onHeartbeat(ring, heartbeat, now)) tick(ring, now);
    }
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

/** Takes the next suspect that too few members have accused so far. */
export function nextToCheck({ toCheck, suspicions, records, self }: Ring): NodeRecord | undefined {
  for (const node of toCheck) {
    toCheck.delete(node);
    const suspicion = suspicions.get(node);
    if (suspicion !== undefined && wantsAccuser(suspicion, self.node)) return records.get(node);
  }
  return undefined;
}

/** A node did not answer a ping that this one sent for another. That confirms a suspicion, now or soon. */
function noteUnanswered(ring: Ring, node: NodeName, now: Millis): void {
  const record = ring.records.get(node);
  if (record === undefined || !isMember(record)) return;
  ring.unanswered.set(node, now);
  confirmUnanswered(ring, record, now);
}
