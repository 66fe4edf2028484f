import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { applyService, assigned, type Said, says, serviceReference, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const netbox = "{url: http://172.30.0.99:9, token-secret: {name: netbox}, tags: [k8s], mode: allocate}";
const configuration = `peers:
- {my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.99}
- {my-asn: 64512, peer-asn: 64514, peer-address: 172.30.0.100}
address-pools:
- {name: lan, protocol: layer2, l2-placement: sticky, addresses: [172.30.0.200-172.30.0.209]}
- {name: chosen, protocol: layer2, auto-assign: false, addresses: [172.30.0.210-172.30.0.211], netbox: ${netbox}}
- {name: routed, protocol: bgp, auto-assign: false, addresses: [203.0.113.0/28]}
- {name: fenced, protocol: layer2, service-selectors: [{match-labels: {tier: front}}], addresses: [172.30.0.212/32]}
`;
const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const ip = (address: string) => ({ "metallb.universe.tf/loadBalancerIPs": address });

/** Without a ring, NetBox and routers, each of which the configuration asks for. */
suite("what is missing around the cluster, and what others do to a status, is the cause of a verdict", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration: null, ring: false });
    tool = new Tool(cluster);
    await applyService(cluster, "web");
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const speaker = (node: string) => cluster.node(node).speaker;

  test("without a configuration, and then without pools", async () => {
    await tool.explains("svc/web", /^Service default\/web: Pending \(noConfiguration\)/);
    await says(speaker("node1"), "noIPAllocated", "service", "default/web");
    await cluster.configure("address-pools: []");
    await tool.explains("svc/web", /^Service default\/web: Pending \(noPools\)/);
    await cluster.configure(configuration);
    await assigned(cluster, "web");
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

  test("a Service that is Local, on the node without an endpoint", async () => {
    const local = { externalTrafficPolicy: "Local" };
    await cluster.expose("local", ["node1"], { annotations: pool("routed"), spec: local });
    await says(speaker("node2"), "noReadyEndpointOnNode", "service", "default/local");
  });

  test("a host that does not listen where a router is expected", async () => {
    await tool.explains("peer/172.30.0.100", /Pending \(connectionLost\)/);
  });

  test("two Services on one address that are Local on different nodes", async () => {
    const both = { ...ip("172.30.0.209"), "metallb.universe.tf/allow-shared-ip": "k" };
    const spec = { selector: { app: "both" } };
    const options = { annotations: both, policy: "Local", spec } as const;
    await cluster.expose("left", ["node1"], options);
    await cluster.expose("right", ["node2"], { ...options, port: 81 });
    await waitFor("one of them to be told that the other one's node has the address", async () => {
      const { out } = await tool.run("services", "-A", "-o", "json");
      const { services } = JSON.parse(out) as { services: { service: string; verdict: Said }[] };
      const causes = services.filter(({ service }) => /left|right/.test(service)).map(({ verdict }) => verdict.cause);
      assert.deepEqual(causes.sort(), ["announced", "noReadyEndpointOnOwner"]);
      return true;
    });
  });

  test("a Service that keeps what it would not be given now", async () => {
    const reference = serviceReference("fenced");
    const { metadata } = reference;
    await cluster.api.apply({
      ...reference,
      metadata: { ...metadata, labels: { tier: "front" }, annotations: pool("fenced") },
      spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    });
    await assigned(cluster, "fenced");
    await cluster.api.patch(reference, { metadata: { labels: { tier: "back" } } });
    await says(cluster.controller, "notAllowed", "service", "default/fenced");
  });

  test("a status that somebody else writes too", async () => {
    const wrong = { status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } } };
    await waitFor(
      "the controller to say so",
      async () => {
        await cluster.api.patch(serviceReference("web"), wrong, "status");
        const { verdicts } = JSON.parse((await cluster.controller.get("/v1/verdicts?service=default/web")).body);
        return verdicts.some(({ cause }: Said) => cause === "statusOverwritten");
      },
      { every: 200 },
    );
  });

  test("an address in a status that is in no pool, while no controller is there", async () => {
    await cluster.controller.stop();
    const wrong = { status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } } };
    await cluster.api.patch(serviceReference("web"), wrong, "status");
    await says(speaker("node1"), "ipNotAllowed", "service", "default/web");
  });
});
