import type { Millis } from "#pkg/clock";
import { healthPortBit } from "#pkg/gossip";
import { type Address, parseAddress } from "#pkg/net";
import type { SpeakerEffect } from "../effects.ts";
import type { SpeakerEvent } from "../events.ts";
import { addressesOf, holderKeys, isReadyOn } from "../services/services.ts";
import { poolAt, type SpeakerState } from "../state.ts";
import { areMostOthers } from "./connection-tests.ts";
import { isLastResort, isWellFor, reportSeenWithout } from "./data-path.ts";
import { maxHoldMs, minHoldMs, type Unserved } from "./data-path-state.ts";

// Under `externalTrafficPolicy: Local` kube-proxy, or what does its work, says on the Service's health check port whether it sends packets to a Pod
// of this node. Where it says that it does not, although the API has a ready one here, it is behind or stands still: this node drops what comes for
// these addresses, and leaves them to others. Only kube-proxy can say so: no tenant does.

export interface HealthPort {
  readonly key: string;
  readonly port: number;
}

// kube-proxy hears of an endpoint when this speaker does, and writes its rules within some seconds.
const confirmMs: Millis = 5_000;
/** How many Services are left to others at most, and how many ports are asked at once, also before this speaker begins. */
const maxUnserved = 256;
const maxAtOnce = 4;
const maxAtOnceBefore = 64;
/** The Services that are looked at to find such ports. */
const maxLooked = 200;

export interface NextHealthPorts {
  readonly ports: readonly HealthPort[];
  /** The Service to look at after them. */
  readonly scan: number;
  /** Nothing is different where all of them serve. */
  readonly isQuiet: boolean;
}

/** The ports to ask next. @param scan which Service is looked at first */
export function nextHealthPorts(state: SpeakerState, scan: number, now: Millis): NextHealthPorts {
  const { unserved, isSeen } = state.healthPorts;
  const { rows } = state.services;
  const atOnce = state.isStarted ? maxAtOnce : maxAtOnceBefore;
  // The next answer decides, where it is not long in coming.
  const isDue = ({ isLeft, servedSince, since }: Unserved) =>
    Number(!isLeft && servedSince === Infinity && now >= since + confirmMs);
  const ports = [...unserved]
    .filter(([, { triedAt, isLeft }]) => !isLeft || now >= triedAt + confirmMs)
    .sort(([, a], [, b]) => isDue(b) - isDue(a) || a.triedAt - b.triedAt)
    .slice(0, atOnce - 1)
    .flatMap(([key]) => portOf(state, key) ?? []);
  let at = scan < rows.size ? scan : 0;
  for (const key of rows.keys().drop(at).take(maxLooked)) {
    if (ports.length === atOnce) break;
    at++;
    const found = unserved.has(key) ? undefined : portOf(state, key);
    if (found !== undefined) ports.push(found);
  }
  return { ports, scan: at, isQuiet: isSeen && unserved.size === 0 };
}

/**
 * Undefined where kube-proxy of this node is not expected to send packets to a Pod here, or this node does not see whether it is. Where a Service
 * has two families, kube-proxy answers for one family, and nobody knows for which: each family has to have a Pod here.
 */
function portOf(state: SpeakerState, key: string): HealthPort | undefined {
  const { services, apiView, node } = state;
  const service = services.rows.get(key)?.service;
  if (service === undefined || service.healthCheckNodePort === 0 || apiView.lostSince !== Infinity) return undefined;
  const families = service.clusterIPs.flatMap((text) => parseAddress(text)?.family ?? []);
  const mayBeLeft = (address: Address) => state.config === undefined || poolAt(state, address)?.announceWhen === "delivering";
  if (!families.every((family) => isReadyOn(services, key, node, family)) || !addressesOf(services, key).some(mayBeLeft))
    return undefined;
  return { key, port: service.healthCheckNodePort };
}

type Asked = Extract<SpeakerEvent, { readonly type: "healthPorts" }>;

/** Ports were asked. @returns the addresses that this node leaves to others, or takes again, since then */
export function healthPortsAsked(state: SpeakerState, { answers }: Asked, now: Millis, effects: SpeakerEffect[]): Address[] {
  const { healthPorts, services, apiView } = state;
  const changed: Address[] = [];
  for (const [key, each] of healthPorts.unserved) {
    // While the API is not seen nothing says that kube-proxy is right.
    const isOver = apiView.lostSince === Infinity && portOf(state, key) === undefined;
    if (isOver || isForgotten(each, now)) forget(state, key, changed);
    else if (each.isLeft && each.addresses !== addressesOf(services, key)) {
      changed.push(...each.addresses, ...addressesOf(services, key));
      each.addresses = addressesOf(services, key);
    }
  }
  for (const [key, answer] of answers) {
    if (answer === "serves") {
      healthPorts.isSeen = true;
      reportSeenWithout(state, now);
      serves(state, key, changed, now, effects);
    } else if (answer === "silent") saysNothing(state, key, now);
    else if ((!state.isStarted || isSeen(state)) && portOf(state, key) !== undefined)
      servesNone(state, key, changed, now, effects);
  }
  for (const address of changed) state.members.gossip?.setUndeliveredAt(address, isLeft(state, address));
  return changed;
}

/**
 * The speaker begins, and so do others to count on it. A kube-proxy that does not serve a Pod which was there before has had its time: this node does
 * not take for a moment what it would leave again.
 */
export function beginWithHealthPorts(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const answers = new Map([...state.healthPorts.unserved.keys()].map((key) => [key, "serves none"] as const));
  healthPortsAsked(state, { type: "healthPorts", answers }, now, effects);
}

/** Whether some port has said that there is a Pod, here or on most other nodes: nothing else is known to answer as kube-proxy does. */
function isSeen(state: SpeakerState): boolean {
  return state.healthPorts.isSeen || areMostOthers(state, healthPortBit);
}

function servesNone(state: SpeakerState, key: string, changed: Address[], now: Millis, effects: SpeakerEffect[]): void {
  const { unserved } = state.healthPorts;
  const known = unserved.get(key);
  if (known === undefined) {
    const never = { isLeft: false, servedSince: Infinity, holdMs: minHoldMs / 2 };
    const since = state.isStarted ? now : -Infinity;
    if (unserved.size < maxUnserved) unserved.set(key, { addresses: [], since, triedAt: now, ...never });
    return;
  }
  if (known.servedSince !== Infinity || now > known.triedAt + 2 * confirmMs) known.since = now;
  known.triedAt = now;
  known.servedSince = Infinity;
  if (known.isLeft || now < known.since + confirmMs || !isSeen(state)) return;
  known.isLeft = true;
  known.holdMs = Math.min(2 * known.holdMs, maxHoldMs);
  known.addresses = addressesOf(state.services, key);
  changed.push(...known.addresses);
  const message =
    "kube-proxy of this node has no Pod of the Service, and the API has a ready one: other nodes are to take it over";
  effects.push({ type: "log", level: "warn", message, fields: { event: "cannotDeliver", service: key } });
}

/** Others are asked before it is asked again. */
function saysNothing({ healthPorts }: SpeakerState, key: string, now: Millis): void {
  const known = healthPorts.unserved.get(key);
  if (known === undefined) return;
  known.triedAt = now;
  known.since = now;
}

function serves(state: SpeakerState, key: string, changed: Address[], now: Millis, effects: SpeakerEffect[]): void {
  const known = state.healthPorts.unserved.get(key);
  if (known === undefined) return;
  known.triedAt = now;
  known.servedSince = Math.min(known.servedSince, now);
  const isNeeded = () => known.addresses.some((address) => isLastResort(state, state.placements.get(`${address}`) ?? []));
  if (!known.isLeft || !isWellFor(known.holdMs, now - known.servedSince, isNeeded)) return;
  known.isLeft = false;
  changed.push(...known.addresses);
  const message = "kube-proxy of this node has a Pod of the Service again";
  effects.push({ type: "log", level: "info", message, fields: { event: "delivers", service: key } });
}

/** One that is served is remembered for a while, because the next failure soon takes longer to end. */
function isForgotten({ isLeft, servedSince, holdMs }: Unserved, now: Millis): boolean {
  return !isLeft && now >= servedSince + holdMs + (holdMs < minHoldMs ? 0 : maxHoldMs);
}

function forget({ healthPorts: { unserved } }: SpeakerState, key: string, changed: Address[]): void {
  const { isLeft, addresses } = unserved.get(key) ?? { isLeft: false, addresses: [] };
  unserved.delete(key);
  if (isLeft) changed.push(...addresses);
}

function isLeft({ services, healthPorts: { unserved } }: SpeakerState, address: Address): boolean {
  return holderKeys(services, address.toString()).some((key) => unserved.get(key)?.isLeft === true);
}

/** Services that kube-proxy of this node does not serve, so that others are to take them over. */
export function unservedHere({ healthPorts }: Pick<SpeakerState, "healthPorts">): readonly string[] {
  return [...healthPorts.unserved].flatMap(([key, each]) => (each.isLeft ? [key] : []));
}
