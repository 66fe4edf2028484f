// Smoke: one class of load balancers beside others.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, eventsOf } from "#e2e/demo-cluster";
import { Lab } from "#e2e/lab";
import { addressesOf, answer, owner, serviceReference, startCluster } from "./observe.ts";

const ours = "example.com/lan";

/** A Service by somebody else's hand, with an address of our pool that is not ours to take. */
const foreign = { ip: "172.30.0.205", ipMode: "VIP", ports: [{ port: 80, protocol: "TCP" }] };

suite("one load balancer class, and no Services without one", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    const flags = [`--lb-class=${ours}`];
    cluster = await startCluster({ nodes: 1, controllerArguments: flags, speakerArguments: flags });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("a Service of the class gets an address, and is answered for", async () => {
    const service = await cluster.expose("classy", ["node1"], { spec: { loadBalancerClass: ours } });
    const address = await service.address();
    assert.equal((await owner(cluster, address)).name, "node1");
    assert.notEqual(await answer(cluster, address), "ECONNREFUSED");
  });

  test("other Services keep what somebody else wrote, and are not answered for", async () => {
    for (const [name, spec] of [
      ["classless", {}],
      ["other", { loadBalancerClass: "example.com/wan" }],
    ] as const) {
      await cluster.expose(name, ["node1"], { spec });
      await cluster.api.patch(serviceReference(name), { status: { loadBalancer: { ingress: [foreign] } } }, "status");
    }
    // Served after them, so that the controller has seen them.
    await (await cluster.expose("last", ["node1"], { spec: { loadBalancerClass: ours } })).address();
    for (const name of ["classless", "other"]) {
      assert.deepEqual(await addressesOf(cluster, name), [foreign.ip]);
      assert.deepEqual(await eventsOf(cluster, "Service", name), []);
      const { status } = (await cluster.api.get(serviceReference(name))) as { status?: { loadBalancer?: object } };
      assert.deepEqual(status?.loadBalancer, { ingress: [foreign] });
    }
    assert.match(await answer(cluster, foreign.ip), /EHOSTUNREACH|no answer/);
  });
});
