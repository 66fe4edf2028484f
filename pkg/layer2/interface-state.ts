import type { TrackedInterface } from "#pkg/linux";
import { eligibility } from "./eligibility.ts";
import type { InterfaceState, InterfaceStatus } from "./messages.ts";

/** What is told of a link with this status; `error` says why it is failing. */
export function interfaceState(link: TrackedInterface, status: InterfaceStatus, error?: Error): InterfaceState {
  return {
    index: link.index,
    name: link.name,
    mac: link.hardwareAddress,
    status,
    ...(error && { error: error.message }),
    running: link.running,
    addresses: link.addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
  };
}

/** What is told of links while nothing is announced on them, by index. */
export function idleStates(links: readonly TrackedInterface[]): InterfaceState[] {
  return [...links].sort((a, b) => a.index - b.index).map((link) => interfaceState(link, idleStatus(link)));
}

function idleStatus(link: TrackedInterface): InterfaceStatus {
  const verdict = eligibility(link);
  return verdict === "eligible" ? "answering" : verdict;
}
