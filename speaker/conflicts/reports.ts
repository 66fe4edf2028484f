import type { EventReason, Service } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { Address } from "#pkg/net";
import type { Conflict } from "./address-defender.ts";

export interface ConflictReportsOptions {
  /** This node's name. */
  readonly node: string;
  readonly active: () => readonly string[];
  /** Those with the address in their status. */
  readonly services: (address: Address) => readonly Service[];
  readonly record: (service: Service, type: "Normal" | "Warning", reason: EventReason, message: string) => void;
  readonly log: Log;
}

/** Logs address conflicts, and records them as events on the Services concerned. */
export class ConflictReports {
  readonly #options: ConflictReportsOptions;

  constructor(options: ConflictReportsOptions) {
    this.#options = options;
  }

  began(conflict: Conflict): void {
    const { log } = this.#options;
    const message = this.#describe(conflict);
    log.warn("another host uses an address of this node", { event: "addressConflict", ...fields(conflict), warning: message });
    this.#record(conflict, "Warning", "addressConflict", message);
  }

  ended(conflict: Conflict): void {
    this.#options.log.info("another host no longer uses an address of this node", {
      event: "addressConflictEnded",
      ...fields(conflict),
    });
    const { address, mac, node } = conflict;
    const who = node === undefined ? `host ${mac}` : `node "${node}" (${mac})`;
    this.#record(conflict, "Normal", "addressConflictEnded", `${who} no longer uses ${address}`);
  }

  /** The address is not announced, because a foreign host answered first. */
  occupied(conflict: Conflict): void {
    const { node, log } = this.#options;
    const message =
      `${conflict.address} is not announced: a host, ${conflict.mac}, answers for it on ${conflict.interface} of node "${node}"; ` +
      "give that host another address";
    log.warn("address is not announced, another host uses it", { event: "addressOccupied", ...fields(conflict) });
    this.#record(conflict, "Warning", "addressOccupied", message);
  }

  /** A host that probes first takes no for an answer: nothing is wrong, but whoever looks for it finds this line. */
  wanted(conflict: Conflict): void {
    this.#options.log.debug("a host probed an address of this node", {
      event: "addressWanted",
      ...fields(conflict),
    });
  }

  #describe({ address, mac, node: other, interface: name, ownMac, followed }: Conflict): string {
    const { node, active } = this.#options;
    const here = `node "${node}" (${ownMac} on ${name})`;
    if (other === undefined)
      return (
        `a host that is no speaker, ${mac}, uses ${address} too, which ${here} announces: clients may reach either; ` +
        "give that host another address, or the Service"
      );
    const who = followed ? `${here} leaves it to node "${other}" (${mac})` : `${here} keeps it, not node "${other}" (${mac})`;
    const why = active().includes(other)
      ? "they see each other: either that node's kernel has the address (kube-proxy in IPVS mode needs strictARP: true), or they see the " +
        "cluster differently, which the logs of both speakers show"
      : "they are cut off from one another: let UDP and TCP of the speakers' ring (port 7946) pass between the nodes";
    return `two nodes announce ${address}, and ${who}; ${why}`;
  }

  #record({ address }: Conflict, type: "Normal" | "Warning", reason: EventReason, message: string): void {
    for (const service of this.#options.services(address)) this.#options.record(service, type, reason, message);
  }
}

/** The body of `/v1/conflicts`. */
export function describeConflict({ address, mac, node, interface: name, ownMac, followed }: Conflict) {
  const other = { mac, ...(node !== undefined && { node }) };
  return { address: address.toString(), other, ownMac, interface: name, owner: followed ? "other" : "self" };
}

function fields({ address, mac, node, interface: name, ownMac, followed }: Conflict): Record<string, unknown> {
  return { ip: address, mac, ownMac, interface: name, ...(node !== undefined && { node, owner: followed ? "other" : "self" }) };
}
