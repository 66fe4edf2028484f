import type { Millis } from "#pkg/clock";
import { hasOwners, type Pool } from "#pkg/config";
import type { Link } from "#pkg/gossip";
import type { Handover } from "#pkg/handover";
import { type Address, isLinkLocal, matchesInterface, parseAddress, parsePrefix } from "#pkg/net";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import { interfacesHere, withoutServices } from "../interfaces/nics.ts";
import type { PlacementChange } from "../protocols/protocol.ts";
import type { SpeakerState } from "../state.ts";
import type { CurrentHandover } from "./handover-state.ts";

// Connections that go on when an address moves. A node that takes an address over hands packets of TCP connections that it does not know to the
// former owner; when it loses the address itself, it goes on for its successor, for clients that have not heard of that yet, and for no other
// node. So packets follow the owners back, and come twice to no node. It ends when the former owner has no open connection any more, when it is gone, or after ten minutes.

// A tenant, or a node that lies about its connections, cannot keep packets going over another node for longer.
const maxMs: Millis = 600_000;
// A speaker that left is back by then where its Pod was replaced; where its node is gone, clients get their reset after it.
const awayMs: Millis = 60_000;
// The former owner counts its connections every 5 s, and tells the others.
const idleMs: Millis = 20_000;
// By then clients have heard who answers instead of this node: its announcements are repeated for some seconds.
const lingerMs: Millis = 10_000;
// Until then all that an earlier process of this node may have owned has been placed.
const beginningMs: Millis = 30_000;

/** The configuration asks for other pools. */
export function handoversConfigured(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers, ownedPools } = state;
  const isWanted = ownedPools.some(({ keepConnections }) => keepConnections);
  if (isWanted === handovers.isWanted) return;
  handovers.isWanted = isWanted;
  if (isWanted) {
    handovers.begunAt = Math.min(handovers.begunAt, now);
    effects.push({ type: "prepareHandovers" });
  }
  reportLinks(state);
}

/** Tells the others by which addresses and interfaces they reach this node. */
export function reportLinks(state: SpeakerState): void {
  const { handovers, members } = state;
  members.gossip?.setLinks(handovers.isWanted ? ownLinks(state).map(({ mac, addresses }) => ({ mac, addresses })) : []);
}

/** The address has another owner, or another pool, or no Service any more. */
export function handOver(state: SpeakerState, change: PlacementChange, now: Millis, effects: SpeakerEffect[]): void {
  const { node, handovers } = state;
  if (!handovers.isWanted && handovers.current.size + handovers.served.size === 0) return;
  const { address, pool, isHeld, before, placed } = change;
  const key = address.toString();
  const owner = placed?.owner;
  if (!isHeld || pool?.keepConnections !== true || !hasOwners(pool)) {
    endHandover(state, key, effects);
    stopServing(state, key, effects);
    handovers.lastOwners.delete(key);
    return;
  }
  const last = handovers.lastOwners.get(key);
  const current = handovers.current.get(key);
  if (owner !== undefined && owner !== node) handovers.lastOwners.set(key, owner);
  if (owner === node) {
    if (before?.owner === node) return;
    endHandover(state, key, effects);
    stopServing(state, key, effects);
    const from = before?.owner ?? last;
    if (from === undefined || livesUntil(state, from) <= now) return;
    handovers.current.set(key, {
      address,
      from,
      since: now,
      told: undefined,
      successor: undefined,
      lingersUntil: undefined,
      idleSince: Infinity,
    });
    tell(state, key, pool, effects);
    plan(state, now);
    return;
  }
  if (before?.owner === node) {
    serve(state, address, now, effects);
    state.members.gossip?.setServing(address, true); // Until it is known.
  } else if (before === undefined && now < state.handovers.begunAt + beginningMs) serve(state, address, now, effects); // An earlier process of this node may have had it.
  if (current !== undefined && current.successor === undefined && owner !== undefined) {
    current.successor = owner;
    current.lingersUntil = now + lingerMs;
    tell(state, key, pool, effects);
    plan(state, now);
  }
}

/** Nodes came, went, or can be reached otherwise; or this node's interfaces are others. */
export function handoversChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers, members, config } = state;
  if (!handovers.isWanted && handovers.current.size === 0) return;
  const speakers = [...members.macs.nodes].flatMap(([mac, node]) => (node === state.node ? [] : [mac])).sort();
  if (speakers.join() !== handovers.speakers) {
    handovers.speakers = speakers.join();
    effects.push({ type: "setSpeakers", macs: speakers });
  }
  for (const [key, current] of handovers.current) {
    if (livesUntil(state, current.from) <= now) endHandover(state, key, effects);
    else {
      const isIdle = members.active.includes(current.from) && !members.gossip?.servers(key).includes(current.from);
      current.idleSince = isIdle ? Math.min(current.idleSince, now) : Infinity;
      tell(state, key, config?.pools.find(current.address), effects);
    }
  }
  plan(state, now);
}

export function handoverTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers } = state;
  if (now < handovers.dueAt) return;
  for (const [key, current] of handovers.current) {
    const { lingersUntil = Infinity, address } = current;
    if (endOf(state, current) <= now) endHandover(state, key, effects);
    else if (lingersUntil <= now) {
      current.lingersUntil = undefined;
      tell(state, key, state.config?.pools.find(address), effects);
    }
  }
  for (const [key, { until }] of handovers.served) if (until <= now) stopServing(state, key, effects);
  plan(state, now);
}

type HandoverEvent = Extract<SpeakerEvent, { readonly type: "flows" | "handoverFailures" }>;

/** This node's open connections were counted, or it is known whether it can hand packets over. */
export function handoverEvent(state: SpeakerState, event: HandoverEvent, effects: SpeakerEffect[]): SpeakerEffect[] {
  if (event.type === "handoverFailures") state.handovers.failures = event.failures;
  else flowsCounted(state, event.counts, effects);
  return effects;
}

function flowsCounted(state: SpeakerState, counts: ReadonlyMap<string, number>, effects: SpeakerEffect[]): void {
  for (const [key, served] of state.handovers.served) {
    const flows = counts.get(key);
    if (flows === undefined) continue; // It moved while they were counted.
    served.flows = flows;
    if (flows === 0) stopServing(state, key, effects);
    else state.members.gossip?.setServing(served.address, true);
  }
}

/** When a current handover ends at the latest. */
export function endOf(state: SpeakerState, { from, since, idleSince }: CurrentHandover): Millis {
  return Math.min(since + maxMs, idleSince + idleMs, livesUntil(state, from));
}

/**
 * -Infinity for a node that failed: its connections are gone, and their clients are to hear of it at once. For one that cannot deliver to Pods,
 * too: packets of connections would end there.
 */
function livesUntil({ members }: SpeakerState, node: string): Millis {
  if (members.gossip?.undelivering([node]).includes(node)) return -Infinity;
  if (members.active.includes(node) || members.awaited.has(node)) return Infinity;
  const missing = members.missing.get(node);
  return missing?.cause === "left" ? missing.since + awayMs : -Infinity;
}

function serve(state: SpeakerState, address: Address, now: Millis, effects: SpeakerEffect[]): void {
  state.handovers.served.set(address.toString(), { address, flows: undefined, until: now + maxMs });
  effects.push({ type: "countFlows", address, isCounted: true });
  plan(state, now);
}

function stopServing(state: SpeakerState, key: string, effects: SpeakerEffect[]): void {
  const served = state.handovers.served.get(key);
  if (served === undefined) return;
  state.handovers.served.delete(key);
  state.members.gossip?.setServing(served.address, false);
  effects.push({ type: "countFlows", address: served.address, isCounted: false });
}

function endHandover(state: SpeakerState, key: string, effects: SpeakerEffect[]): void {
  const current = state.handovers.current.get(key);
  if (current === undefined) return;
  state.handovers.current.delete(key);
  if (current.told !== undefined) effects.push({ type: "setHandover", address: current.address, handover: undefined });
  const fields = { event: "handoverEnded", ip: current.address, from: current.from };
  effects.push({ type: "log", level: "debug", message: "packets of connections go no more to the former owner", fields });
}

function plan(state: SpeakerState, now: Millis): void {
  const { handovers } = state;
  let dueAt = Infinity;
  for (const current of handovers.current.values())
    dueAt = Math.min(dueAt, endOf(state, current), current.lingersUntil ?? Infinity);
  for (const { until } of handovers.served.values()) dueAt = Math.min(dueAt, until);
  handovers.dueAt = Math.max(dueAt, now);
}

/** Tells the kernel where the packets go, where that is different. */
function tell(state: SpeakerState, key: string, pool: Pool | undefined, effects: SpeakerEffect[]): void {
  const current = state.handovers.current.get(key);
  if (current === undefined || pool === undefined) return;
  const next = handoverOf(state, current, pool);
  if (isSame(next, current.told)) return;
  current.told = next;
  effects.push({ type: "setHandover", address: current.address, handover: next });
}

function handoverOf(state: SpeakerState, current: CurrentHandover, pool: Pool): Handover | undefined {
  const { address, from, since, successor } = current;
  const lingers = current.lingersUntil !== undefined;
  const { gossip } = state.members;
  if (gossip === undefined) return undefined;
  const names = interfacesHere(state, pool);
  const own = ownLinks(state).filter(({ name }) => names.length === 0 || matchesInterface(names, name));
  const macs = successor === undefined ? undefined : gossip.links(successor).map(({ mac }) => mac);
  if (macs?.length === 0 && !lingers) return undefined;
  for (const { index, subnets } of own)
    for (const link of gossip.links(from)) {
      const isHere = (one: Address) => subnets.some((subnet) => subnet.contains(one));
      if (!link.addresses.some(isHere)) continue;
      const ofFamily = link.addresses.filter(({ family }) => family === address.family);
      const to = ofFamily.find(isHere) ?? ofFamily.find(isLinkLocal);
      if (to !== undefined) return { address, to, interfaceIndex: index, from: macs, lingers, until: since + maxMs };
    }
  return undefined;
}

/** The interfaces of this node that announce, with its own addresses and their subnets; those in a subnet first. */
function ownLinks(state: SpeakerState) {
  const able = withoutServices(state, state.carriers.interfaces).filter(
    ({ status, running }) => status === "answering" && running,
  );
  return able.flatMap(({ index, name, mac, addresses: texts, unfit = [] }) => {
    const fit = texts.filter((text) => !unfit.includes(text));
    const prefixes = fit.flatMap((text) => parsePrefix(text) ?? []);
    const subnets = prefixes.filter(({ address, length }) => !isLinkLocal(address) && length < address.bits);
    const addresses = fit.flatMap((text) => parseAddress(text.slice(0, text.lastIndexOf("/"))) ?? []);
    // One that leads to Pods alone is of no use to others.
    return subnets.length === 0 ? [] : [{ index, name, mac, subnets, addresses }];
  }) satisfies readonly (Link & { readonly name: string })[];
}

function isSame(a: Handover | undefined, b: Handover | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.to.equals(b.to) && a.interfaceIndex === b.interfaceIndex && a.lingers === b.lingers && a.from?.join() === b.from?.join()
  );
}
