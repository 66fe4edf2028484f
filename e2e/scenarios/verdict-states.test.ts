import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { applyService, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const netbox = "{url: http://172.30.0.99:9, token-secret: {name: netbox}, tags: [k8s], mode: allocate}";
const configuration = `peers:
- {my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.99}
- {my-asn: 64512, peer-asn: 64514, peer-address: 172.30.0.100}
address-pools:
- {name: lan, protocol: layer2, l2-placement: sticky, addresses: [172.30.0.200-172.30.0.209]}
- {name: chosen, protocol: layer2, auto-assign: false, addresses: [172.30.0.210-172.30.0.211], netbox: ${netbox}}
`;
const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const ip = (address: string) => ({ "metallb.universe.tf/loadBalancerIPs": address });

/** Without a ring, NetBox and routers, each of which the configuration asks for. */
suite("what is missing around the cluster is the cause of a verdict", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration, ring: false });
    tool = new Tool(cluster);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test("sticky placement without a ring", async () => {
    await tool.explains("pool/lan", /Degraded \(placementNeedsRing\)/);
  });

  test("a NetBox that does not answer", async () => {
    await tool.explains("pool/chosen", /Degraded \(ipamFailing\)/);
    await applyService(cluster, "awaits", { annotations: pool("chosen") });
    await applyService(cluster, "asks", { annotations: ip("172.30.0.211") });
    await tool.explains("svc/awaits", /Pending \(awaitsIpam\)/);
    await tool.explains("svc/asks", /Pending \(notGranted\)/);
  });

  test("a record of the last good configuration that takes no more", async () => {
    const record = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "metallb-system", name: "ingot-status" } };
    await waitFor("the record", () => cluster.api.get(record));
    await cluster.api.patch(record, { immutable: true });
    await cluster.configure(configuration.replace("211]", "212]"));
    await tool.explains("config", [
      /Degraded \(notSaved\)/,
      /in force, but cannot be saved as the last good one: Cannot write ConfigMap metallb-system\/ingot-status: 422 .*immutable/,
      /To do: .*kubectl -n metallb-system delete configmap ingot-status/,
    ]);
    await cluster.api.delete(record);
    await tool.explains("config", /Ready \(inForce\)/);
  });

  test("a host that does not listen where a router is expected", async () => {
    await tool.explains("peer/172.30.0.100", /Pending \(connectionRefused\).*To do: start BGP on the router/s);
  });
});
