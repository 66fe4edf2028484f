import type { Given } from "./kubernetes-api.ts";

export const namespace = "metallb-system";

/** What a Service asks for, and where it has ready endpoints. */
export interface ServiceSpec {
  readonly pool: string;
  readonly isDual: boolean;
  /** An address to ask for. */
  readonly wanted: string | undefined;
  /** Key under which addresses may be shared. */
  readonly sharing: string | undefined;
  readonly port: number;
  /** The nodes with a ready endpoint. */
  readonly endpoints: readonly number[];
  /** Only they may announce it. */
  readonly isLocal: boolean;
}

export const keyOf = (name: string) => `default/${name}`;
export const nodeOf = (index: number) => `node-${index}`;
/** As the ring's simulation has it. */
export const addressOf = (index: number) => `10.0.${index >> 8}.${index & 255}`;
export const macOf = (index: number) => `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`;

export function serviceObject(name: string, { pool, isDual, wanted, sharing, port, isLocal }: ServiceSpec): Given {
  return {
    metadata: {
      name,
      annotations: {
        "metallb.universe.tf/address-pool": wanted === undefined ? pool : null,
        "metallb.universe.tf/allow-shared-ip": sharing ?? null,
      },
    },
    spec: {
      type: "LoadBalancer",
      clusterIPs: isDual ? ["10.96.0.1", "fd00::1"] : ["10.96.0.1"],
      externalTrafficPolicy: isLocal ? "Local" : "Cluster",
      loadBalancerIP: wanted ?? null,
      ports: [{ name: "p", protocol: "TCP", port }],
      selector: { app: "all" },
    },
  };
}

export function sliceObject(service: string, nodes: readonly number[]): Given {
  return {
    metadata: { name: service, labels: { "kubernetes.io/service-name": service } },
    endpoints: nodes.map((node) => ({ nodeName: nodeOf(node), conditions: { ready: true } })),
  };
}

export function podObject(node: number, ready: boolean): Given {
  return {
    metadata: { name: `speaker-${node}`, labels: { app: "metallb", component: "speaker" } },
    spec: { nodeName: nodeOf(node) },
    status: { podIPs: [{ ip: addressOf(node) }], conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  };
}
