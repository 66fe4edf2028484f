import type { Millis } from "#pkg/clock";
import { isIn } from "#pkg/collections";
import { type Config, type LabelSelector, layer2PoolsOf } from "#pkg/config";
import { isCentral, labelHash, type ToldTraits, toldLabel } from "#pkg/gossip";
import { cordonTaint, drainLabel, excludeLabel, networkTaint, outOfServiceTaint } from "#pkg/placement";
import { fnv1a, list } from "#pkg/text";
import type { SpeakerEffect } from "../effects.ts";
import type { NodeFields } from "../events.ts";
import type { SpeakerState } from "../state.ts";
import type { FollowedNodes } from "./node-state.ts";

// A member that starts again tells its traits at once. Until then its last ones count.
const untoldMs: Millis = 5_000;
// Taints of Kubernetes' node lifecycle controller, 40 s after the kubelet's last word by default.
const [notReadyTaint, unreachableTaint] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] as const;
/** Stands for a value that no selector names. */
const otherValue = "?";

/** Whether Kubernetes hears from the kubelet, by the node's taints. */
export function isHeard(taints: readonly string[]): boolean {
  return ![notReadyTaint, unreachableTaint, outOfServiceTaint].some((taint) => taints.includes(taint));
}

/** A speaker starts, and the API has so many Nodes; undefined where it does not say. In a large cluster the members tell of themselves. */
export function nodesCounted({ node, nodes, members }: SpeakerState, count: number | undefined, effects: SpeakerEffect[]): void {
  const { followed } = nodes;
  const { fromMembers } = followed.rule;
  const isLarge = members.gossip !== undefined && fromMembers < Infinity && (count ?? fromMembers) >= fromMembers;
  followed.names = isLarge ? [node] : "all";
  effects.push({ type: "followNodes", names: followed.names });
}

/** Whether something of the members' nodes has still to be seen before the first decision. Members that tell nothing in time are followed. */
export function awaitsNodes(state: SpeakerState, now: Millis): boolean {
  const { followed } = state.nodes;
  if (!followed.isWhole) return true;
  const { names } = followed;
  if (names === "all") return false;
  const untold = untoldMembers(state).filter((other) => !names.includes(other));
  const met = 2 * state.members.active.length - untold.length; // One that tells its labels counts twice.
  if (untold.length === 0) followed.dueAt = Infinity;
  else if (untold.every((other) => isIn(state.members.withoutGossip, other))) followed.dueAt = now;
  else if (followed.dueAt === Infinity || met > followed.mostMet) {
    // On a busy node it takes seconds to meet thousands, and more to hear their words, which come last.
    followed.awaitedUntil = Math.min(followed.awaitedUntil, now + followed.rule.mostStartMs);
    followed.dueAt = Math.min(now + followed.rule.startMs, followed.awaitedUntil);
    followed.mostMet = met;
  }
  return untold.length > 0;
}

/** Tells the others what the API has of this node. */
export function tellOwnNode({ node, nodes, members: { gossip } }: SpeakerState): void {
  if (isCentral(node)) return;
  const labels = nodes.labels.get(node);
  const taints = nodes.taints.get(node) ?? [];
  gossip?.setTraits({
    exists: labels !== undefined,
    isOutOfService: taints.includes(outOfServiceTaint),
    isCordoned: taints.includes(cordonTaint),
    isNotReady: taints.includes(notReadyTaint) || taints.includes(unreachableTaint),
    isWithoutNetwork: taints.includes(networkTaint),
    labels: new Map(Object.entries(labels ?? {}).map(([label, value]) => [labelHash(label), fnv1a(value)])),
  });
}

/** Whether what the node's speaker tells counts. */
export function isTold(state: SpeakerState, other: string): boolean {
  const { overheard } = state.nodes.followed;
  return other !== state.node && (!isFollowed(state, other) || overheard.has(other) || seesMore(state, other));
}

/** Whether the API has been asked for the Node. */
function isFollowed({ nodes: { followed } }: SpeakerState, node: string): boolean {
  const { names, isWhole, seen } = followed;
  return (names === "all" || names.includes(node)) && (isWhole || seen.has(node));
}

/** Whether a member has still to tell its labels, by which it may be excluded, or the API has still to be asked for them. */
export function isUntold(state: SpeakerState, node: string): boolean {
  const { nodes, members } = state;
  if (node === state.node || nodes.followed.names === "all" || nodes.labels.has(node)) return false;
  return members.gossip?.traits(node) === undefined && !members.withoutGossip.includes(node) && !isFollowed(state, node);
}

/** Whether the other node sees changes in the API, and this one does not: nodes that disagree on which are excluded leave an address to one another. */
function seesMore({ apiView, members: { gossip } }: SpeakerState, other: string): boolean {
  return apiView.view !== "current" && gossip?.isParticipating(other) === true && gossip.view(other) === "current";
}

/** The traits that the node's speaker tells, where they count. @returns undefined where they do not, and where the speaker tells nothing */
export function heedTold(state: SpeakerState, node: string): ToldTraits | undefined {
  const traits = isTold(state, node) ? state.members.gossip?.traits(node) : undefined;
  if (traits !== undefined && isFollowed(state, node)) state.nodes.followed.overheard.add(node);
  return traits;
}

/** The fields of a Node that the configuration asks for, by the words of the node's speaker; undefined: no such Node. */
export function toldNode(state: SpeakerState, traits: ToldTraits): NodeFields | undefined {
  const { exists, isOutOfService, isCordoned, isNotReady, isWithoutNetwork } = traits;
  if (!exists) return undefined;
  const known: Record<string, string> = {};
  for (const [label, values] of labelsAskedFor(state.config?.config)) {
    const hash = toldLabel(traits, labelHash(label));
    if (hash === undefined) continue;
    known[label] = [...values].find((value) => fnv1a(value) === hash) ?? otherValue;
  }
  const told = [
    [isOutOfService, outOfServiceTaint],
    [isCordoned, cordonTaint],
    [isNotReady, notReadyTaint],
    [isWithoutNetwork, networkTaint],
  ] as const;
  const taints = told.flatMap(([has, taint]) => (has ? [taint] : []));
  return { labels: known, unschedulable: isCordoned, deleting: false, taints, flannelAddresses: [] };
}

/** Other labels count, or the words of other speakers: takes over what all of these tell, also those that are no members, or not yet. */
export function takeTold(state: SpeakerState): void {
  const { members, nodes } = state;
  for (const node of new Set([...members.active, ...nodes.labels.keys()])) {
    const traits = heedTold(state, node);
    if (traits === undefined) continue;
    const told = toldNode(state, traits);
    if (told === undefined) forgetFields(nodes, node);
    else {
      nodes.labels.set(node, told.labels);
      nodes.taints.set(node, told.taints);
    }
  }
}

/** Nobody tells of these nodes any more. */
export function forgetTold(state: SpeakerState, gone: readonly string[]): void {
  for (const node of gone) if (node !== state.node && !isFollowed(state, node)) forgetFields(state.nodes, node);
}

function forgetFields({ labels, taints, cordoned }: SpeakerState["nodes"], node: string): void {
  labels.delete(node);
  taints.delete(node);
  cordoned.delete(node);
}

/** A failed member may be cut off; Kubernetes knows whether its kubelet is. */
export function askForNode({ members, nodes: { followed } }: SpeakerState, node: string | undefined, now: Millis): void {
  if (node === undefined || followed.names === "all" || !members.lost.has(node) || followed.asked.has(node)) return;
  followed.asked.add(node);
  followed.dueAt = now;
}

/** The members, what they tell, or how they see the API has changed. */
export function reconsiderNodes(state: SpeakerState, now: Millis): void {
  const { node, isStarted } = state;
  const { followed } = state.nodes;
  if (!isStarted) return;
  if (isSame(nodesToFollow(state), followed.names)) followed.dueAt = Infinity;
  else if (followed.dueAt === Infinity) {
    const { afterMs, jitterMs } = followed.rule;
    followed.dueAt = now + (followed.names === "all" ? afterMs : untoldMs) + (fnv1a(node) % jitterMs);
  }
}

/** @returns whether others are followed from now on */
export function followTimer(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): boolean {
  const { followed, labels, taints } = state.nodes;
  if (now < followed.dueAt) return false;
  followed.dueAt = Infinity;
  const names = nodesToFollow(state);
  if (isSame(names, followed.names)) return false;
  followed.names = names;
  followed.seen.clear();
  followed.overheard.clear();
  followed.isWhole = false;
  if (names !== "all") {
    const { active, lost, missing } = state.members;
    const kept = new Set([...names, ...active, ...lost, ...missing.keys()]); // A node that is back counts by its last words.
    for (const node of [...labels.keys(), ...taints.keys()]) {
      if (kept.has(node)) continue;
      labels.delete(node);
      taints.delete(node);
    }
  }
  takeTold(state);
  const others = names === "all" ? names : names.filter((name) => name !== state.node);
  const message =
    names === "all" ? "following the Nodes of all members" : "following this Node alone: the other members tell their labels";
  const fields = { event: "nodesFollowed", members: state.members.active.length, besides: list(others === "all" ? [] : others) };
  effects.push({ type: "followNodes", names }, { type: "log", level: "info", message, fields });
  return true;
}

/** The API has been asked for all Nodes that are followed. @returns nodes that are not there, but were so far */
export function nodesListed({ node, nodes: { followed, labels } }: SpeakerState): readonly string[] {
  followed.isWhole = true;
  const names = followed.names === "all" ? [...labels.keys()] : followed.names;
  return names.filter((name) => name !== node && labels.has(name) && !followed.seen.has(name));
}

/** This node, and members without a word about themselves, or with an old one; all Nodes where that is simpler. */
function nodesToFollow(state: SpeakerState): FollowedNodes["names"] {
  const { node, members, nodes, isStarted } = state;
  const { gossip, active, lost } = members;
  const { rule, asked } = nodes.followed;
  // Before the start the ring is still to be met.
  if (gossip === undefined || (isStarted && active.length < rule.fromMembers)) return "all";
  for (const name of asked) if (!lost.has(name)) asked.delete(name);
  const names = new Set([node, ...untoldMembers(state), ...asked]);
  return names.size > rule.maxUntold + 1 ? "all" : [...names].sort();
}

/** The other members without a word about themselves, or with an old one. */
function untoldMembers({ node, members: { active, gossip } }: SpeakerState): readonly string[] {
  return active.filter((other) => other !== node && (gossip?.traits(other) === undefined || gossip.view(other) === "old"));
}

function isSame(a: FollowedNodes["names"], b: FollowedNodes["names"]): boolean {
  return a === b || (a !== "all" && b !== "all" && a.join() === b.join());
}

const asked = new WeakMap<Config, ReadonlyMap<string, ReadonlySet<string>>>(); // configuration -> its labels of nodes

/** Labels of nodes that a configuration asks for, with the values that it names. */
function labelsAskedFor(config: Config | undefined): ReadonlyMap<string, ReadonlySet<string>> {
  const known = config && asked.get(config);
  if (known !== undefined) return known;
  const labels = new Map<string, Set<string>>([
    [excludeLabel, new Set()],
    [drainLabel, new Set(["false", "when-cordoned"])],
  ]);
  const ask = (label: string, values: Iterable<string>): void => {
    const those = labels.get(label) ?? new Set();
    for (const value of values) those.add(value);
    labels.set(label, those);
  };
  for (const { matchLabels, matchExpressions } of selectorsOf(config)) {
    for (const [label, value] of matchLabels) ask(label, [value]);
    for (const { key, values } of matchExpressions) ask(key, values);
  }
  if (config !== undefined) asked.set(config, labels);
  return labels;
}

function* selectorsOf(config: Config | undefined): Generator<LabelSelector> {
  for (const { nodeSelectors } of config?.peers ?? []) yield* nodeSelectors;
  for (const pool of config?.pools ?? []) {
    for (const { nodeSelectors, preferredNodes } of [pool, ...layer2PoolsOf(pool)]) {
      yield* nodeSelectors;
      for (const { selector } of preferredNodes) yield selector;
    }
    for (const { nodeSelectors } of pool.advertisements) yield* nodeSelectors;
  }
}
