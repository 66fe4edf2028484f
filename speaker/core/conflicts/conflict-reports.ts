import type { Millis } from "#pkg/clock";
import type { EventReason } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import { list } from "#pkg/text";
import { type Fact, sentence, type Verdict, verdict } from "#pkg/verdict";
import type { SpeakerEffect } from "../effects.ts";
import { strangers } from "../members/members.ts";
import { holderKeys } from "../services/services.ts";
import type { SpeakerState } from "../state.ts";
import type { Rival } from "./rivals.ts";

// Address conflicts, as log lines, and as events on the Services concerned.

interface Conflict extends Rival {
  readonly address: Address;
}

// Anybody on the LAN can send frames about each address in the name of ever other hosts. In a flood this many are reported at once, and
// then one in a while; `/v1/conflicts` has all of them.
const maxReports = 200;
const reportEveryMs: Millis = 5_000;
// The most Services on one address that get the event.
const maxRecorded = 100;

export function reportBegan(state: SpeakerState, conflict: Conflict, now: Millis, effects: SpeakerEffect[]): void {
  if (!mayReport(state, now, effects)) return;
  state.conflicts.reports.began.add(keyOf(conflict));
  const message = sentence(conflictVerdict(state, conflict));
  const fields = { event: "addressConflict", ...fieldsOf(conflict), warning: message };
  effects.push({ type: "log", level: "warn", message: "another host uses an address of this node", fields });
  record(state, conflict, "Warning", "addressConflict", message, effects);
}

/** Reports the end of a conflict whose beginning was reported. */
export function reportEnded(state: SpeakerState, conflict: Conflict, effects: SpeakerEffect[]): void {
  if (!state.conflicts.reports.began.delete(keyOf(conflict))) return;
  const fields = { event: "addressConflictEnded", ...fieldsOf(conflict) };
  effects.push({ type: "log", level: "info", message: "another host no longer uses an address of this node", fields });
  const { address, mac, node } = conflict;
  const who = node === undefined ? `host ${mac}` : `node "${node}" (${mac})`;
  record(state, conflict, "Normal", "addressConflictEnded", `${who} no longer uses ${address}`, effects);
}

/** The address is not announced, because a foreign host answered first. */
export function reportOccupied(state: SpeakerState, conflict: Conflict, now: Millis, effects: SpeakerEffect[]): void {
  if (!mayReport(state, now, effects)) return;
  const message = sentence(occupiedVerdict(state, conflict));
  const fields = { event: "addressOccupied", ...fieldsOf(conflict) };
  effects.push({ type: "log", level: "warn", message: "address is not announced, another host uses it", fields });
  record(state, conflict, "Warning", "addressOccupied", message, effects);
}

/** A foreign host has the address that this node was to announce. */
export function occupiedVerdict(
  { node }: Pick<SpeakerState, "node">,
  { address, mac, interface: name }: Pick<Conflict, "address" | "mac" | "interface">,
): Verdict {
  const evidence = [{ name: "other MAC address", value: mac, source: `ARP and NDP on ${name}` }];
  const message = `${address} is not announced: a host, ${mac}, answers for it on ${name} of node "${node}"`;
  return verdict("service", "addressOccupied", { message, evidence });
}

/** A host that probes first accepts a refusal: nothing is wrong, but a person who looks for it finds this line. */
export function reportWanted(conflict: Conflict, effects: SpeakerEffect[]): void {
  const fields = { event: "addressWanted", ...fieldsOf(conflict) };
  effects.push({ type: "log", level: "debug", message: "a host probed an address of this node", fields });
}

/** The conflict's form in `/v1/conflicts`. */
export function describeConflict({ address, mac, node, interface: name, ownMac, followed, answersForMany }: Conflict) {
  const other = { mac, ...(node !== undefined && { node }), ...(answersForMany && { answersForMany }) };
  return { address: address.toString(), other, ownMac, interface: name, owner: followed ? "other" : "self" };
}

/** Whether the beginning of a conflict was reported, and not its end. */
export function wasReported(
  { conflicts }: Pick<SpeakerState, "conflicts">,
  conflict: Pick<Conflict, "address" | "mac">,
): boolean {
  return conflicts.reports.began.has(keyOf(conflict));
}

function mayReport({ conflicts: { reports } }: SpeakerState, now: Millis, effects: SpeakerEffect[]): boolean {
  reports.left = Math.min(maxReports, reports.left + (now - reports.at) / reportEveryMs);
  reports.at = now;
  if (reports.left >= 1) {
    reports.left--;
    if (reports.left > maxReports / 2) reports.isExhausted = false;
    return true;
  }
  if (reports.isExhausted) return false;
  reports.isExhausted = true;
  const message =
    "too many conflicts to report each, see /v1/conflicts: a host uses many addresses, or sends in the name of many hosts";
  effects.push({ type: "log", level: "warn", message, fields: { event: "conflictsNotReported" } });
  return false;
}

function keyOf({ address, mac }: Pick<Conflict, "address" | "mac">): string {
  return `${address} ${mac}`;
}

/** The meaning of another host with the address. */
export function conflictVerdict(state: SpeakerState, conflict: Conflict): Verdict {
  const { node, members } = state;
  const { address, mac, node: other, interface: name, ownMac, followed, kind, answersForMany, failedToProve } = conflict;
  const evidence = frameFacts(conflict);
  const here = `node "${node}" (${ownMac} on ${name})`;
  if (answersForMany)
    return verdict("service", "answersForMany", {
      evidence,
      message: `a host, ${mac}, answers for ${address} and for several other addresses of pools, as with proxy ARP, or others with ever other MAC addresses do; ${here} announces ${address} all the same: clients may reach either`,
    });
  const unknown = kind === "unidentified" ? strangers(state) : [];
  if (unknown.length > 0)
    return verdict("service", "unidentifiedHost", {
      evidence,
      message:
        `a host, ${mac}, uses ${address} too, which ${here} announces: it may be one of the nodes whose speakers do not report their MAC ` +
        `addresses (${list(unknown)}), or any other host`,
    });
  if (other === undefined)
    return verdict("service", "addressConflict", {
      evidence,
      message: `a host that is no speaker, ${mac}, uses ${address} too, which ${here} announces: clients may reach either`,
    });
  const who = followed ? `${here} no longer announces it, because of the other` : `${here} goes on announcing it`;
  const both = `two nodes answer for ${address}, the other is "${other}" (${mac}), and ${who}`;
  if (!members.active.includes(other) && failedToProve)
    return verdict("service", "twoOwners", {
      message: `a host answers for ${address} in the name of node "${other}" (${mac}), does not prove to be its speaker, and ${here} goes on announcing it`,
      evidence,
      next: `where node ${other} is down, look for a host that sends in its name; else let UDP and TCP of the speakers' ring (port 7946 by default) pass between the nodes`,
    });
  if (!members.active.includes(other))
    return verdict("service", "twoOwners", { message: `${both}: their speakers do not reach each other`, evidence });
  return verdict("service", "twoOwners", {
    message: `${both}: their speakers reach each other`,
    evidence,
    next:
      `if an interface of ${other} has the address, remove it there; with kube-proxy in IPVS mode set strictARP: true; else compare the logs of both speakers, which may see ` +
      "the cluster differently, and look for a host that sends in that node's name",
  });
}

function frameFacts({ mac, interface: name, ownMac, node }: Conflict): Fact[] {
  const source = `ARP and NDP on ${name}`;
  const facts = [
    { name: "other MAC address", value: mac, source },
    { name: "own MAC address", value: ownMac, source },
  ];
  return node === undefined ? facts : [...facts, { name: "node of the other", value: node, source: "ring" }];
}

function record(
  { services }: SpeakerState,
  { address }: Conflict,
  kind: "Normal" | "Warning",
  reason: EventReason,
  message: string,
  effects: SpeakerEffect[],
): void {
  for (const key of holderKeys(services, address.toString()).slice(0, maxRecorded)) {
    const service = services.rows.get(key)?.service;
    if (service !== undefined) effects.push({ type: "recordEvent", service, kind, reason, message });
  }
}

function fieldsOf({ address, mac, node, interface: name, ownMac, followed }: Conflict): Record<string, unknown> {
  return { ip: address, mac, ownMac, interface: name, ...(node !== undefined && { node, owner: followed ? "other" : "self" }) };
}
