import type { Millis } from "#pkg/clock";
import { encodeMessage } from "../codec/message-codec.ts";
import type { Endpoint, NodeName, PacketMessage, User } from "../codec/messages.ts";
import { broadcastBudget } from "../codec/packet.ts";
import type { QueuedContent } from "./broadcast-queue.ts";
import { chooseRandom, randomIndex } from "./choice.ts";
import type { NodeRecord } from "./node-record.ts";
import { ownPing, type Ring, sourceOf } from "./ring.ts";
import { retransmitLimit } from "./timing.ts";

/** Sends a message at once; what is to be passed on rides along as far as it fits. */
export function sendDirect(ring: Ring, to: Endpoint, message: PacketMessage): void {
  const others = ring.broadcasts.size === 0 ? [] : takeBroadcasts(ring, encodeMessage(message).length);
  ring.effects.push({ type: "send", to, messages: [message, ...others], checksum: false });
}

/** Sends to a node whose versions are known; nothing rides along. */
export function sendToNode(
  ring: Ring,
  { endpoint, versions }: Pick<NodeRecord, "endpoint" | "versions">,
  messages: readonly PacketMessage[],
): void {
  const [, newest] = versions;
  ring.effects.push({ type: "send", to: endpoint, messages, checksum: newest >= 5 });
}

/** Has a few random members ping a node for this one. @returns how many of them say so where it does not answer */
export function pingThroughOthers(
  ring: Ring,
  sequence: number,
  { node, endpoint }: Pick<NodeRecord, "node" | "endpoint">,
): number {
  const { self, order, timing, options } = ring;
  const isAsked = (other: NodeRecord) => other !== self && other.node !== node && other.status === "alive";
  let nacks = 0;
  for (const other of chooseRandom(order, timing.indirectChecks, isAsked, options.random)) {
    const nack = other.versions[1] >= 4;
    if (nack) nacks++;
    sendDirect(ring, other.endpoint, { type: "indirectPing", sequence, node, target: endpoint, nack, source: sourceOf(ring) });
  }
  return nacks;
}

/** Pings a node on a stream, if it understands that, in case packets are lost; until `deadline`. */
export function pingOnStream(
  ring: Ring,
  sequence: number,
  { node, endpoint, versions }: Pick<NodeRecord, "node" | "endpoint" | "versions">,
  deadline: Millis,
): void {
  if (versions[1] < 3) return;
  const exchange = ring.exchange++;
  ring.exchanges.set(exchange, { type: "ping", sequence });
  ring.effects.push({ type: "exchange", exchange, to: endpoint, message: ownPing(ring, sequence, node), deadline });
}

/** Octets of a user message: the most that fit into a packet beside the encryption. */
export const maxUserBytes = 1000;

/** Queues what others shall hear, from `at` on; it replaces what is queued about the same node. */
export function broadcast(ring: Ring, message: Exclude<PacketMessage, User> & { readonly node: NodeName }, at: Millis): void {
  enqueue(ring, message.node, message, at);
}

/** Queues a user message; it replaces what is queued on the same topic. @throws {RangeError} for more than `maxUserBytes` */
export function broadcastUser(ring: Ring, topic: string, text: string, now: Millis): void {
  if (text.length > maxUserBytes) throw new RangeError(`Cannot broadcast a user message: it has ${text.length} bytes`);
  enqueue(ring, `\u{100}${topic}`, { type: "user", text }, now); // No node's name has such a character.
}

function enqueue(ring: Ring, key: string, message: QueuedContent, at: Millis): void {
  ring.broadcasts.add(key, message);
  // Idle rings need no gossip timer. By chance, so that nodes that hear of something together do not pass it on together.
  if (ring.gossipAt === Infinity) ring.gossipAt = at + randomIndex(ring.options.random, ring.timing.gossipInterval);
}

/** Passes queued messages on to a few random nodes, recently dead ones among them, so that they can refute. */
export function gossip(ring: Ring, now: Millis): void {
  const { gossipNodes, gossipInterval, gossipToTheDead } = ring.timing;
  const eligible = (record: NodeRecord) =>
    record !== ring.self && record.status !== "left" && (record.status !== "dead" || now - record.since <= gossipToTheDead);
  const chosen = chooseRandom(ring.order, gossipNodes, eligible, ring.options.random);
  for (const record of chosen) {
    const messages = takeBroadcasts(ring, 0);
    if (messages.length === 0) break;
    sendToNode(ring, record, messages);
  }
  // A new node is itself queued news, so that messages that wait for a receiver need no timer.
  ring.gossipAt = ring.broadcasts.size === 0 || chosen.length === 0 ? Infinity : now + gossipInterval;
}

/** Never more than a packet may have: even the shortest take 31 of its 1400 bytes each. */
function takeBroadcasts(ring: Ring, directLength: number): PacketMessage[] {
  const budget = broadcastBudget(directLength);
  const taken = ring.broadcasts.take(budget, retransmitLimit(ring.timing, ring.order.length));
  if (ring.leave === "announcing" && !ring.broadcasts.has(ring.self.node)) finishLeave(ring);
  return taken;
}

export function finishLeave(ring: Ring): void {
  ring.leave = "announced";
  ring.effects.push({ type: "leaveFinished" });
}
