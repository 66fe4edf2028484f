import { parseAddress } from "#pkg/net";

/** The proxy's record of a Service; addresses are those of its status, and only of a LoadBalancer. */
export interface ProxiedService {
  readonly key: string;
  readonly local: boolean; // externalTrafficPolicy: Local
  readonly ingress: readonly string[];
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

/** The proxy's record of an EndpointSlice: ready endpoints only. */
export interface ProxiedSlice {
  readonly service: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  readonly endpoints: readonly { readonly address: string; readonly nodeName: string | undefined }[];
}

export interface Target {
  readonly address: string;
  readonly port: number;
}

/** One address and port to listen on, and the target. */
export interface Forward {
  readonly protocol: "TCP" | "UDP";
  readonly listen: Target;
  /** Never empty. */
  readonly targets: readonly Target[];
}

export interface Forwarding {
  /** Addresses whose packets this node takes in. The kernel drops packets for other addresses, as for an unknown address. */
  readonly accepted: ReadonlySet<string>;
  readonly forwards: readonly Forward[];
}

/**
 * Packets that a node forwards, as kube-proxy would: with policy Cluster it takes in every address, and refuses Services without a
 * ready endpoint anywhere; with Local only addresses with a ready endpoint on this node. An address is served by endpoints of its
 * own family.
 */
export function forwarding(services: Iterable<ProxiedService>, slices: Iterable<ProxiedSlice>, node: string): Forwarding {
  const accepted = new Set<string>();
  const forwards: Forward[] = [];
  const slicesOf = Map.groupBy(slices, ({ service }) => service);
  for (const { key, local, ingress, ports } of services)
    for (const address of ingress) {
      if (!local) accepted.add(address);
      for (const { name, protocol, port } of ports) {
        if (protocol !== "TCP" && protocol !== "UDP") continue;
        const targets = (slicesOf.get(key) ?? []).flatMap((slice) => {
          const target = slice.ports.find((candidate) => candidate.name === name && candidate.protocol === protocol);
          if (target === undefined) return [];
          return slice.endpoints
            .filter((endpoint) => sameFamily(endpoint.address, address) && (!local || endpoint.nodeName === node))
            .map((endpoint) => ({ address: endpoint.address, port: target.port }));
        });
        if (targets.length === 0) continue;
        accepted.add(address);
        forwards.push({ protocol, listen: { address, port }, targets });
      }
    }
  return { accepted, forwards };
}

function sameFamily(one: string, other: string): boolean {
  return parseAddress(one)?.family === parseAddress(other)?.family;
}
