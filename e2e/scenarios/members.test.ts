import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { Lab, programFile, waitFor } from "#e2e/lab";
import { answered, learnedNode, metric, owner, startCluster } from "./observe.ts";

interface Members {
  readonly source: string;
  readonly timing?: string;
  readonly members: readonly { readonly node: string; readonly status: string; readonly active: boolean }[];
}

async function members({ speaker }: DemoNode): Promise<Members> {
  return JSON.parse((await speaker.get("/v1/members")).body);
}

/** The nodes that this one counts on. */
async function active(node: DemoNode): Promise<string> {
  return (await members(node)).members
    .filter((member) => member.active)
    .map((member) => member.node)
    .join();
}

suite("the speakers' ring says who is alive", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let address: string;
  before(async () => {
    cluster = await startCluster();
    address = await (await cluster.expose("web", ["node1", "node2", "node3"])).address();
    await owner(cluster, address);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("every speaker knows all of them, at the fast pace, and shows them in its metrics", async () => {
    for (const node of cluster.nodes) {
      await waitFor(`${node.name} to know all`, async () => (await active(node)) === "node1,node2,node3");
      await waitFor(`${node.name} to be fast`, async () => (await members(node)).timing === "fast");
      assert.equal((await members(node)).source, "memberlist");
      const alive = () => metric(node.speaker, "ingot_memberlist_members", { state: "alive" });
      await waitFor("its metrics to have all", async () => (await alive()) === 3); // The page may be some seconds old.
      await waitFor("probes", async () => ((await metric(node.speaker, "ingot_memberlist_probes_total")) ?? 0) > 0);
      await waitFor(
        "round trips",
        async () => ((await metric(node.speaker, "ingot_memberlist_round_trip_seconds_count")) ?? 0) > 0,
      );
    }
  });

  test("a rollout of speakers is nothing that anybody is warned of", async () => {
    for (const node of cluster.nodes) {
      await node.speaker.stop();
      await node.speaker.start();
      await waitFor("the speaker to be ready again", () => node.speaker.ready());
    }
    await Promise.all(
      cluster.nodes.map((node) => waitFor("all to be known", async () => (await active(node)) === "node1,node2,node3")),
    );
    // A speaker that ran late, as one may on a busy machine while it begins, is suspected for that, or taken for dead. It says itself that it ran late.
    const isLate = ({ speaker }: DemoNode) =>
      speaker.process.lines
        .filter((line) => /suspected by others|knew an earlier process/.test(line))
        .map((line) => JSON.parse(line))
        .some(({ lateMs = 0, lateAgoMs = 0 }) => lateMs > 0 && lateAgoMs < 1_000);
    const late = cluster.nodes.filter(isLate).map(({ name }) => name);
    // The lab's nodes do not forward.
    const isExpected = (line: string) =>
      /nodeWarning|this member was suspected by others.*"lateMs":[1-9]/.test(line) ||
      late.some((name) => line.includes(`"msg":"member failed","op":"memberlist","member":"${name}"`));
    const warnings = cluster.nodes.flatMap(({ name, speaker }) =>
      speaker.process.lines
        .filter((line) => /"level":"(warn|error)"/.test(line) && !isExpected(line))
        .map((line) => `${name}: ${line}`),
    );
    assert.deepEqual(warnings, []);
  });

  test("the ring's key is changed while it runs, no address moves, and a speaker that starts with the new key is a member", async () => {
    const first = await owner(cluster, address);
    const encode = (text: string) => Buffer.from(text).toString("base64");
    const metadata = { name: "memberlist", namespace: "metallb-system" };
    const before = await cluster.api.get({ apiVersion: "v1", kind: "Secret", metadata });
    const { secretkey: old = "" } = (before?.data ?? {}) as Record<string, string>;
    const data = { secretkey: encode("another key of the ring"), "secretkey-old": old };
    await cluster.api.apply({ apiVersion: "v1", kind: "Secret", metadata, data });
    for (const { speaker } of cluster.nodes) await speaker.process.waitForLine(/the speakers' ring uses the new key/);
    await cluster.api.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      data: { secretkey: data.secretkey, "secretkey-old": "" },
    });
    for (const node of cluster.nodes) assert.equal(await active(node), "node1,node2,node3");
    assert.equal((await owner(cluster, address)).name, first.name);
    const [last] = cluster.nodes.filter(({ name }) => name !== first.name);
    assert.ok(last);
    await last.speaker.stop();
    await last.speaker.start();
    await waitFor("the speaker to be ready again", () => last.speaker.ready());
    for (const node of cluster.nodes)
      await waitFor(`${node.name} to know all again`, async () => (await active(node)) === "node1,node2,node3");
  });

  test("a speaker that is killed while the API server is away is succeeded all the same", async () => {
    const first = await owner(cluster, address);
    await cluster.controlPlane.link("eth0").down();
    first.speaker.process.kill("SIGKILL");
    await waitFor("another node to answer", async () => (await learnedNode(cluster, address))?.name !== first.name);
    await answered(cluster, address, /^web-[123] on node[123]$/);
    await cluster.controlPlane.link("eth0").up();
    await first.speaker.start();
    await waitFor("the speaker to be ready again", () => first.speaker.ready());
    for (const node of cluster.nodes)
      await waitFor(`${node.name} to know all again`, async () => (await active(node)) === "node1,node2,node3");
  });

  test("a node that is cut off silently is succeeded, and one node answers when it is back", async (t) => {
    const first = await owner(cluster, address);
    await cluster.lan.isolate(first.host);
    await waitFor("another node to answer", async () => (await learnedNode(cluster, address))?.name !== first.name);
    for (const node of cluster.nodes.filter((node) => node !== first))
      await waitFor(`${node.name} to count it out`, async () => !(await active(node)).includes(first.name));
    await cluster.lan.rejoin(first.host);
    const back = performance.now();
    for (const node of cluster.nodes)
      await waitFor(`${node.name} to know all again`, async () => (await active(node)) === "node1,node2,node3", {
        every: 50,
      });
    t.diagnostic(`the ring was whole ${Math.round(performance.now() - back)} ms after packets flowed again`);
    await waitFor("just the first to announce", async () => {
      const series = { service: "default/web", ip: address };
      const announced = await Promise.all(
        cluster.nodes.map(({ speaker }) => metric(speaker, "metallb_speaker_announced", series)),
      );
      return announced.every((value, index) => (value === 1) === (cluster.nodes[index] === first));
    });
  });

  test("a speaker that stood still is succeeded, and has hosts come back to it when it goes on", async () => {
    // Hosts are to learn it from announcements alone: usually a kernel asks again after 15 to 45 s.
    await cluster.client.sysctl({ "net.ipv4.neigh.eth0.base_reachable_time_ms": 3_600_000 });
    const first = await owner(cluster, address);
    await sleep(6_000); // It announces for 5 s. Later announcements serve the return of hosts.
    first.speaker.process.kill("SIGSTOP");
    await waitFor("another node to answer", async () => (await learnedNode(cluster, address))?.name !== first.name);
    first.speaker.process.kill("SIGCONT");
    await waitFor("hosts to learn it", async () => (await learnedNode(cluster, address))?.name === first.name);
  });

  test("a speaker with another key is refused and named once, and announces nothing beside those that it cannot join", async () => {
    const [node] = cluster.nodes;
    assert.ok(node);
    const foreign = await cluster.lab.host("foreign");
    await foreign.attach(cluster.lan, { addresses: ["172.30.0.77/24"] });
    const flags = ["--kubeconfig=/run/speaker.conf", "--namespace=metallb-system", "--node-name=foreign"];
    const ring = ["--ml-bindaddr=172.30.0.77", "--ml-secret-key=some other secret than theirs"];
    await using other = await foreign.spawn("foreign", [process.execPath, programFile("speaker"), ...flags, ...ring]);
    await other.waitForLine(/cannot join a speaker/);
    const refused = await waitFor("a refusal in the log", () => {
      const lines = node.speaker.process.lines.filter((line) => /refused.*172\.30\.0\.77/.test(line));
      return lines.length > 0 && lines;
    });
    assert.equal(refused.filter((line) => line.includes("wrongKey")).length, 1, refused.join("\n"));
    assert.equal(await active(node), "node1,node2,node3");
    await sleep(2_000); // It tries to join again.
    assert.deepEqual(
      other.lines.filter((line) => /"event":"(stateSynced|serviceAnnounced)"/.test(line)),
      [],
    );
  });
});

suite("without a key the readiness of their Pods says who is alive", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster({ nodes: 2, ring: false });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("a speaker that is killed is succeeded, and takes its addresses back", async () => {
    const [one, two] = cluster.nodes;
    assert.ok(one && two);
    await waitFor("both to be active", async () => (await active(one)) === "node1,node2");
    assert.equal((await members(one)).source, "pods");
    const address = await (await cluster.expose("web", ["node1", "node2"])).address();
    const first = await owner(cluster, address);
    first.speaker.process.kill("SIGKILL");
    await waitFor("the other node to answer", async () => (await learnedNode(cluster, address))?.name !== first.name);
    await answered(cluster, address, /^web-[12] on node[12]$/);
    await first.speaker.start();
    await waitFor("the first node to answer again", async () => (await learnedNode(cluster, address))?.name === first.name);
  });
});
