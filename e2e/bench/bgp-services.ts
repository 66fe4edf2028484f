/**
 * Fills an API server with COUNT Services of type LoadBalancer, each with an endpoint: `bgp-services.ts KUBECONFIG PORT NAME COUNT FIRST
 * STATE APART`. They have the address FIRST, such as 10.1.0.0, and every one of those after it that is a multiple of APART away, or none
 * yet where STATE is `waiting`.
 */
import { readFileSync } from "node:fs";
import { ApiClient } from "#e2e/demo-cluster";
import { parseAddress } from "#pkg/net";

const atOnce = 32;
const [kubeconfig = "", port, name = "", count, first = "", state, apart = "1"] = process.argv.slice(2);
using api = new ApiClient(readFileSync(kubeconfig, "utf8"), Number(port));
const start = parseAddress(first)?.value ?? 0n;

const numbers = Array.from({ length: Number(count) }, (_, index) => index).values();
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (const number of numbers) await create(number);
  }),
);
console.log("created");

async function create(number: number): Promise<void> {
  const metadata = { namespace: "default", name: `${name}-${number}` };
  const service = { apiVersion: "v1", kind: "Service", metadata };
  const spec = { type: "LoadBalancer", ports: [{ port: 80 }], allocateLoadBalancerNodePorts: false };
  await api.apply({ ...service, spec });
  await api.apply({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    addressType: "IPv4",
    ports: [{ port: 80 }],
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": metadata.name } },
    endpoints: [{ addresses: ["10.244.1.1"], nodeName: "node1", conditions: { ready: true } }],
  });
  if (state === "served")
    await api.patch(service, { status: { loadBalancer: { ingress: [{ ip: address(number) }] } } }, "status");
}

function address(number: number): string {
  const value = Number(start) + number * Number(apart);
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}
