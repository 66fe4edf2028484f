/**
 * The words for faults of a cluster, which the simulation and chaos share: names, shape and text. Each brings a fault about in its own way, and has
 * faults of its own besides. Nodes and controllers are numbers from 0.
 */
import type { Millis } from "#pkg/clock";

/** A fault that a simulated cluster and a real one can have. How long it lasts is said beside it. */
export type Fault =
  | { readonly type: (typeof nodeFaults)[number]; readonly node: number }
  | { readonly type: (typeof controllerFaults)[number]; readonly controller: number }
  /** The clock of a node's machine shows so much more than the time; the monotonic clock does not. */
  | { readonly type: "setClock"; readonly node: number; readonly seconds: number }
  /** Packets from these nodes to those are lost. */
  | { readonly type: "cutOneWay"; readonly from: readonly number[]; readonly to: readonly number[] };

/** The speaker of `cutApi` does not reach the API; that of `otherVersion` is of another version. `unplug` takes a node off the LAN. */
const nodeFaults = ["killSpeaker", "stopSpeaker", "stallSpeaker", "powerOff", "unplug", "cutApi", "otherVersion"] as const;
const controllerFaults = ["killController", "stopController", "stallController", "cutControllerApi"] as const;
const types: readonly string[] = [...nodeFaults, ...controllerFaults, "setClock", "cutOneWay"];

/** Something that happens at a time, counted from the beginning of a history. */
export interface Timed<Act> {
  readonly at: Millis;
  readonly act: Act;
}

export function isFault<Act extends { readonly type: string }>(act: Act): act is Act & Fault {
  return types.includes(act.type);
}

/** For people. @param nameOf the name of a node */
export function describeFault(fault: Fault, nameOf: (node: number) => string): string {
  const { type } = fault;
  if (type === "cutOneWay") return `${type} from ${fault.from.map(nameOf)} to ${fault.to.map(nameOf)}`;
  if ("controller" in fault) return `${type} ${fault.controller + 1}`;
  return `${type} ${nameOf(fault.node)}${type === "setClock" ? ` by ${fault.seconds} s` : ""}`;
}
