import { type Clock, dateOf } from "#pkg/clock";
import { type EventRecorder, nodeReference } from "#pkg/k8s";
import { KernelKeeper } from "#pkg/kernel";
import type { Log } from "#pkg/log";
import { list } from "#pkg/text";
import { causes } from "#pkg/verdict";
import type { SpeakerEvent, SpeakerView } from "./core/index.ts";

export interface KernelOptions {
  readonly node: string;
  readonly events: Pick<EventRecorder, "record">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly log: Log;
  readonly clock: Clock;
}

/** Keeps addresses in this node's kernel, and tells the core which of them are missing. */
export function createKernel({ node, events, emit, log, clock }: KernelOptions): KernelKeeper {
  return new KernelKeeper({
    node,
    log,
    clock,
    onDisturbance: (message) => events.record(nodeReference(node), "Warning", "kernelRestored", message),
    onProblems: (problems, failure) => emit({ type: "kernel", problems, failure }),
  });
}

/** What `/readyz` warns of. */
export function kernelWarnings(view: Pick<SpeakerView, "pools" | "kernel">, keeper: Pick<KernelKeeper, "interfaces">): string[] {
  const pools = view.pools.filter(({ protocols }) => protocols.includes("interface"));
  const { failure, problems } = view.kernel;
  if (failure !== undefined && pools.length > 0) {
    const names = list(pools.map(({ name }) => name));
    return [`pools of protocol interface are not announced (${names}): ${failure}; ${causes.pool.noKernelAccess.next}`];
  }
  const [first] = problems;
  const found =
    first === undefined ? [] : [`${problems.size} addresses are not in this node's kernel, such as ${first[0]}: ${first[1]}`];
  const bridges = keeper.interfaces().filter(({ kind }) => kind !== undefined && kind !== "dummy");
  return [
    ...found,
    ...bridges.map(
      ({ name, kind }) => `interface ${name} is no dummy but ${kind}: it is used for addresses of protocol interface as it is`,
    ),
  ];
}

/** Wanted entries in this node's kernel, as `/v1/kernel` shows them. */
export function describeKernel(
  view: Pick<SpeakerView, "kernel">,
  keeper: Pick<KernelKeeper, "restored" | "interfaces" | "status">,
  clock: Clock,
) {
  return {
    failure: view.kernel.failure ?? null,
    restored: keeper.restored,
    interfaces: keeper.interfaces().map(({ name, kind = null, error = null }) => ({ name, kind, error })),
    items: [...keeper.status()].map(({ item, place, by = null, since, error = null, restored }) => ({
      ...(item.type === "address"
        ? { type: item.type, interface: item.interface, prefix: `${item.address}/${item.prefixLength}`, table: null }
        : { type: item.type, interface: item.interface, prefix: item.prefix.toString(), table: item.table }),
      place,
      by,
      since: dateOf(clock, since),
      error,
      restored,
    })),
  };
}
