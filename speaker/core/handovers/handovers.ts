import type { Millis } from "#pkg/clock";
import { hasOwners, type Pool } from "#pkg/config";
import type { Inherited } from "#pkg/handover";
import type { Address } from "#pkg/net";
import { ownerWithout } from "#pkg/placement";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import { nodesOf } from "../members/nodes.ts";
import type { PlacementChange } from "../protocols/protocol.ts";
import { layer2PoolAt, type SpeakerState } from "../state.ts";
import { announceNow } from "./awaited.ts";
import {
  endOf,
  isBeginning,
  isLiving,
  livesUntil,
  livingFormer,
  noteOwner,
  ownerBefore,
  passesLater,
  reviewBeyond,
  reviewGuess,
  reviewServers,
  servesBefore,
} from "./former-owners.ts";
import { type CurrentHandover, maxMs } from "./handover-state.ts";
import { isSame, reportLinks, Ways } from "./links.ts";

// Connections that go on when an address moves. A node that takes an address over hands packets of TCP connections that it does not know to the
// former owner; when it loses the address itself, it goes on for its successor, for the next one where that fails, for clients that have not heard
// of it yet, and for no other node. So packets follow the owners back, and come twice to no node. It ends when the former owner has no open connection any more, when it is
// gone, or after ten minutes.

// By then clients have heard who answers instead of this node: its announcements are repeated for some seconds.
const lingerMs: Millis = 10_000;
// The former owner hears of the move when this node does, and says so over the ring.
const awaitedMs: Millis = 300;
// By then all know that this node is the owner; until then one that hears of it later would send packets of its connections to another.
const knownMs: Millis = 1_000;
// A node that the others call failed although it lives is back by then. Until then packets of its connections wait for it; then their clients hear of it.
const returnMs: Millis = 1_000;
// A turn of the main thread.
const maxChangedAtOnce = 500;

/** The configuration asks for other pools. */
export function handoversConfigured(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers, ownedPools } = state;
  // A central speaker owns no address, and shares its kernel with the speaker of a node.
  const isWanted = state.announceFor !== "all" && ownedPools.some(({ keepConnections }) => keepConnections);
  if (isWanted === handovers.isWanted) return;
  handovers.isWanted = isWanted;
  if (isWanted) {
    handovers.begunAt = Math.min(handovers.begunAt, now);
    effects.push({ type: "prepareHandovers" });
  }
  reportLinks(state);
}

/** The address has another owner, or another pool, or no Service any more. */
export function handOver(state: SpeakerState, change: PlacementChange, now: Millis, effects: SpeakerEffect[]): void {
  const { node, handovers } = state;
  if (!handovers.isWanted && handovers.current.size + handovers.served.size + handovers.unfinished.size === 0) return;
  const { address, pool, isHeld, before, placed } = change;
  const key = address.toString();
  const owner = placed?.owner;
  // The kernel goes on with what an earlier process of this node began.
  const isLeftOver = handovers.inherited.has(key) || handovers.unfinished.has(key);
  if (!isHeld || pool?.keepConnections !== true || !hasOwners(pool)) {
    endHandover(state, key, effects);
    if (isLeftOver) effects.push({ type: "setHandover", address, handover: undefined });
    stopServing(state, key, effects);
    handovers.unfinished.delete(key);
    handovers.lastOwners.delete(key);
    return;
  }
  const last = handovers.lastOwners.get(key);
  const current = handovers.current.get(key);
  if (owner !== undefined && owner !== node) noteOwner(state, key, owner, now, before?.owner);
  if (placed !== undefined && owner === node) {
    if (before?.owner === node) return;
    const isAgain = passesOn(handovers, key);
    stopServingSoon(state, key, now);
    const former = before?.owner ?? last?.node ?? current?.from;
    if (former !== undefined) noteOwner(state, key, former, now);
    const known = former === undefined ? undefined : livingFormer(state, former, address, now);
    const from = known ?? (former === undefined && isBeginning(state, now) ? ownerBefore(state, placed, pool, now) : undefined);
    const isGuess = known === undefined;
    const waits =
      from !== undefined &&
      (isGuess ? passesLater(state, placed, pool, from) : from === former && servesBefore(state, { address, from }, now));
    // Clients that send here already have not heard of the former owner: the kernel goes on as before until that one passes packets on.
    const told = waits ? current?.told : undefined;
    if (told === undefined) endHandover(state, key, effects);
    const isOver = from === undefined || livesUntil(state, from, address) <= now;
    if (!waits || isOver) handovers.inherited.delete(key);
    if (isOver) {
      if (isLeftOver) effects.push({ type: "setHandover", address, handover: undefined });
      return;
    }
    const beyond = current?.from === from ? current.beyond : current?.from;
    const failed = known === former ? undefined : former;
    const begun = begin(state, address, { from, isGuess, since: now, told, isAgain, beyond, failed }, now);
    reviewBeyond(state, key, begun, now);
    // Else the failed owner, when it is back at once, would not learn that the address was here in between.
    if (begun.failed !== undefined) state.members.gossip?.setServing(address, true);
    if (waits) {
      handovers.awaited.set(key, now + awaitedMs);
      dueBy(state, now + awaitedMs);
    }
    if (told === undefined) tell(state, key, pool, effects);
    dueBy(state, endOf(state, begun));
    return;
  }
  if (before?.owner === node) {
    serve(state, address, now, effects);
    state.members.gossip?.setServing(address, true); // Until it is known.
  } else if (before === undefined && isBeginning(state, now)) serve(state, address, now, effects); // An earlier process of this node may have had it.
  handovers.awaited.delete(key);
  if (current === undefined || owner === undefined || current.successors.includes(owner)) return;
  const previous = current.successors.at(-1);
  // The previous one hands to this node, and the next one does so in its place where it failed.
  if (previous !== undefined && isLiving(state, previous, address, now)) return;
  current.successors = [...current.successors, owner];
  if (previous === undefined) {
    current.isAgain ||= owner === current.from;
    current.lingersUntil = now + lingerMs;
    dueBy(state, current.lingersUntil);
  }
  reviewServers(state, key, current, now);
  tell(state, key, pool, effects);
}

type Beginning = Pick<CurrentHandover, "from" | "since"> & Partial<CurrentHandover> & { readonly isGuess: boolean };

function begin(state: SpeakerState, address: Address, what: Beginning, now: Millis): CurrentHandover {
  const { from, isGuess, since, told, isAgain = false, beyond, failed } = what;
  const key = address.toString();
  const servers = state.members.gossip?.servers(key) ?? [];
  const begun: CurrentHandover = {
    address,
    from,
    guess: isGuess ? { from, not: servers } : undefined,
    since,
    told,
    successors: [],
    lingersUntil: undefined,
    isAgain,
    beyond,
    earlier: beyond === undefined ? servers : [...servers, beyond],
    rivals: [],
    failed,
    idleSince: Infinity,
    returnsBy: isLiving(state, from, address, now) ? undefined : now + returnMs,
  };
  state.handovers.current.set(key, begun);
  return begun;
}

/**
 * This node owns the address, and hands nothing on: the node that owned it before is back, and says that it has connections; or others took this
 * node for failed, and one of them may have owned it meanwhile.
 */
function beginAgain(state: SpeakerState, key: string, now: Millis): CurrentHandover | undefined {
  const { node, members, handovers } = state;
  const placed = state.placements.get(key)?.find(({ owner }) => owner === node);
  const pool = placed && layer2PoolAt(state, placed.address);
  if (placed === undefined || pool?.keepConnections !== true || !hasOwners(pool)) return undefined;
  const last = handovers.lastOwners.get(key);
  const isBack = last !== undefined && now < last.until + maxMs && members.gossip?.servers(key).includes(last.node) === true;
  const from = isBack ? last.node : members.wasSuspected ? ownerBefore(state, placed, pool, now) : undefined;
  if (from === undefined || livesUntil(state, from, placed.address) <= now) return undefined;
  return begin(state, placed.address, { from, isGuess: !isBack, since: isBack ? last.until : now }, now);
}

/** Others took this node for failed. */
function reclaim(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const owned = state.placements.entries().filter(([, each]) => each.some(({ owner }) => owner === state.node));
  review(
    state,
    owned.map(([key]) => key),
    now,
    effects,
  );
}

/** Nodes came, went, or can be reached otherwise; or this node's interfaces are others. */
export function handoversChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers, members } = state;
  handovers.areMembersOther = false;
  if (!handovers.isWanted && handovers.current.size === 0) return;
  const speakers = [...members.macs.nodes].flatMap(([mac, node]) => (node === state.node ? [] : [mac])).sort();
  if (speakers.join() !== handovers.speakers) {
    handovers.speakers = speakers.join();
    effects.push({ type: "setSpeakers", macs: speakers });
  }
  review(state, handovers.current.keys(), now, effects);
  plan(state, now);
}

/** Nodes serve these addresses that they do not own, or no longer. */
export function servingChanged(state: SpeakerState, addresses: readonly Address[], now: Millis, effects: SpeakerEffect[]): void {
  const { current, lastOwners } = state.handovers;
  const keys = addresses.map(String).filter((key) => current.has(key) || lastOwners.has(key));
  if (keys.length > 0) review(state, keys, now, effects);
}

function review(state: SpeakerState, keys: Iterable<string>, now: Millis, effects: SpeakerEffect[]): void {
  for (const key of keys) state.handovers.agenda.add(key);
  reviewSome(state, now, effects);
}

function reviewSome(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers } = state;
  const ways = new Ways(state);
  for (const key of [...handovers.agenda.values().take(maxChangedAtOnce)]) {
    handovers.agenda.delete(key);
    const current = handovers.current.get(key) ?? beginAgain(state, key, now);
    if (current === undefined) continue;
    if (isLiving(state, current.from, current.address, now)) current.returnsBy = undefined;
    reviewGuess(state, key, current, now);
    reviewServers(state, key, current, now);
    if (current.guess === undefined && !servesBefore(state, current, now)) announceNow(state, key, current.address);
    if (livesUntil(state, current.from, current.address) <= now) {
      endHandover(state, key, effects);
      continue;
    }
    tell(state, key, layer2PoolAt(state, current.address), effects, ways);
    dueBy(state, endOf(state, current));
  }
  if (handovers.agenda.size > 0) dueBy(state, now);
}

/** This process ends, and its kernel goes on: it is to pass on what the next owner of each address sends, which clients hear of afterwards. */
function leaving(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  state.isLeaving = true;
  const { node, handovers, placements } = state;
  const heirs = state.sticky.owners?.heirs();
  const ways = new Ways(state);
  for (const [key, current] of handovers.current) {
    const pool = layer2PoolAt(state, current.address);
    const placed = placements.get(key)?.find(({ owner }) => owner === node);
    if (placed === undefined || pool === undefined || current.successors.length > 0) continue;
    const nodes = nodesOf(state, pool);
    const lastResort = nodes.drained.find((other) => other !== node);
    const successor = placed.chosen ? (heirs?.get(key) ?? lastResort) : ownerWithout(node, placed, nodes);
    if (successor === undefined) continue;
    current.successors = [successor];
    current.isAgain ||= successor === current.from;
    current.lingersUntil = Infinity;
    announceNow(state, key, current.address);
    reviewBeyond(state, key, current, now);
    tell(state, key, pool, effects, ways);
  }
}

export function handoverTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { handovers } = state;
  if (handovers.isWanted && now >= state.members.reclaimAt) reclaim(state, now, effects);
  if (now < handovers.dueAt) return;
  if (handovers.areMembersOther) handoversChanged(state, now, effects);
  else reviewSome(state, now, effects);
  const ways = new Ways(state);
  for (const [key, until] of handovers.awaited) {
    const current = handovers.current.get(key);
    if (until > now || current === undefined) continue;
    announceNow(state, key, current.address);
    tell(state, key, layer2PoolAt(state, current.address), effects, ways);
  }
  let left = maxChangedAtOnce;
  for (const [key, current] of handovers.current) {
    const { lingersUntil = Infinity, address } = current;
    if (left <= 0) break;
    if (endOf(state, current) <= now) endHandover(state, key, effects);
    else if (lingersUntil <= now) {
      current.lingersUntil = undefined;
      tell(state, key, layer2PoolAt(state, address), effects, ways);
    } else continue;
    left--;
  }
  for (const [key, { until }] of handovers.served) {
    if (until > now || left <= 0) continue;
    stopServing(state, key, effects);
    left--;
  }
  plan(state, now); // The rest is due at once.
}

type HandoverEvent = Extract<SpeakerEvent, { readonly type: "flows" | "handoverFailures" | "inherited" | "leaving" }>;

/** This node's open connections were counted, it is known whether it can hand packets over, or this process begins or ends. */
export function handoverEvent(state: SpeakerState, event: HandoverEvent, now: Millis, effects: SpeakerEffect[]): SpeakerEffect[] {
  if (event.type === "handoverFailures") state.handovers.failures = event.failures;
  else if (event.type === "leaving") leaving(state, now, effects);
  else if (event.type === "inherited") inheritedFound(state, event.inherited, now, effects);
  else flowsCounted(state, event.counts, now, effects);
  return effects;
}

function flowsCounted(state: SpeakerState, counts: ReadonlyMap<string, number>, now: Millis, effects: SpeakerEffect[]): void {
  for (const [key, flows] of counts) {
    const served = state.handovers.served.get(key);
    if (served === undefined) continue; // It moved while they were counted.
    served.flows = flows;
    if (flows > 0) state.members.gossip?.setServing(served.address, true);
    else if (!passesOn(state.handovers, key) && now >= served.until - maxMs + lingerMs) {
      served.until = now;
      dueBy(state, now);
    }
  }
  handoverTimer(state, now, effects);
}

/** Whether others have connections that come by way of this node. */
function passesOn({ current, inherited }: SpeakerState["handovers"], key: string): boolean {
  return current.has(key) || inherited.has(key);
}

/** An earlier process of this node handed or passed packets on to former owners, and the kernel still does. */
function inheritedFound(state: SpeakerState, { addresses, unfinished }: Inherited, now: Millis, effects: SpeakerEffect[]): void {
  for (const { address, to } of unfinished) state.handovers.unfinished.set(`${address}`, `${to}`);
  for (const address of addresses) {
    const key = address.toString();
    if (state.placements.get(key)?.some(({ owner }) => owner === state.node)) continue;
    state.handovers.inherited.add(key);
    serve(state, address, now, effects);
    state.members.gossip?.setServing(address, true);
  }
}

function serve(state: SpeakerState, address: Address, now: Millis, effects: SpeakerEffect[]): void {
  state.handovers.served.set(address.toString(), { address, flows: undefined, until: now + maxMs });
  effects.push({ type: "countFlows", address, isCounted: true });
  dueBy(state, now + maxMs);
}

/** This node owns the address again. */
function stopServingSoon(state: SpeakerState, key: string, now: Millis): void {
  const served = state.handovers.served.get(key);
  if (served === undefined) return;
  served.until = now + knownMs;
  dueBy(state, served.until);
}

function stopServing(state: SpeakerState, key: string, effects: SpeakerEffect[]): void {
  const served = state.handovers.served.get(key);
  if (served === undefined) return;
  state.handovers.served.delete(key);
  state.handovers.inherited.delete(key);
  if (state.handovers.current.get(key)?.failed === undefined) state.members.gossip?.setServing(served.address, false);
  effects.push({ type: "countFlows", address: served.address, isCounted: false });
}

function endHandover(state: SpeakerState, key: string, effects: SpeakerEffect[]): void {
  const current = state.handovers.current.get(key);
  if (current === undefined) return;
  state.handovers.current.delete(key);
  announceNow(state, key, current.address);
  if (current.failed !== undefined && !state.handovers.served.has(key)) state.members.gossip?.setServing(current.address, false);
  const isInKernel = current.told !== undefined || state.handovers.inherited.delete(key);
  if (isInKernel) effects.push({ type: "setHandover", address: current.address, handover: undefined });
  const fields = { event: "handoverEnded", ip: current.address, from: current.from };
  effects.push({ type: "log", level: "debug", message: "packets of connections go no more to the former owner", fields });
}

/** Thousands of addresses may move together: not all deadlines are looked at for each. One that is too early is harmless. */
function dueBy({ handovers }: SpeakerState, at: Millis): void {
  handovers.dueAt = Math.min(handovers.dueAt, at);
}

function plan(state: SpeakerState, now: Millis): void {
  const { handovers } = state;
  let dueAt = Infinity;
  for (const current of handovers.current.values())
    dueAt = Math.min(dueAt, endOf(state, current), current.lingersUntil ?? Infinity);
  for (const { until } of handovers.served.values()) dueAt = Math.min(dueAt, until);
  for (const until of handovers.awaited.values()) dueAt = Math.min(dueAt, until);
  handovers.dueAt = handovers.agenda.size > 0 ? now : Math.max(dueAt, now);
}

/** Tells the kernel where the packets go, where that is different. */
function tell(state: SpeakerState, key: string, pool: Pool | undefined, effects: SpeakerEffect[], ways = new Ways(state)): void {
  const current = state.handovers.current.get(key);
  // The kernel goes on with what it has of this process, or of the one before.
  const isKept = state.handovers.awaited.has(key) && (current?.told !== undefined || state.handovers.inherited.has(key));
  if (current === undefined || pool === undefined || isKept) return;
  const next = ways.handoverOf(current, pool);
  const isInherited = state.handovers.inherited.delete(key);
  if (!isInherited && isSame(next, current.told)) return;
  current.told = next;
  effects.push({ type: "setHandover", address: current.address, handover: next });
}
