import { type Allocation, poolsOf } from "#pkg/allocator";
import type { AnnouncedLine } from "#pkg/announced";
import type { Condition, Service } from "#pkg/k8s";
import { isOurs, poolAnnotations } from "#pkg/service";
import { escapeControls, forNamespace, upTo } from "#pkg/text";
import { causes, remedyFor, type Verdict, verdict } from "#pkg/verdict";

export const assignedType = "ingot.dev/Assigned";
export const announcedType = "ingot.dev/Announced";
/** Reason of a Service without addresses. */
export const notAssigned = "NotAssigned";
export const ownTypes: readonly string[] = [assignedType, announcedType];
const maxMessage = 1_000; // The API takes 32,768.

interface Installation {
  /** No speaker says who announces what. */
  readonly isSilent: boolean;
  /** Commands in the texts are for this one. */
  readonly namespace: string;
}

/** The conditions that a Service should have. @param assigned the controller's verdict @param line the speakers' */
export function desiredConditions(
  service: Service,
  assigned: Verdict,
  line: AnnouncedLine | undefined,
  { isSilent, namespace }: Installation,
): readonly Omit<Condition, "since">[] {
  if (!isOurs(service)) return [];
  const isAssigned = assigned.state !== "Pending";
  // Not yet decided on, or on its way into the status: what was said before still holds.
  const first =
    assigned.cause === "undecided" || (isAssigned && service.ingress.length === 0)
      ? []
      : [
          condition(assignedType, isAssigned ? "True" : "False", {
            ...assigned,
            next: remedyFor(assigned, "service", service.key),
          }),
        ];
  const all = [...first, ...announced(service, line, isSilent)];
  return all.map((one) => ({ ...one, message: forNamespace(one.message, namespace) }));
}

/**
 * The annotations that change, as MetalLB writes them: with the pool while the status has an address, else without. Those of Services that
 * another load balancer has are its own.
 */
export function desiredAnnotations(
  service: Service,
  assigned: Verdict,
  held: Allocation | undefined,
): Readonly<Record<string, string | null>> {
  if (assigned.cause === "undecided" || (service.type === "LoadBalancer" && !service.isClaimed)) return {};
  const pool = isOurs(service) && held !== undefined && service.ingress.length > 0 ? poolsOf(held).join() : null;
  const changed = poolAnnotations.filter((name) => (service.annotations[name] ?? null) !== pool);
  return Object.fromEntries(changed.map((name) => [name, pool]));
}

export const silence = verdict("service", "noActiveSpeaker", {
  message: "no speaker has said for minutes who announces the Service",
});

function announced(
  { ingress }: Service,
  line: AnnouncedLine | undefined,
  isSilent: boolean,
): readonly Omit<Condition, "since">[] {
  if (ingress.length === 0)
    return [condition(announcedType, "False", { cause: notAssigned, message: "no address is assigned", next: "" })];
  if (isSilent) return [condition(announcedType, "Unknown", silence)];
  if (line === undefined) return [];
  const said = { ...line, next: "" };
  if (isAnnounced(line.cause)) return [condition(announcedType, "True", said)];
  const isUnknown = line.cause === "unknown" || causes.service[line.cause].states[0] === "NotOurs";
  return [condition(announcedType, isUnknown ? "Unknown" : "False", said)];
}

export function isAnnounced(cause: string): boolean {
  return cause === "announced" || cause === "announcedWithFault";
}

function condition(
  type: string,
  status: "True" | "False" | "Unknown",
  { cause, message, next }: Pick<Verdict, "message" | "next"> & { readonly cause: string },
): Omit<Condition, "since"> {
  const said = escapeControls(upTo(next === "" ? message : `${message}; ${next}`, maxMessage));
  return { type, status, reason: reasonOf(cause), message: said };
}

/** A cause as the reason of a condition. */
export function reasonOf(cause: string): string {
  return cause.charAt(0).toUpperCase() + cause.slice(1);
}
