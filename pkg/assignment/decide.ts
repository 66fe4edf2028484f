import {
  type Allocation,
  type Allocator,
  describe,
  facts,
  finding,
  poolsOf,
  type Refusal,
  remedy,
  type Settlement,
} from "#pkg/allocator";
import type { Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import {
  type AddressRequest,
  annotations,
  type NotOurs,
  readAnnotation,
  readRequest,
  recordedAddresses,
  whyNotOurs,
} from "#pkg/service";
import { list, quote } from "#pkg/text";
import { type Fact, type Verdict, verdict } from "#pkg/verdict";

/** Something that the Service's owner has to know, for as long as it is true. */
export interface Warning {
  readonly reason: "AllocationFailed" | "LoadBalancerFailed" | "AddressPoolIgnored";
  /** The event's message. */
  readonly message: string;
  readonly verdict: Verdict;
}

/** Where a Service stands. */
export interface Decision {
  /** The request; undefined if the Service has no right to an address of ours. */
  readonly request: AddressRequest | undefined;
  /** Why it has none; for the log. */
  readonly noRight: "deleted" | NotOurs | undefined;
  /** The holding from now on. */
  readonly allocation: Allocation | undefined;
  /** Addresses for its status; undefined where the status is not ours to write. */
  readonly status: readonly string[] | undefined;
  /** Addresses that the Service may not keep, of those that it had or its status claimed, and why. */
  readonly lost: { readonly addresses: readonly Address[]; readonly refusal: Refusal } | undefined;
  /** Its request changed, its own pool lacks something of it, and it gave these addresses up for those of another pool. */
  readonly left: { readonly addresses: readonly Address[]; readonly refusal: Refusal } | undefined;
  /** Why it did not get all that it asks for or prefers. */
  readonly missing: Refusal | undefined;
  readonly warning: Warning | undefined;
  readonly note: Note | undefined;
}

/** Something that the Service's owner may want to know: nothing is wrong. */
export interface Note {
  /** It would not be given now what it keeps; or it has one family, and prefers two. */
  readonly reason: "AddressNotAllowed" | "AdditionalAssignFailed";
  /** The event's message. */
  readonly message: string;
  readonly verdict: Verdict;
}

/**
 * Decides on one Service from its present state and all holdings, and takes and frees addresses accordingly. A repeated decision
 * changes nothing until the Service or others' holdings have changed.
 */
export function decide(key: string, service: Service | undefined, allocator: Allocator): Decision {
  const noRight = (why: Decision["noRight"]): Decision => {
    allocator.release(key);
    return {
      request: undefined,
      noRight: why,
      allocation: undefined,
      status: statusOf(service, undefined),
      lost: undefined,
      left: undefined,
      missing: undefined,
      warning: undefined,
      note: undefined,
    };
  };
  if (service === undefined) return noRight("deleted");
  const read = readRequest(service);
  if (read.type === "notOurs") return noRight(read.why);
  const { request } = read;
  const held = allocator.held(key)?.addresses ?? [];
  const had = [...held, ...recordedAddresses(service).filter((address) => !includes(held, address))];
  const refused = keep(request, service, allocator, "written");
  // If nobody can tell what it wants, it gets nothing new.
  const own = allocator.held(key);
  const nothingNew = { allocation: own, unmet: undefined, lacking: undefined, notAllowed: undefined, left: undefined };
  const settlement: Settlement = read.type === "request" ? allocator.settle(request) : nothingNew;
  const { allocation, unmet, lacking, left } = settlement;
  const still = [...(own?.addresses ?? []), ...(allocation?.addresses ?? [])];
  const gone = had.filter((address) => !includes(still, address));
  return {
    request,
    noRight: undefined,
    allocation,
    status: statusOf(service, allocation),
    lost: refused && gone.length > 0 ? { addresses: gone, refusal: refused } : undefined,
    left: left && { addresses: own?.addresses ?? [], refusal: left },
    missing: unmet ?? lacking,
    warning:
      read.type === "request"
        ? unmetWarning(service, request, unmet, allocation)
        : malformedWarning(key, read.problem, allocation),
    note: noteOn(settlement),
  };
}

/**
 * Lets a Service keep its addresses, or take those in its status, as far as the rules allow. So addresses survive a restart, and an
 * address written by hand is taken over. The request comes later: a request that cannot be met must not cost the Service its
 * addresses.
 * @param status `recorded` after a start, when it has the Service's former addresses; a later one that differs was `written` by
 * somebody
 * @returns why it may not keep or take something
 */
export function keep(
  request: AddressRequest,
  service: Service,
  allocator: Allocator,
  status: "recorded" | "written",
): Refusal | undefined {
  const held = allocator.held(request.service)?.addresses;
  const recorded = recordedAddresses(service);
  if (held === undefined) {
    if (recorded.length === 0) return undefined;
    return (status === "recorded" ? allocator.restore(request, recorded) : allocator.adopt(request, recorded)).unmet;
  }
  // A status that differs was written by hand. It counts only if it is allowed as it stands.
  const differs = recorded.some((address) => !includes(held, address));
  const refused = differs ? allocator.adopt(request, recorded).unmet : undefined;
  if (differs && refused === undefined) return undefined;
  const { unmet } = allocator.restore(request, held);
  return refused ?? unmet;
}

/** Addresses for the status of a Service that holds these; undefined where the status is not ours to write. */
export function statusOf(service: Service | undefined, allocation: Allocation | undefined): readonly string[] | undefined {
  if (service === undefined || whyNotOurs(service) === "otherLoadBalancerClass") return undefined;
  return (allocation?.addresses ?? []).map(String);
}

/** The event about addresses that a Service lost, or gave up for addresses of another pool. */
export function releasedBy({ lost, left, allocation }: Decision) {
  const gone = lost ?? left;
  if (gone === undefined) return undefined;
  const { addresses, refusal } = gone;
  if (lost !== undefined) {
    // The owner has changed the families: nobody has requested these addresses.
    const isOther = refusal.reason === "familyMismatch";
    const why = isOther ? `the Service is ${refusal.wanted.join(" and ")}` : describe(refusal);
    const message = `Released ${quotedList(addresses)}: ${why}`;
    return { type: isOther ? "Normal" : "Warning", what: "addresses are no longer allowed", addresses, why, message } as const;
  }
  const why = finding(refusal);
  const message = `Released ${quotedList(addresses)} for ${quotedList(allocation?.addresses ?? [])}: ${why}`;
  return { type: "Normal", what: "addresses are given up for those of another pool", addresses, why, message } as const;
}

function noteOn({ allocation, notAllowed, lacking }: Settlement): Note | undefined {
  if (allocation === undefined) return undefined;
  const addresses = quotedList(allocation.addresses);
  if (notAllowed !== undefined) {
    const message = `it keeps ${addresses}, which it would not be given now: ${finding(notAllowed)}`;
    const words = { message, evidence: facts(notAllowed) };
    return { reason: "AddressNotAllowed", message, verdict: verdict("service", "notAllowed", words) };
  }
  if (lacking === undefined) return undefined;
  const message = `it prefers two families, and has ${addresses} alone: ${finding(lacking)}`;
  const words = { message, evidence: facts(lacking), next: remedy(lacking) };
  return { reason: "AdditionalAssignFailed", message, verdict: verdict("service", "oneFamily", words) };
}

function malformedWarning(key: string, problem: string, allocation: Allocation | undefined): Warning {
  const given = { state: stateWith(allocation), message: `${problem}${kept(allocation)}` };
  return {
    reason: allocation === undefined ? "AllocationFailed" : "LoadBalancerFailed",
    message:
      allocation === undefined
        ? `Failed to allocate IP for "${key}": ${problem}`
        : `invalid requested loadbalancer IPs: ${problem}${kept(allocation)}`,
    verdict: verdict("service", "malformedRequest", given),
  };
}

function unmetWarning(
  service: Service,
  request: AddressRequest,
  refusal: Refusal | undefined,
  allocation: Allocation | undefined,
): Warning | undefined {
  if (refusal === undefined) return undefined;
  const evidence = [...requestFacts(request), ...facts(refusal)];
  if (allocation !== undefined && isOnlyAboutPool(request, refusal)) {
    const message =
      `requested addresses win over the annotation ${readAnnotation(service.annotations, annotations.pool)?.name}: ` +
      `${quotedList(request.requestedAddresses)} is in pool ${list(poolsOf(allocation).map(quote))}, not in ${quote(request.requestedPool ?? "")}`;
    return {
      reason: "AddressPoolIgnored",
      message,
      verdict: verdict("service", refusal.reason, { state: "Degraded", message, evidence }),
    };
  }
  const message = `${finding(refusal)}${kept(allocation)}`;
  return {
    reason: "AllocationFailed",
    message: `Failed to allocate IP for "${request.service}": ${describe(refusal)}${kept(allocation)}`,
    verdict: verdict("service", refusal.reason, { state: stateWith(allocation), message, evidence, next: remedy(refusal) }),
  };
}

function stateWith(allocation: Allocation | undefined): "Degraded" | "Pending" {
  return allocation === undefined ? "Pending" : "Degraded";
}

/** The particular wishes of the Service, as facts. */
function requestFacts({ families, requestedAddresses, requestedPool, sharingKey }: AddressRequest): Fact[] {
  const asked: readonly (readonly [name: string, value: string])[] = [
    ["families", families.join(", ")],
    ["requested addresses", requestedAddresses.join(", ")],
    ["requested pool", requestedPool ?? ""],
    ["sharing key", sharingKey],
  ];
  return asked.filter(([, value]) => value !== "").map(([name, value]) => ({ name, value, source: "Service" }));
}

/** The requested addresses were given; only the pool that was named besides is another, or does not exist. */
function isOnlyAboutPool({ requestedAddresses }: AddressRequest, { reason }: Refusal): boolean {
  return requestedAddresses.length > 0 && (reason === "wrongPool" || reason === "unknownPool");
}

function kept(allocation: Allocation | undefined): string {
  return allocation === undefined ? "" : `; it keeps ${quotedList(allocation.addresses)}`;
}

/** The message of the event `IPAllocated`. */
export function assignedMessage(addresses: readonly (Address | string)[]): string {
  return `Assigned IP ${quotedList(addresses)}`;
}

/** `["192.0.2.1" "fd00::1"]`, as MetalLB has always put it into events. */
export function quotedList(addresses: readonly (Address | string)[]): string {
  return `[${addresses.map((address) => `"${address}"`).join(" ")}]`;
}

function includes(addresses: readonly Address[], address: Address): boolean {
  return addresses.some((other) => other.equals(address));
}
