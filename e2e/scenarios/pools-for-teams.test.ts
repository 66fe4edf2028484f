import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { loadAll } from "js-yaml";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { metric, startCluster } from "./observe.ts";
import { TenantView } from "./tenant-view.ts";

const pools = `address-pools:
- name: team-a
  protocol: layer2
  addresses: [172.30.0.200-172.30.0.203]
  namespaces: [team-a]
- name: public
  protocol: layer2
  addresses: [172.30.0.210-172.30.0.219]
  sharing: namespace
  reserved:
  - 172.30.0.210
  - {addresses: [172.30.0.212], service: team-b/www}
- name: together
  protocol: layer2
  addresses: [172.30.0.220-172.30.0.229]
  auto-assign: false
quotas:
- {pools: [public], ipv4: 2}
- {pools: [together], ipv4: 1}
`;
const byLabels = pools.replace(
  "  namespaces: [team-a]\n",
  "  namespace-selectors: [{match-labels: {tenant: a}}]\n  sharing: none\n",
);
const component = new URL("../../manifests/components/namespaces/rbac.yaml", import.meta.url);

suite("pools for teams, as kubectl shows them to a tenant", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let view: TenantView;
  before(async () => {
    cluster = await startCluster({ nodes: 1, configuration: pools });
    view = new TenantView(cluster);
    for (const name of ["team-a", "team-b"]) await cluster.api.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
    view[Symbol.dispose]();
  });

  test("a Service gets an address of its team's pool, and of no other team's by whatever way it asks", async () => {
    await view.expose("team-a", "web");
    await view.described("team-a", "web", /LoadBalancer Ingress: +172\.30\.0\.200/);
    await view.expose("team-b", "named", { "metallb.universe.tf/address-pool": "team-a" });
    await view.expose("team-b", "asking", { "metallb.universe.tf/loadBalancerIPs": "172.30.0.200" });
    for (const name of ["named", "asking"])
      await view.described(
        "team-b",
        name,
        /Warning +AllocationFailed .*Failed to allocate IP for "team-b\/.*": pool "team-a" is not for namespace "team-b"; request a pool or an address that is, or ask the administrators of the cluster for this one/,
      );
    const text = await view.kubectl("--namespace", "team-b", "describe", "service", "asking");
    assert.doesNotMatch(text, /team-a\/web/);
    for (const name of ["named", "asking"]) await view.kubectl("--namespace", "team-b", "delete", "service", name);
  });

  test("a reserved address goes to whom it is for, and a quota tells its limit and lets the next one in", async () => {
    await view.expose("team-b", "one");
    await view.described("team-b", "one", /LoadBalancer Ingress: +172\.30\.0\.211/);
    await view.expose("team-b", "www");
    await view.described("team-b", "www", /LoadBalancer Ingress: +172\.30\.0\.212/);
    await view.expose("team-b", "three");
    await view.described(
      "team-b",
      "three",
      /no pool can serve this Service: namespace "team-b" has 2 of 2 IPv4 addresses of pool "public", pool "together" is only .*, one pool is not for namespace "team-b"/,
    );
    const used = () => metric(cluster.controller, "ingot_quota_used", { namespace: "team-b", resource: "ipv4" });
    await waitFor("both to be counted", async () => (await used()) === 2);
    await view.kubectl("--namespace", "team-b", "delete", "service", "one");
    await view.described("team-b", "three", /LoadBalancer Ingress: +172\.30\.0\.211/);
  });

  test("who may have no second address shares one that its namespace has, also where a lower one could be shared", async () => {
    const sharing = { "metallb.universe.tf/address-pool": "together", "metallb.universe.tf/allow-shared-ip": "key" };
    await view.expose("team-a", "lower", sharing);
    await view.described("team-a", "lower", /LoadBalancer Ingress: +172\.30\.0\.220/);
    await view.expose("team-b", "upper", sharing);
    await view.described("team-b", "upper", /LoadBalancer Ingress: +172\.30\.0\.221/);
    await view.expose("team-b", "beside", sharing, 443);
    await view.described("team-b", "beside", /LoadBalancer Ingress: +172\.30\.0\.221/);
    await view.expose("team-b", "beyond", sharing);
    await view.described("team-b", "beyond", /namespace "team-b" has 1 of 1 IPv4 addresses of pool "together"/);
  });

  test("labels of namespaces need a right, whose rule the event on the ConfigMap names, and count as soon as it is there", async () => {
    await cluster.configure(byLabels);
    await view.configurationDescribed(
      /Warning +ConfigStale .*address-pools\[0\]\.namespace-selectors at line 5, column 3: the controller may not read the labels of Namespaces: .* resources \[namespaces\], verbs \[list, watch\]/,
    );
    for (const object of loadAll(readFileSync(component, "utf8")))
      await cluster.api.apply(object as Parameters<typeof cluster.api.apply>[0]);
    await view.configurationDescribed(/Normal +ConfigLoaded/);
    await view.described(
      "team-a",
      "web",
      /Normal +AddressNotAllowed .*it keeps \["172\.30\.0\.200"\], which it would not be given now: pool "team-a" is not for namespace "team-a"/,
    );
    await view.kubectl("label", "namespace", "team-a", "tenant=a");
    await view.expose("team-a", "second");
    await view.described("team-a", "second", /LoadBalancer Ingress: +172\.30\.0\.201/);
    await waitFor("team-a/web to be inside again", async () => {
      assert.equal(await metric(cluster.controller, "ingot_allocator_addresses_not_allowed", { pool: "team-a" }), 0);
      return true;
    });
  });
});
