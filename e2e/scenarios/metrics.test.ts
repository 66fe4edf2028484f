import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { metric, owner, startCluster } from "./observe.ts";

suite("metrics of a cluster", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const go = spawnSync("go", ["version"]).status === 0;
  const skip = go ? false : "Go is not installed; with it this runs Prometheus' own parser (e2e/promparse)";
  test("Prometheus' own parser reads every /metrics", { skip }, async () => {
    const service = await cluster.expose("scraped", ["node1"]);
    const address = await service.address();
    const node = await owner(cluster, address);
    const responses = () => metric(node.speaker, "metallb_layer2_responses_sent", { ip: address });
    await waitFor("answers to be counted", async () => ((await responses()) ?? 0) > 0);
    const folder = new URL("../promparse", import.meta.url);
    for (const workload of [cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)]) {
      const { body: input } = await workload.get("/metrics");
      const parsed = spawnSync("go", ["run", "."], { cwd: folder, input, encoding: "utf8" });
      assert.equal(parsed.status, 0, parsed.stderr);
      const families = JSON.parse(parsed.stdout) as Record<
        string,
        { type: string; samples: { labels: object; value: number }[] }
      >;
      assert.equal(families.metallb_k8s_client_config_loaded_bool?.samples[0]?.value, 1);
      assert.equal(families.metallb_k8s_client_updates_total?.type, "COUNTER");
      if (workload === cluster.controller) {
        const pool = families.metallb_allocator_addresses_in_use_total?.samples.find(({ value }) => value > 0);
        assert.deepEqual(pool?.labels, { pool: "default" });
      }
      if (workload === node.speaker) {
        const labels = { service: "default/scraped", protocol: "layer2", node: node.name, ip: address };
        const announced = families.metallb_speaker_announced?.samples ?? [];
        assert.deepEqual(
          announced.filter(({ labels }) => "ip" in labels && labels.ip === address),
          [{ labels, value: 1 }],
        );
        const answered = families.metallb_layer2_responses_sent?.samples.find(
          ({ labels }) => "ip" in labels && labels.ip === address,
        );
        assert.ok(answered !== undefined && answered.value > 0);
      }
    }
    await service.delete();
  });
});
