import type { Millis } from "#pkg/clock";
import { isIn } from "#pkg/collections";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, ownerWithout } from "#pkg/placement";
import { nodesOf } from "../members/nodes.ts";
import type { SpeakerState } from "../state.ts";
import { type CurrentHandover, maxMs } from "./handover-state.ts";

// A speaker that left is back by then where its Pod was replaced; where its node is gone, clients get their reset after it.
const awayMs: Millis = 60_000;
// A speaker that failed begins again within seconds, and the kernel of its node goes on.
const failedMs: Millis = 10_000;
// By then the former owner has heard of the next one, and has said that it serves the address.
const heardMs: Millis = 3_000;
// The former owner counts its connections every 5 s, and tells the others.
const idleMs: Millis = 20_000;
// Until then all that an earlier process of this node may have owned has been placed, and all that others owned before it was there.
const beginningMs: Millis = 30_000;

/** @param former the owner before this other one, where it is known */
export function noteOwner(state: SpeakerState, key: string, owner: string, now: Millis, former?: string): void {
  const { node, handovers } = state;
  const last = handovers.lastOwners.get(key);
  const previous = former ?? last?.node;
  const isOther = previous !== undefined && previous !== owner && previous !== node;
  const before = last?.node === owner ? last.before : isOther ? { node: previous, until: now } : undefined;
  handovers.lastOwners.set(key, { node: owner, until: now, before });
}

/** -Infinity for a node that cannot deliver to Pods: packets of connections would end there. */
export function livesUntil({ members }: SpeakerState, node: string, { family }: Address): Millis {
  if (members.gossip?.undelivering([node], family).includes(node)) return -Infinity;
  if (isIn(members.active, node) || members.awaited.has(node)) return Infinity;
  const missing = members.missing.get(node);
  return missing === undefined ? -Infinity : missing.since + (missing.cause === "left" ? awayMs : failedMs);
}

/** When a current handover ends at the latest. */
export function endOf(state: SpeakerState, { address, from, since, idleSince, returnsBy = Infinity }: CurrentHandover): Millis {
  return Math.min(since + maxMs, idleSince + idleMs, livesUntil(state, from, address), returnsBy);
}

/** Whether connections of the node go on, as it seems. */
export function isLiving(state: SpeakerState, node: string, address: Address, now: Millis): boolean {
  const { active, awaited, missing } = state.members;
  const isThere = isIn(active, node) || awaited.has(node) || missing.get(node)?.cause === "left";
  return isThere && livesUntil(state, node, address) > now;
}

/**
 * The former owner or, where it failed, a node that served the address before it, and whose connections came by way of it; the owner before it may
 * not have said so yet. Without one, the former owner nevertheless: it may live, and be back at once.
 */
export function livingFormer(state: SpeakerState, former: string, address: Address, now: Millis): string | undefined {
  const key = address.toString();
  const servers = state.members.gossip?.servers(key).filter((one) => one !== state.node) ?? [];
  const { before } = state.handovers.lastOwners.get(key) ?? {};
  const unheard = before !== undefined && now < before.until + heardMs ? [before.node] : [];
  const living = [former, ...servers.toReversed(), ...unheard].find((one) => isLiving(state, one, address, now));
  return living ?? (livesUntil(state, former, address) > now ? former : undefined);
}

/**
 * Whether connections go by way of the former owner to a node that had the address before. They would be reset if clients sent to this node before the
 * former owner knows that it is to pass them on; until then clients send to that one. A node whose speaker is away does not say whether it serves it.
 */
export function servesBefore(
  state: SpeakerState,
  { address, from }: Pick<CurrentHandover, "address" | "from">,
  now: Millis,
): boolean {
  const { node, members, handovers } = state;
  const servers = members.gossip?.servers(`${address}`) ?? [];
  if (servers.includes(from) || !isIn(members.active, from)) return false;
  const isOther = (one: string) => one !== node && one !== from;
  const before = handovers.lastOwners.get(`${address}`)?.before?.node;
  const isAway = before !== undefined && isOther(before) && !isIn(members.active, before);
  return servers.some(isOther) || (isAway && livesUntil(state, before, address) > now);
}

/**
 * Whether a guessed former owner may have to pass packets on to a third node, which serves the address too, or may not have been the last one: the
 * elected one says that it was as soon as it hears of the next owner. Until a former owner has heard of the next one, it answers what that one hands to
 * it by resets.
 */
export function passesLater(state: SpeakerState, placed: AddressPlacement, pool: Pool, guessed: string): boolean {
  const { node, members } = state;
  const servers = members.gossip?.servers(placed.address.toString()) ?? [];
  if (servers.some((one) => one !== node && one !== guessed)) return true;
  const elected = placed.chosen === true ? undefined : ownerWithout(node, placed, nodesOf(state, pool));
  return elected !== undefined && elected !== guessed && isIn(members.active, elected);
}

export function isBeginning({ handovers }: SpeakerState, now: Millis): boolean {
  return now < handovers.begunAt + beginningMs;
}

/** The other node that owned the address until this process began, as it seems by what others say of it or by the election. */
export function ownerBefore(state: SpeakerState, placed: AddressPlacement, pool: Pool, now: Millis): string | undefined {
  const { node, members } = state;
  const key = placed.address.toString();
  const mayServe = (other: string) => other !== node && livesUntil(state, other, placed.address) > now;
  const servers = members.gossip?.servers(key).filter(mayServe) ?? [];
  if (placed.chosen) return members.gossip?.owners(key).find((other) => other !== node) ?? servers.at(-1);
  const nodes = nodesOf(state, pool);
  const elected = ownerWithout(node, placed, nodes);
  // It was another one if that node has been drained since.
  const undrained = ownerWithout(node, { ...placed, candidates: [...placed.candidates, ...nodes.drained] }, nodes);
  const hasSaid = (other: string | undefined) => other !== undefined && servers.includes(other);
  if (hasSaid(elected)) return elected;
  if (hasSaid(undrained)) return undrained;
  const to = state.handovers.unfinished.get(key);
  if (to === undefined) return elected ?? servers.at(-1);
  // The earlier process of this node owned the address, and was back before others knew that it was gone, or none of them may own it.
  const isThere = (one: string) => members.gossip?.links(one).some(({ addresses }) => addresses.some((own) => `${own}` === to));
  return servers.find(isThere) ?? servers.at(-1) ?? elected;
}

/**
 * The former owner tells others that it still serves an address as soon as it learns of the next owner. Once that is another node, it does so too; so does,
 * later, any node that served the address before, and whose speaker begins again.
 */
export function reviewGuess({ node, members }: SpeakerState, key: string, current: CurrentHandover, now: Millis): void {
  const all = members.gossip?.servers(key) ?? [];
  if (now >= current.since + heardMs && all.includes(current.from)) current.guess = undefined;
  const { guess } = current;
  const servers = all.filter((other) => other !== node && !guess?.not.includes(other));
  if (guess === undefined || current.successors.length > 0 || servers.length === 0) return;
  const isRight = servers.includes(guess.from);
  current.from = isRight ? guess.from : (servers.at(-1) ?? guess.from);
  current.guess = isRight ? undefined : { from: guess.from, not: [...guess.not, ...servers] };
}

/** Notes whether the former owners still have connections that this node hands on. */
export function reviewServers(state: SpeakerState, key: string, current: CurrentHandover, now: Millis): void {
  reviewBeyond(state, key, current, now);
  const { active, gossip } = state.members;
  const servers = gossip?.servers(key) ?? [];
  const serves = (one: string | undefined) => one !== undefined && (!isIn(active, one) || servers.includes(one));
  current.idleSince = serves(current.from) || serves(current.beyond) ? Infinity : Math.min(current.idleSince, now);
}

/** Where packets go that this node and the former owner would hand to and fro. */
export function reviewBeyond(state: SpeakerState, key: string, current: CurrentHandover, now: Millis): void {
  const { node, members, handovers } = state;
  const all = members.gossip?.servers(key) ?? [];
  const came = all.filter((one) => !current.earlier.includes(one));
  if (now < current.since + heardMs) current.rivals = [...new Set([...current.rivals, ...came])];
  // Where a guess is wrong, packets would go round.
  if (!current.isAgain || current.guess !== undefined) return;
  const others = (one: string) => ![node, current.from, current.failed, ...current.rivals].includes(one);
  const isLeft = (one: string) => others(one) && livesUntil(state, one, current.address) > now;
  const servers = all.filter(isLeft);
  const { beyond } = current;
  const isOwner = (one: string) => handovers.lastOwners.get(key)?.node === one; // Clients may not have heard of it yet.
  // One that does not answer may serve it nevertheless; one that says so no longer may be the owner, as this node hears later.
  const serves = (one: string) => servers.includes(one) || isOwner(one) || servers.length === 0 || !isIn(members.active, one);
  const stays = beyond !== undefined && isLeft(beyond) && serves(beyond);
  if (!stays) current.beyond = servers.at(-1);
}
