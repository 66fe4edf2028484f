import { parseConfig } from "#pkg/config";
import { centralName } from "#pkg/gossip";
import { fingerprint } from "#pkg/live-config";
import { verdict } from "#pkg/verdict";
import type { Api } from "../cluster/api.ts";
import type { Processes } from "../cluster/processes.ts";
import { fakeApi, type Stored } from "./api.ts";
import { type Answers, fakeProcesses } from "./processes.ts";

const namespace = "/api/v1/namespaces/metallb-system";
export const configMapPath = `${namespace}/configmaps/config`;
const since = "2026-01-02T03:01:00.000Z";
const nodes = ["n1", "n2"];

export const configuration = `peers: [{peer-address: 10.0.0.1, my-asn: 65000, peer-asn: 65001}]
address-pools:
- {name: lan, protocol: layer2, addresses: [192.0.2.1-192.0.2.2]}
- {name: far, protocol: bgp, auto-assign: false, addresses: [203.0.113.0/24]}
`;

/** Services: name -> address, empty for none. Services with an address of 203.0.113.0/24 ask for pool `far`. */
const addresses: Readonly<Record<string, string>> = { web: "192.0.2.1", cart: "192.0.2.2", late: "", far: "203.0.113.7" };

/**
 * A cluster with nodes n1 and n2, on both of which all Services have ready endpoints but `cart`, which has one on n1. All processes have in
 * force what the ConfigMap has, as long as `obeys` says so. @param centralOn nodes with a central speaker
 */
export function smallCluster(
  obeys: () => boolean = () => true,
  centralOn: readonly string[] = [],
): {
  readonly api: Api & { readonly stored: Stored };
  readonly processes: Processes;
} {
  const pool = (address: string) => (address.startsWith("203") ? { "metallb.universe.tf/address-pool": "far" } : {});
  const services = Object.entries(addresses).map(([name, ip]) => ({
    metadata: { name, namespace: "default", uid: name, annotations: pool(ip) },
    spec: { type: "LoadBalancer", clusterIPs: ["10.96.0.1"], ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: ip === "" ? [] : [{ ip }] } },
  }));
  const slices = Object.keys(addresses).map((service) => ({
    metadata: { name: `${service}-1`, namespace: "default", labels: { "kubernetes.io/service-name": service } },
    endpoints: (service === "cart" ? ["n1"] : nodes).map((nodeName) => ({
      nodeName,
      conditions: { ready: true },
      targetRef: { kind: "Pod", namespace: "default", name: `${service}-${nodeName}` },
    })),
  }));
  const pod = (name: string, component: string, ...more: readonly string[]) => ({
    metadata: { name, labels: { app: "metallb", component } },
    spec: { containers: [{ args: ["--port=7472", "--ignore-exclude-lb", ...more] }] },
  });
  const withoutBgp = centralOn.length > 0 ? ["--announce-for=node-without-bgp"] : [];
  const pods = [
    pod("controller", "controller"),
    ...nodes.map((node) => pod(`speaker-${node}`, "speaker", ...withoutBgp)),
    ...centralOn.map((node) => pod(`central-${node}`, "central-speaker", "--announce-for=all")),
  ];
  const api = fakeApi({
    [`${namespace}/pods`]: pods,
    [configMapPath]: { metadata: { name: "config", resourceVersion: "7" }, data: { config: configuration, other: "kept" } },
    "/api/v1/services": services,
    "/apis/discovery.k8s.io/v1/endpointslices": slices,
    "/api/v1/nodes": nodes.map((name) => ({
      metadata: { name, labels: {} },
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        addresses: [{ type: "InternalIP", address: `10.0.0.1${name.slice(1)}` }],
      },
    })),
    "/api/v1/pods": [{ metadata: { namespace: "default", name: "web-n1", ownerReferences: [{ kind: "DaemonSet" }] } }],
  });
  const inForce = { ...verdict("configuration", "inForce"), since };
  const hash = () => {
    const { data } = api.stored[configMapPath] as { data: { config: string } };
    return fingerprint(parseConfig(obeys() ? data.config : configuration).config as never);
  };
  const speaker = (node: string): Answers => ({
    "/v1/members": {
      source: "memberlist",
      timing: "fast",
      members: [...centralOn.map(centralName), ...nodes].map((name) => ({ node: name, status: "alive", active: true })),
    },
    "/v1/node": { node, verdicts: [], reachability: { answers: true, interfaces: { eth0: ["192.0.2.0/24"] } } },
    "/v1/services": { node, services: [] },
    "/v1/verdicts": { version: "1.0.0", node, verdicts: [] },
  });
  const fixed = fakeProcesses({
    controller: { "/v1/services": { leader: true, services: [] }, "/v1/verdicts": { version: "1.0.0", verdicts: [] } },
    "speaker-n1": speaker("n1"),
    "speaker-n2": speaker("n2"),
    ...Object.fromEntries(centralOn.map(centralName).map((name) => [`speaker-${name}`, speaker(name)])),
  });
  const processes: Processes = {
    targets: fixed.targets,
    async get(target, path) {
      if (path !== "/v1/configuration") return fixed.get(target, path);
      const leader = target.program === "controller" ? { leader: true } : {};
      return Object.assign({ version: "1.0.0", hash: hash(), verdict: inForce }, leader);
    },
    async [Symbol.asyncDispose]() {},
  };
  return { api, processes };
}
