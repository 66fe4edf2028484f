import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type DemoCluster, type DemoNode, demoConfiguration, type Workload } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import type { Processes } from "../../ctl/cluster/processes.ts";
import { ingotctl } from "../../ctl/testing/ingotctl.ts";
import { owner, startCluster } from "./observe.ts";

const planted = "planted-in-the-configuration";
const configuration = `peers:
- {my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.99, password: ${planted}}
${demoConfiguration}`;

suite("what processes recorded of a failover tells its history, and is decided again alike", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  let address = "";
  let first: DemoNode; // The node that had the address, and is gone.
  let second: DemoNode;
  before(async () => {
    cluster = await startCluster({ configuration });
    const nodes = cluster.nodes.map(({ name }) => name);
    const service = await cluster.expose("web", nodes);
    address = (await waitFor("an address", async () => (await service.addresses())[0])) ?? "";
    first = await owner(cluster, address);
    first.speaker.process.kill("SIGKILL");
    second = await waitFor("another node to take it over", async () => {
      const now = await owner(cluster, address);
      return now !== first && now;
    });
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  const living = (): readonly Workload[] => [
    cluster.controller,
    ...cluster.nodes.filter((node) => node !== first).map(({ speaker }) => speaker),
  ];

  /** The processes as `ingotctl` sees them. */
  function processes(): Processes {
    const nodes = new Map(cluster.nodes.map(({ name, speaker }) => [speaker.name, { name, speaker }])); // Pod -> node
    const workloads = new Map([cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)].map((one) => [one.name, one])); // Pod -> process
    return {
      targets: [...workloads.keys()].map((pod) => ({
        program: nodes.has(pod) ? "speaker" : "controller",
        pod,
        node: nodes.get(pod)?.name ?? "control-plane",
        notRunning: undefined,
      })),
      async get({ pod }, path) {
        return JSON.parse((await (workloads.get(pod) as Workload).get(path)).body);
      },
      async [Symbol.asyncDispose]() {},
    };
  }

  test("each recording is decided again alike, and has no password", async () => {
    for (const workload of living()) {
      const { body } = await workload.get("/v1/recorder");
      const { entries, size } = JSON.parse(body);
      const text = gunzipSync(Buffer.from(entries, "base64")).toString();
      assert.ok(size > 3 && text.includes(address), `${workload.name} recorded ${size} inputs`);
      assert.ok(!text.includes(planted) && !body.includes(planted));
      const { status, out, err } = await ingotctl("replay -", { stdin: body });
      assert.equal(status, 0, `${out}${err}`);
      assert.match(out, /\nAll decisions are the same\.\n$/);
    }
  });

  test("the history of the address tells who had it, who took it over and why", async () => {
    for (const subject of [address, "svc/web"]) {
      const { out, err } = await ingotctl(`history ${subject}`, { processes: processes() });
      const failed = new RegExp(`${second.name} +sees that node ${first.name} failed`);
      const took = new RegExp(
        `${second.name} +took ${address} over from node ${first.name}: it stopped answering [0-9]+ ms before`,
      );
      assert.match(out, new RegExp(`controller +assigns .*${address}.* of pool default`));
      assert.match(out, failed);
      assert.match(out, took);
      assert.ok(out.search(failed) < out.search(took), out);
      assert.match(err, new RegExp(`${first.speaker.name} on ${first.name} is not among these`));
    }
    const { out } = await ingotctl("history 192.0.2.1", { processes: processes() });
    assert.equal(out, "nothing is recorded of 192.0.2.1, as far as there are answers\n");
  });

  // The last one: what was recorded of the failover goes.
  test("a recording that has lost its beginning is decided again alike, from a checkpoint", async () => {
    // Entries that name no address are recorded as anything that is there, and come to nothing.
    const noise = () =>
      Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`noise-${i}`, randomBytes(1_000).toString("hex")]));
    const conflicts = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: "metallb-system", name: "ingot-conflicts" } };
    const [speaker] = living().slice(1);
    assert.ok(speaker);
    const recorded = async () => (await speaker.get("/v1/recorder")).body;
    const isDue = (body: string) => JSON.parse(body).dropped > 0 || body.length > 2_600_000; // More than nine tenths of it, in base64.
    while (!isDue(await recorded())) await cluster.api.apply({ ...conflicts, data: noise() });
    const replayed = await waitFor("a checkpoint to be made", async () => {
      const body = await recorded();
      const { dropped } = JSON.parse(body);
      const found = dropped > 0 && (await ingotctl("replay -", { stdin: body }));
      return found && found.status !== 3 && found;
    });
    assert.match(
      replayed.out,
      /\nIt begins with a checkpoint of the state after the first [0-9]+ inputs\.\nAll decisions are the same\.\n$/,
    );
    assert.equal(replayed.status, 0);
  });
});
