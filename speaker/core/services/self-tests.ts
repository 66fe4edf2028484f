import type { Millis } from "#pkg/clock";
import { selfTestInterval } from "#pkg/config";
import { type AddressPlacement, isOwner, ownerOf } from "#pkg/placement";
import { list } from "#pkg/text";
import { type CauseOf, causes, type Fact, remedyFor, sentence, type Verdict, verdict } from "#pkg/verdict";
import type { SpeakerEffect } from "../effects.ts";
import type { TestedAddress } from "../events.ts";
import { ownedPlacement, poolAt, type SpeakerState, type WireFault } from "../state.ts";
import { holderKeys } from "./services.ts";

/** An address that another node announces, and that this one is to try on the wire. */
export type WireTest = Pick<TestedAddress, "address" | "owner" | "port" | "isRouted">;

/** A Service with a TCP port that clients can connect to. */
export interface ProbedService {
  readonly key: string;
  readonly port: number;
  readonly portName: string;
}

/**
 * Whether this node is to try the address: one of the nodes that see the owner's link, in the address's subnet, does. The choice follows
 * from common knowledge, so that it is one node, and nothing breaks if for a moment two nodes or no node try.
 */
export function wireTest(state: SpeakerState, placement: AddressPlacement): WireTest | undefined {
  const { address, isOwned, verdicts } = placement;
  const pool = isOwned && state.members.gossip !== undefined ? poolAt(state, address) : undefined;
  if (pool === undefined || selfTestInterval(pool) === Infinity || !isTester(state, placement)) return undefined;
  const owner = ownerOf(placement);
  const announced = [...verdicts].filter(([, found]) => found.announced).map(([service]) => service);
  return owner === undefined ? undefined : { address, owner, port: portOf(state, announced)?.port };
}

/**
 * Whether this node is the one of those that see the owner's link, in the address's subnet: the first from a place among all that follows from the
 * address. In a large ring it asks few of them.
 */
export function isTester({ node, members }: SpeakerState, placement: AddressPlacement): boolean {
  const { address } = placement;
  const { active, gossip } = members;
  const start = Number(address.value % BigInt(Math.max(1, active.length)));
  for (let step = 0; step < active.length; step++) {
    const one = active[(start + step) % active.length] ?? "";
    const { interfaces } = gossip?.reachability(one) ?? {};
    const isOnLink = interfaces?.values().some((subnets) => subnets.some((subnet) => subnet.contains(address))) === true;
    if (isOnLink && !isOwner(one, placement)) return one === node;
  }
  return false;
}

/** Whether two nodes have a subnet in common. */
export function sharesLink({ members: { gossip } }: SpeakerState, one: string, other: string): boolean {
  const subnetsOf = (node: string) => [...(gossip?.reachability(node)?.interfaces.values() ?? [])].flat().map(String);
  const own = new Set(subnetsOf(one));
  return subnetsOf(other).some((subnet) => own.has(subnet));
}

/** The first of these Services with a TCP port that takes connections from everywhere: another one may drop this node's. */
export function portOf({ services }: SpeakerState, keys: readonly string[]): ProbedService | undefined {
  for (const key of keys) {
    const { service } = services.rows.get(key) ?? {};
    const found = service?.isForSome === true ? undefined : service?.ports.find(({ protocol }) => protocol === "TCP");
    if (found !== undefined) return { key, port: found.port, portName: found.name };
  }
  return undefined;
}

/** A test came to an end. Its result for an address that has moved meanwhile is worth nothing. */
export function wireTested(state: SpeakerState, tested: TestedAddress, now: Millis, effects: SpeakerEffect[]): void {
  const { address, owner, interface: on } = tested;
  const key = address.toString();
  // Faults of addresses that have moved since do not count.
  for (const [other, fault] of state.wireFaults) if (currentOwner(state, other) !== fault.owner) state.wireFaults.delete(other);
  const before = state.wireFaults.get(key);
  const [service] = holderKeys(state.services, key);
  const found = currentOwner(state, key) === owner ? wireVerdict(state, tested) : undefined;
  if (found === undefined) {
    state.wireFaults.delete(key);
    if (before?.isConfirmed === true) {
      const fields = { event: "selfTestPassed", service, ip: address, owner };
      effects.push({
        type: "log",
        level: "info",
        message: "an address that another node announces is answered for again",
        fields,
      });
    }
    return;
  }
  const again = before?.owner === owner && before.verdict.cause === found.cause ? before : undefined;
  const since = again?.since ?? now;
  state.wireFaults.set(key, { address, owner, interface: on, verdict: found, since, isConfirmed: again !== undefined });
  if (again === undefined || again.isConfirmed) return;
  const { cause, message } = found;
  const fields = { event: "selfTestFailed", service, ip: address, owner, cause, macs: tested.answer.macs };
  effects.push({ type: "log", level: "warn", message, fields });
  for (const holder of holderKeys(state.services, address.toString())) {
    const service = state.services.rows.get(holder)?.service;
    if (service !== undefined)
      effects.push({
        type: "recordEvent",
        service,
        kind: "Warning",
        reason: "selfTestFailed",
        message: sentence({ ...found, next: remedyFor(found, "service", holder) }),
      });
  }
}

/** Undefined where no node owns the address. */
export function currentOwner(state: SpeakerState, address: string): string | undefined {
  const placement = ownedPlacement(state, address);
  return placement && ownerOf(placement);
}

/** The fault of an address as it is announced now; confirmed, and only while this node is the one that tries it. */
export function wireFault(state: SpeakerState, placement: AddressPlacement): WireFault | undefined {
  const fault = state.wireFaults.get(placement.address.toString());
  return fault?.isConfirmed === true && wireTest(state, placement)?.owner === fault.owner ? fault : undefined;
}

/** Failed tests that are to be repeated soon. */
export function openFaults(state: SpeakerState): readonly WireTest[] {
  return [...state.wireFaults].flatMap(([key, { owner }]) => {
    const placement = ownedPlacement(state, key);
    const test = placement && wireTest(state, placement);
    return test?.owner === owner ? [test] : [];
  });
}

/** How many addresses other nodes announce in vain. */
export function countWireFaults(state: SpeakerState): number {
  return state.wireFaults.keys().reduce((count, key) => {
    const placement = ownedPlacement(state, key);
    return count + (placement !== undefined && wireFault(state, placement) !== undefined ? 1 : 0);
  }, 0);
}

/** Several silent owners on one interface of this node point to that interface: its cable, its VLAN, or the switch. */
function nextOfSilence({ node, wireFaults }: SpeakerState, owner: string, name: string): string {
  const { next } = causes.service.notAnswered;
  const isSilent = (one: WireFault) => one.owner !== owner && one.verdict.cause === "notAnswered";
  const here = [...wireFaults.values()].filter((one) => isSilent(one) && one.interface === name);
  if (here.length === 0) return next;
  const others = [...new Set(here.map((one) => one.owner))];
  return `see ${name} of ${node} first, on which ${list(others)} ${others.length === 1 ? "does" : "do"} not answer either; else ${next}`;
}

/** The fault of an address, from the answers on the wire. */
export function wireVerdict(
  state: SpeakerState,
  { address, owner, port, interface: name, answer, isRouted }: TestedAddress,
): Verdict | undefined {
  const { macs, connection } = answer;
  const own = state.members.macs.macs.get(owner) ?? [];
  const others = own.length === 0 ? [] : macs.filter((mac) => !own.includes(mac)); // Nobody knows whose they are.
  const evidence: Fact[] = [
    { name: "tested by", value: `${state.node} on ${name}`, source: "self-test" },
    { name: "answered by", value: macs.length === 0 ? "nobody" : list(macs), source: "self-test" },
    { name: `MAC addresses of ${owner}`, value: own.length === 0 ? "not known" : list(own), source: "gossip" },
  ];
  if (port !== undefined && connection !== undefined)
    evidence.push({ name: `TCP port ${port}`, value: connectionTexts[connection], source: "self-test" });
  const fault = (cause: CauseOf<"service">, message: string) => verdict("service", cause, { message, evidence });
  const where = `as ${state.node} finds on ${name}`;
  if (isRouted) {
    // Answers for the node's own address do not concern this test.
    if (connection !== "silent") return undefined;
    return fault(
      "notConnected",
      `what comes for ${address} by way of ${owner} gets no answer: TCP port ${port} neither accepts nor refuses a connection, ${where}`,
    );
  }
  if (macs.length === 0) {
    const message = `${owner} announces ${address}, and nobody answers for it, ${where}`;
    return verdict("service", "notAnswered", { message, evidence, next: nextOfSilence(state, owner, name) });
  }
  if (macs.length > 1 && (own.length === 0 || others.length > 0))
    return fault(
      "answeredByTwo",
      `${owner} announces ${address}, and ${macs.length} hosts answer for it, ${where}: ${list(macs)}`,
    );
  if (others.length > 0)
    return fault("answeredByAnother", `${owner} announces ${address}, and ${list(others)} answers for it, ${where}`);
  if (connection === "silent")
    return fault(
      "notConnected",
      `${owner} answers for ${address}, and TCP port ${port} neither accepts nor refuses a connection, ${where}`,
    );
  return undefined;
}

const connectionTexts = { accepts: "accepts connections", refuses: "refuses connections", silent: "does not answer" } as const;
