import type { Millis, Random } from "#pkg/clock";

export type TimingName = "lan" | "fast";

/** The pace of a ring. Nodes of different paces understand one another; the names are the protocol's own. */
export interface Timing {
  readonly name: TimingName;
  readonly probeInterval: Millis;
  /** Between two probes while anybody is suspected: others may have failed along with it. */
  readonly alertInterval: Millis;
  /** After this many intervals the next node in the order is probed. */
  readonly othersEvery: number;
  /** Whether the neighbor gets a heartbeat in each interval; else it is probed in all those in which no other is. */
  readonly heartbeats: boolean;
  /** From a ping until indirect probes are sent... */
  readonly probeTimeout: Millis;
  /** ...and from then until the node is suspected. */
  readonly indirectTimeout: Millis;
  /** How long a relay waits for the ack before it sends a nack. */
  readonly relayTimeout: Millis;
  readonly indirectChecks: number;
  readonly retransmitMultiplier: number;
  /** The unit of suspicion times, and the extra wait of an unwell node for each point of its score. */
  readonly suspicionUnit: Millis;
  readonly suspicionMultiplier: number;
  readonly suspicionMaxMultiplier: number;
  /** A suspect always has this long to refute, however small the ring. */
  readonly suspicionFloor: Millis;
  /** How long before the end of a suspicion the accused is notified of it once more. */
  readonly suspicionNotice: Millis;
  /** A node that has received nothing for this much longer than a suspicion lasts is itself cut off. */
  readonly cutOffSlack: Millis;
  readonly pushPullInterval: Millis;
  readonly gossipInterval: Millis;
  readonly gossipNodes: number;
  /** How long the dead are remembered, and receive gossip. */
  readonly gossipToTheDead: Millis;
  /** Between two pings to members that failed, in case they are back, at first... */
  readonly reconnectInterval: Millis;
  /** ...and for each member that sends them, where that is more. */
  readonly reconnectSpread: Millis;
}

/** HashiCorp's defaults for a local network, which MetalLB uses. */
const lan: Timing = {
  name: "lan",
  probeInterval: 1000,
  alertInterval: 1000,
  othersEvery: 2,
  heartbeats: false,
  probeTimeout: 500,
  indirectTimeout: 500,
  relayTimeout: 500,
  indirectChecks: 3,
  retransmitMultiplier: 4,
  suspicionUnit: 1000,
  suspicionMultiplier: 4,
  suspicionMaxMultiplier: 6,
  suspicionFloor: 0,
  suspicionNotice: 1000,
  cutOffSlack: 0,
  pushPullInterval: 30_000,
  gossipInterval: 200,
  gossipNodes: 3,
  gossipToTheDead: 30_000,
  reconnectInterval: 5000,
  reconnectSpread: 400,
};

/**
 * All know a failure within 0.3 s in the median and 0.35 s at worst, in rings of 3 to 50: the first heartbeat that the dead node's
 * neighbor misses is due 35 ms after the death in the mean; the neighbor pings 20 ms later, suspects 70 ms after that, and the node has
 * 150 ms to refute. Others ping the node as soon as 15 ms after the first ping, and their results confirm the suspicion. So a lost packet
 * does not count, and a process that stalls for 200 ms is not declared dead even where 5 % of packets are lost (`simulation.test.ts`). A
 * process that stalls for less than 60 ms is not even suspected. A node sends 14 heartbeats a second, which nobody answers, in rings of any
 * size, and a ping and an ack, where `lan` has one of each. The cost of an idle node is mostly the number of its wake-ups. The sides of a
 * ring of up to 50 that was cut for up to a minute are one again within 0.9 s (`lan`: 10 s), for which each node sends at most 4 pings a
 * second.
 */
const fast: Timing = {
  ...lan,
  name: "fast",
  probeInterval: 70,
  alertInterval: 50,
  othersEvery: 16,
  heartbeats: true,
  probeTimeout: 15,
  indirectTimeout: 65,
  relayTimeout: 40,
  suspicionUnit: 20,
  suspicionFloor: 150,
  suspicionNotice: 20,
  cutOffSlack: 80,
  pushPullInterval: 10_000,
  gossipInterval: 20,
  reconnectInterval: 250,
  reconnectSpread: 20,
};

export const timings: Readonly<Record<TimingName, Timing>> = { lan, fast };

/**
 * How often a message is passed on before it is dropped.
 * @param nodes records known: self, and the dead and left that are not forgotten yet, included
 */
export function retransmitLimit(timing: Timing, nodes: number): number {
  return timing.retransmitMultiplier * Math.ceil(Math.log10(nodes + 1));
}

const maxSmall = 32;

/** Whether exchanges of whole views are to be few: an exchange takes octets and time in proportion to the number of nodes. */
export function isLarge(nodes: number): boolean {
  return nodes > maxSmall;
}

/** Between two periodic exchanges: longer in large rings, so that the load stays bounded. */
export function pushPullInterval(timing: Timing, nodes: number): Millis {
  if (!isLarge(nodes)) return timing.pushPullInterval;
  return (Math.ceil(Math.log2(nodes) - Math.log2(maxSmall)) + 1) * timing.pushPullInterval;
}

/**
 * When to start a push/pull after a member has joined: some may miss its gossip, above all when many come at once.
 * Later than gossip takes, and at the fast pace still within a second; in large rings later, as the periodic exchanges are.
 */
export function pullSoon(timing: Timing, nodes: number, random: Random): Millis {
  const slower = pushPullInterval(timing, nodes) / timing.pushPullInterval;
  return timing.gossipInterval * 15 * (1 + random()) * slower;
}
