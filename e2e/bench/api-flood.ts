/**
 * Changes many objects of an API server as fast as it takes them: `api-flood.ts KUBECONFIG PORT MODE COUNT`. MODE is `endpoints` (the
 * endpoint of each Service of `bgp-services.ts` becomes unready, then ready), `nodes` (as many Nodes come, get labels, and go), `requests`
 * (each Service asks for an unknown pool, then no longer), `selectors` (as many other Services come with a selector of half a megabyte,
 * change it and go) or `recreate` (each Service is deleted with its endpoint).
 */
import { readFileSync } from "node:fs";
import { ApiClient, type Reference } from "#e2e/demo-cluster";

const [kubeconfig = "", port, mode = "", count = "0"] = process.argv.slice(2);
const atOnce = mode === "selectors" ? 1 : 32; // Each of those takes the API server of the lab a second.
using api = new ApiClient(readFileSync(kubeconfig, "utf8"), Number(port));

const service = (number: number): Reference => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name: `s-${number}` },
});
const slice = (number: number): Reference => ({ ...service(number), apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice" });
const node = (number: number): Reference => ({ apiVersion: "v1", kind: "Node", metadata: { name: `flood-${number}` } });
const ready = (isReady: boolean) => (number: number) =>
  api.patch(slice(number), { endpoints: [{ addresses: ["10.244.1.1"], nodeName: "node1", conditions: { ready: isReady } }] });
const pool = (name: string | null) => (number: number) =>
  api.patch(service(number), { metadata: { annotations: { "metallb.universe.tf/address-pool": name } } });

const large = (number: number): Reference => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name: `large-${number}` },
});
const selector = (value: string) => Object.fromEntries(Array.from({ length: 30_000 }, (_, key) => [`key-${key}`, value]));
const selectors: Readonly<Record<string, Readonly<Record<string, string>>>> = { a: selector("a"), b: selector("b") };

const modes: Readonly<Record<string, readonly ((number: number) => Promise<unknown>)[]>> = {
  endpoints: [ready(false), ready(true)],
  nodes: [
    (number) => api.apply({ ...node(number), spec: {} }),
    (number) => api.patch(node(number), { metadata: { labels: { rack: `r${number % 10}` } } }),
    (number) => api.delete(node(number)),
  ],
  requests: [pool("nowhere"), pool(null)],
  selectors: [
    (number) => api.apply({ ...large(number), spec: { type: "LoadBalancer", ports: [{ port: 80 }], selector: selectors.a } }),
    (number) => api.patch(large(number), { spec: { selector: selectors.b } }),
    (number) => api.delete(large(number)),
  ],
  recreate: [(number) => api.delete(service(number)), (number) => api.delete(slice(number))],
};
for (const change of modes[mode] ?? []) {
  const numbers = Array.from({ length: Number(count) }, (_, index) => index).values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const number of numbers) await change(number);
    }),
  );
}
console.log("flooded");
