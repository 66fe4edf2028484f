// Smoke: addresses of several pools, and moves.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { startCluster } from "./observe.ts";
import { TenantView } from "./tenant-view.ts";

const internal = (range: string) => `address-pools:
- name: internal
  protocol: layer2
  addresses: [${range}]
- name: public
  protocol: layer2
  auto-assign: false
  addresses: [172.30.0.210-172.30.0.211]
- name: cloud
  protocol: none
  auto-assign: false
  addresses: [198.51.100.0/29]
`;
const before200 = internal("172.30.0.200-172.30.0.203");
const after230 = internal("172.30.0.230-172.30.0.233");
const pool = "metallb.universe.tf/address-pool";

suite("several addresses for a Service, and moves to others, as kubectl shows them", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let view: TenantView;
  before(async () => {
    cluster = await startCluster({ nodes: 2, configuration: before200 });
    view = new TenantView(cluster);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    view[Symbol.dispose]();
  });

  test("one of each pool that is named, and a client reaches both; all or nothing", async () => {
    const service = await cluster.expose("web", ["node1", "node2"], { annotations: { [pool]: "internal,public" } });
    await view.described("default", "web", /LoadBalancer Ingress: +172\.30\.0\.200.*, 172\.30\.0\.210/);
    assert.equal((await service.addresses()).length, 2);
    for (const address of ["172.30.0.200", "172.30.0.210"])
      assert.equal((await waitFor(address, () => cluster.client.get(`http://${address}/`))).status, 200);
    await view.expose("default", "greedy", { [pool]: "public,public" });
    await view.described("default", "greedy", /Warning +AllocationFailed .*pool "public"/);
    assert.doesNotMatch(await view.kubectl("describe", "service", "greedy"), /LoadBalancer Ingress: +1/);
    await view.kubectl("delete", "service", "greedy");
  });

  test("addresses that somebody else announces are given, and announced by no node", async () => {
    await view.expose("default", "outside", { [pool]: "cloud" });
    const text = await view.described("default", "outside", /LoadBalancer Ingress: +198\.51\.100\.0/);
    assert.doesNotMatch(text, /nodeAssigned/);
  });

  test("a change that strands addresses is refused, unless the ConfigMap allows it: then just those Services move, and are told", async () => {
    await view.expose("default", "plain");
    await view.described("default", "plain", /LoadBalancer Ingress: +172\.30\.0\.201/);
    await cluster.configure(after230);
    await view.configurationDescribed(/Warning +ConfigStale .*default\/plain \(172\.30\.0\.201\)/);
    assert.match(await view.kubectl("describe", "service", "plain"), /LoadBalancer Ingress: +172\.30\.0\.201/);
    await view.kubectl("-n", "metallb-system", "annotate", "configmap", "config", "ingot.dev/allow-renumber=true");
    await view.described("default", "plain", /LoadBalancer Ingress: +172\.30\.0\.23\d/);
    await view.described("default", "plain", /Warning +ClearAssignment .*172\.30\.0\.201/);
    await view.described("default", "outside", /LoadBalancer Ingress: +198\.51\.100\.0/);
  });
});
