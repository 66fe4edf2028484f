import { type Config, limits, PoolIndex } from "#pkg/config";
import { nodeOfCentral } from "#pkg/gossip";
import type { EndpointSlice, Node, Service } from "#pkg/k8s";
import type { Address } from "#pkg/net";
import { type Holder, heeded, type KnownReachability } from "#pkg/placement";
import { asksFor, backendKeyOf, mayHoldSeveral, olderFirst, recordedAddresses } from "#pkg/service";

/** The part of a cluster that decides on addresses and announcers. */
export interface ClusterState {
  readonly config: Config;
  /** The ConfigMap allows a configuration that leaves no pool for addresses in use. */
  readonly mayRenumber: boolean;
  /** All, of any type. */
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
  /** Namespace -> its labels. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Nodes with an active speaker, sorted. */
  readonly active: readonly string[];
  /** Central speakers, by their names as members. They announce by BGP for all nodes. */
  readonly central: readonly string[];
  /** The speakers of nodes have BGP sessions. */
  readonly nodesHaveBgp: boolean;
  readonly reachability: ReadonlyMap<string, KnownReachability>; // node -> where it can answer on layer 2
  /** Nodes that Kubernetes excludes from load balancers announce all the same. */
  readonly ignoreExcludeLabel: boolean;
  readonly owners: ReadonlyMap<string, string>; // address by layer 2 -> the node that announces it now
  readonly occupied: ReadonlyMap<string, string>; // address -> the other host that has it
}

/** An address, and the Services that have it in their status. */
export interface HeldAddress {
  readonly address: Address;
  /** As many as may share an address. */
  readonly holders: readonly Holder[];
  /** Keys of further Services that have it. They have no say in where it is announced. */
  readonly refused: readonly string[];
}

/** The addresses in use, in the order of the Services' age; by text. */
export function heldAddresses({ services, slices, config }: ClusterState): ReadonlyMap<string, HeldAddress> {
  const pools = new PoolIndex(config.pools);
  const serving = Map.groupBy(
    slices.filter(({ endpoints }) => endpoints.length > 0),
    ({ service }) => service,
  );
  const held = new Map<string, { address: Address; holders: Holder[]; refused: string[] }>();
  for (const service of services.toSorted(olderFirst)) {
    const addresses = recordedAddresses(service);
    const several = mayHoldSeveral(service);
    const allowed = pools.place(addresses, several, (address, pool) => asksFor(service, address, pool.name)).held;
    for (const address of addresses) {
      const key = address.toString();
      const known = held.get(key) ?? { address, holders: [], refused: [] };
      held.set(key, known);
      if (known.holders.length === limits.holdersOfAddress) {
        known.refused.push(service.key);
        continue;
      }
      known.holders.push({
        service: service.key,
        goesWith: pools.goesWith(addresses, address, several),
        isAllowed: allowed.some((one) => one.equals(address)),
        created: service.created,
        backendKey: backendKeyOf(service),
        externalTrafficPolicy: service.externalTrafficPolicy,
        endpoints: endpointsFor(address, serving.get(service.key) ?? []),
      });
    }
  }
  return new Map(held.entries().map(([key, { holders, ...rest }]) => [key, { ...rest, holders: heeded(holders) }]));
}

/** As speakers count them: the endpoints of the address's family or, without any, the endpoints of all slices. */
function endpointsFor({ family }: Address, slices: readonly EndpointSlice[]): Holder["endpoints"] {
  const own = slices.filter((slice) => slice.family === family);
  return (own.length > 0 ? own : slices).flatMap(({ endpoints }) => endpoints);
}

/** The same cluster when these nodes, or central speakers, have failed: their speakers and endpoints are gone. */
export function withoutNodes(state: ClusterState, lost: ReadonlySet<string>): ClusterState {
  const slices = state.slices.map((slice) => ({
    ...slice,
    endpoints: slice.endpoints.filter(({ nodeName }) => nodeName === undefined || !lost.has(nodeName)),
  }));
  const nodes = state.nodes.filter(({ name }) => !lost.has(name));
  const active = state.active.filter((node) => !lost.has(node));
  const central = state.central.filter((speaker) => !lost.has(speaker) && !lost.has(nodeOfCentral(speaker)));
  return { ...state, slices, nodes, active, central };
}
