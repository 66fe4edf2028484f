// Smoke: the last good configuration stays in force.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, demoConfiguration, eventsOf } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { addressesOf, answered, applyService, assigned, metric, owner, serviceReference, startCluster } from "./observe.ts";

const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace: "metallb-system" } };
const other = "address-pools: [{name: other, protocol: layer2, addresses: [172.30.0.150-172.30.0.160]}]";
const invalid = `address-pools:
- name: default
  protocol: layer3
  adresses: [172.30.0.200-172.30.0.250]
`;

suite("a configuration that cannot be used changes nothing", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let address: string;
  before(async () => {
    cluster = await startCluster({ nodes: 2 });
    address = await (await cluster.expose("web", ["node1", "node2"])).address();
    await owner(cluster, address);
  });
  after(() => cluster[Symbol.asyncDispose]());

  async function everyProcess(what: string, check: (value: number | undefined) => boolean, name: string): Promise<void> {
    for (const workload of [cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)])
      await waitFor(`${workload.name} ${what}`, async () => check(await metric(workload, name)));
  }
  const stale = () => everyProcess("to be stale", (value) => value === 1, "metallb_k8s_client_config_stale_bool");
  const fresh = () => everyProcess("not to be stale", (value) => value === 0, "metallb_k8s_client_config_stale_bool");

  async function configMapEvent(reason: string, ...messages: RegExp[]): Promise<void> {
    await waitFor(`event ${reason} on the ConfigMap with ${messages}`, async () => {
      const events = await eventsOf(cluster, "ConfigMap", "config", "metallb-system");
      return events.some((event) => event.reason === reason && messages.every((message) => message.test(event.message)));
    });
  }

  /** The web Service is where it was, and a new one is still served from the configuration before. */
  async function nothingChanged(name: string): Promise<void> {
    assert.deepEqual(await addressesOf(cluster, "web"), [address]);
    await answered(cluster, address, /^web-[12] on node[12]$/);
    await applyService(cluster, name);
    assert.match((await assigned(cluster, name)).join(), /^172\.30\.0\.2\d\d$/);
    await cluster.api.delete(serviceReference(name));
  }

  test("an invalid one: every problem is in the log and in the event, and it is stale", async () => {
    await cluster.configure(invalid);
    await stale();
    await configMapEvent("ConfigStale", /layer3/, /unknown field "adresses"/, /did you mean "addresses"/, /line 3/);
    for (const problem of [/layer3/, /adresses/]) await cluster.controller.process.waitForLine(problem);
    await nothingChanged("during-invalid");
  });

  test("one that is deleted", async () => {
    await cluster.api.delete(configMap);
    await stale();
    await nothingChanged("during-deleted");
  });

  test("a restart while there is none: the last good one is still in force", async () => {
    await cluster.controller.stop();
    await cluster.controller.start();
    const [node] = cluster.nodes;
    await node?.speaker.stop();
    await node?.speaker.start();
    await waitFor("the controller to be ready", () => cluster.controller.ready());
    await waitFor("the speaker to be ready", () => node?.speaker.ready() ?? false);
    await stale();
    await nothingChanged("after-restart");
    await answered(cluster, address, /^web-[12] on node[12]$/);
  });

  test("one that leaves no pool for an address in use: refused by name, and taken up when nothing is in its way", async () => {
    await cluster.configure(demoConfiguration);
    await fresh();
    await cluster.configure(other);
    await stale();
    await configMapEvent("ConfigStale", new RegExp(`default/web \\(${address}\\)`));
    await nothingChanged("during-stranding");
    await cluster.api.delete(serviceReference("web"));
    await fresh();
    await configMapEvent("ConfigLoaded", /./);
    await applyService(cluster, "later");
    assert.deepEqual(await assigned(cluster, "later"), ["172.30.0.150"]);
  });
});
