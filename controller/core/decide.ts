import { type Allocation, poolsOf } from "#pkg/allocator";
import {
  assignedMessage,
  type Decision,
  decide as decideFor,
  type Note,
  releasedBy,
  statusOf,
  type Warning,
} from "#pkg/assignment";
import type { Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import { isOurs } from "#pkg/service";
import { verdict } from "#pkg/verdict";
import type { Context } from "./context.ts";
import { heedOccupants } from "./occupancy/occupancy.ts";
import type { Outcome } from "./queue/work-plan.ts";
import type { ControllerState, Requests } from "./state.ts";
import { giveInsisted, giveRecorded } from "./take-recorded.ts";
import { type AllocationTerms, changedResources, freeAddress, isSameAllocation, termsOf, waitsOf } from "./waiting/waits.ts";

/** Gives a Service its addresses, has its status written, and reports to its owner. @returns undefined while its status is being written */
export function decideOn(state: ControllerState, key: string): Outcome | undefined {
  const { services, allocator, agenda, pools, statuses, verdicts, context, asked } = state;
  const service = services.get(key);
  const isSettled = agenda.settled.delete(key);
  const held = allocator.held(key);
  const isContested = service !== undefined && statuses.isContested(service);
  if (!isSettled && awaitsConfig(state, key)) return held === undefined ? "done" : put(state, key, service, held);
  if (pools.inForce.type === "unconfigured") {
    const warning = service && missesConfiguration(service, pools.inForce.why);
    verdicts.services.decided(key, service, warning?.verdict, false);
    warn(asked, context, key, service, service?.ingress.length === 0 ? warning : undefined);
    return "done";
  }
  if (isContested) giveInsisted(service, state);
  if (isContested || !isSettled) settle(state, key, held);
  return put(state, key, service, allocator.held(key));
}

function put({ statuses, givenUp }: ControllerState, key: string, service: Service | undefined, held: Allocation | undefined) {
  const outcome = statuses.put(key, service, statusOf(service, held));
  givenUp.look(key, statuses.mayHave(key, service));
  return outcome;
}

const awaitedConfig = verdict("service", "undecided", {
  message: "the ConfigMap or custom resources change: the Service is decided on when these have been read, within 2 s",
});

/** Whether a Service is to be decided on later, because a configuration is on its way. A Service that another controller gives addresses is not. */
export function awaitsConfig({ services, statuses, configuration, verdicts }: ControllerState, key: string): boolean {
  const service = services.get(key);
  const mayWait = service !== undefined && isOurs(service) && !statuses.isContested(service);
  if (!mayWait || !configuration.wait.waits(key)) return false;
  verdicts.services.waits(key, awaitedConfig);
  return true;
}

/** Gives a Service its addresses. Its status is still to be written. @param held until now */
export function settle(state: ControllerState, key: string, held: Allocation | undefined): Decision {
  const { services, statuses, summary, context } = state;
  const service = services.get(key);
  const decision = decide(state, key, service, held);
  statuses.replace(service, decision.status);
  context.do({ type: "decided", service: key, missing: decision.missing });
  summary.changed();
  return decision;
}

/** Services have on record what they do not hold. */
export function takeRecorded(state: ControllerState, keys: Iterable<string>): void {
  const { allocator, services, agenda } = state;
  for (const [key, held] of giveRecorded(keys, state)) {
    if (isSameAllocation(held, allocator.held(key))) continue;
    decide(state, key, services.get(key), held);
    agenda.changed(key);
  }
}

function decide(state: ControllerState, key: string, service: Service | undefined, held: Allocation | undefined): Decision {
  const { allocator, statuses, verdicts, givenUp, asked, configuration } = state;
  const before: AllocationTerms = { ...(asked.terms.get(key) ?? termsOf(undefined, undefined, [])), allocation: held };
  const decision = decideFor(key, statuses.withoutReplaced(service), allocator);
  report(state, key, service, before.allocation, decision);
  const isNew = !isSameAllocation(before.allocation, decision.allocation);
  if (isNew) allocationChanged(state, key, before.allocation, service);
  verdicts.services.decided(key, service, (decision.warning ?? decision.note)?.verdict, isNew);
  wakeWaiting(state, key, before, decision);
  givenUp.look(key, statuses.mayHave(key, service));
  configuration.touched.add(key);
  return decision;
}

/** An address that is given up may be one that another host has. */
function allocationChanged(
  state: ControllerState,
  key: string,
  before: Allocation | undefined,
  service: Service | undefined,
): void {
  const { allocator, occupancy, verdicts, asked, agenda } = state;
  const after = allocator.held(key);
  const had = new Set(before?.addresses.map(String));
  for (const address of after?.addresses ?? []) {
    if (had.delete(`${address}`)) continue;
    tellWaiting(state, key, address);
    // Recorded addresses were given earlier, for example in a backup that the API was restored from.
    if (service?.ingress.includes(`${address}`) !== true) occupancy.recent.add(key, address);
  }
  for (const address of before?.addresses ?? []) {
    if (!had.has(`${address}`)) continue;
    tellWaiting(state, key, address);
    occupancy.recent.delete(key, address);
    // A Service that shares the address may have the note that it would not be given it.
    for (const holder of allocator.holders(address)) if (asked.notes.has(holder)) agenda.changed(holder);
  }
  for (const pool of new Set([...(before?.pools ?? []), ...(after?.pools ?? [])])) verdicts.pools.changed(pool);
  if (before?.addresses.some((address) => occupancy.reported.has(address.toString()))) heedOccupants(state);
}

// Each is decided on again, whoever makes thousands ask for one address.
const maxTold = 20;

/** Services that asked for an address were told who has it; they are told again, because another one has it now. */
function tellWaiting({ allocator, asked, agenda }: ControllerState, key: string, address: Address): void {
  if (!allocator.isHeld(address)) return; // A free one wakes Services that may have it, and then one of them has it.
  for (const waiting of asked.waiting.of(freeAddress(address)).take(maxTold)) if (waiting !== key) agenda.changed(waiting);
}

/** Services that wait for what has changed are decided on, too. */
function wakeWaiting(
  { allocator, asked, agenda }: ControllerState,
  key: string,
  before: AllocationTerms,
  { request, allocation, missing }: Decision,
): void {
  const { terms, waiting } = asked;
  const after = termsOf(allocation, request, allocator.asked(key));
  if ((allocation !== undefined && after.sharingKey !== "") || after.asked !== "") terms.set(key, after);
  else terms.delete(key);
  const waits = request === undefined || missing === undefined ? [] : waitsOf(request, missing, allocator);
  const chances = request === undefined || waits.length === 0 ? "" : allocator.chancesOf(request);
  const next = [waiting.set(key, chances, waits)];
  for (const resource of changedResources(key, before, after, allocator)) next.push(waiting.changed(resource));
  for (const other of next.flatMap((those) => [...those])) if (other !== key) agenda.changed(other);
}

/** Logs what changed, and records events about what is wrong. */
function report(
  { asked, context }: Pick<ControllerState, "asked" | "context">,
  key: string,
  service: Service | undefined,
  had: Allocation | undefined,
  decision: Decision,
): void {
  const { allocation, noRight, lost, left, warning, note } = decision;
  if (!isSameAllocation(had, allocation)) {
    const reason = noRight ?? (lost !== undefined ? "notAllowed" : left !== undefined ? "otherPool" : "otherRequested");
    const now = allocation?.addresses.map(String) ?? [];
    const ips = had?.addresses.map(String).filter((text) => !now.includes(text)) ?? [];
    if (ips.length > 0 && noRight === "deleted")
      context.log("info", "service deleted", { service: key, event: "serviceDeleted", ips });
    else if (ips.length > 0) context.log("info", "addresses released", { service: key, event: "clearAssignment", reason, ips });
    if (allocation !== undefined) {
      const fields = { service: key, event: "ipAllocated", ips: now, pool: poolsOf(allocation).join() };
      context.log("info", "addresses assigned", fields);
    }
  }
  const released = releasedBy(decision);
  if (released !== undefined && service !== undefined) {
    const { type, what, addresses, why, message } = released;
    context.log("warn", what, { service: key, event: "clearAssignment", ips: addresses, error: why });
    context.record(service, type, "ClearAssignment", message);
  }
  const isOver = asked.warnings.has(key) && warning === undefined && isSameAllocation(had, allocation);
  if (isOver && service !== undefined && allocation !== undefined)
    context.record(service, "Normal", "IPAllocated", assignedMessage(allocation.addresses));
  warn(asked, context, key, service, warning);
  noteFor(asked, context, key, service, note);
}

const logged: Readonly<Record<Note["reason"], readonly [event: string, message: string]>> = {
  AddressNotAllowed: ["addressNotAllowed", "service keeps what it would not be given"],
  AdditionalAssignFailed: ["additionalAssignFailed", "service prefers two families and has one"],
};

/** Says each note once. */
function noteFor(asked: Requests, context: Context, key: string, service: Service | undefined, note: Note | undefined): void {
  if (service === undefined || note === undefined) {
    asked.notes.delete(key);
    return;
  }
  const { reason, message } = note;
  if (!isNews(asked.notes, service, `${reason} ${message}`)) return;
  const [event, text] = logged[reason];
  context.log("info", text, { event, service: key, reason: message });
  context.record(service, "Normal", reason, message);
}

/** Logs a warning and records an event once, and again only after it has changed in between. */
function warn(asked: Requests, context: Context, key: string, service: Service | undefined, warning: Warning | undefined): void {
  if (service === undefined || warning === undefined) {
    asked.warnings.delete(key);
    return;
  }
  if (!isNews(asked.warnings, service, warning.message)) return;
  context.log("error", "service does not get what it requests", { op: "allocateIPs", service: key, error: warning.message });
  context.record(service, "Warning", warning.reason, warning.message);
}

/** Whether it is not what was `said` last of the Service. One that was deleted and made again is another one. */
function isNews(said: Map<string, string>, { key, uid }: Service, message: string): boolean {
  const last = `${uid} ${message}`;
  if (said.get(key) === last) return false;
  said.set(key, last);
  return true;
}

function missesConfiguration(service: Service, why: string): Warning | undefined {
  if (!isOurs(service)) return undefined;
  const message = `there is no configuration: ${why}`;
  return {
    reason: "AllocationFailed",
    message: `Failed to allocate IP for "${service.key}": ${message}`,
    verdict: verdict("service", "noConfiguration", { message }),
  };
}
