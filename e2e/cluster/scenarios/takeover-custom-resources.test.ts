import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandError, patience } from "#e2e/cluster";
import { programFile, waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { BorderRouter, nodeAsn, routerAsn } from "./border-router.ts";
import { InstalledCluster, namespace } from "./installed.ts";
import { byChart, byManifest, byOperator } from "./metallb-ways.ts";
import { assertNothingLostBesideHandOvers, print } from "./packets.ts";
import type { Streamed } from "./stream.ts";

// The steps of docs/migrate-from-metallb.md for MetalLB 0.13 to 0.16 with its custom resources kept, and the way back, on a cluster where MetalLB
// itself runs, in native, FRR or FRR-K8s mode, from its manifest, its chart or its operator.
const directory = process.env.METALLB_CRDS;
const all = ["node1", "node2", "node3"];

interface Finding {
  readonly check: string;
  readonly severity: string;
  readonly where: string;
  readonly found: string;
  readonly advice: string;
}

if (directory === undefined)
  test("MetalLB with custom resources is replaced while it runs", {
    skip: "set METALLB_CRDS to a directory with the binaries `controller` and `speaker` of a MetalLB from 0.13 to 0.16, linked statically (CGO_ENABLED=0), and its `metallb-native.yaml`; or its `metallb-frr.yaml`, with `cp-tool`, `frr-metrics`, `frr-reloader.sh` and a folder `frr`, a root file system with FRR; or its `metallb-frr-k8s.yaml`, with `frr` and a folder `frr-k8s`, the files of that image. With METALLB_CHART, the folder of its chart, that installs it; with METALLB_OPERATOR, a folder with the operator's `metallb-operator.yaml` and `root`, the files of its image, the operator does",
  });
else takeOver(directory);

function takeOver(directory: string): void {
  const chart = process.env.METALLB_CHART;
  const manifest =
    ["metallb-native.yaml", "metallb-frr.yaml", "metallb-frr-k8s.yaml"].map((name) => join(directory, name)).find(existsSync) ??
    "";
  const operator = process.env.METALLB_OPERATOR;
  const ofDirectory = chart === undefined ? byManifest(directory, manifest) : byChart(directory, manifest, chart);
  const way = operator === undefined ? ofDirectory : byOperator(directory, operator);
  let addresses: Readonly<Record<string, string>> = {};
  let router: BorderRouter;
  const targets = async (on: InstalledCluster) => ({ ...addresses, control: await clusterAddress(on) });

  const step = steps(async () => {
    const on = await InstalledCluster.start({ nodes: 3 });
    await on.cluster.routeServices();
    router = await BorderRouter.start(on, [11, 12, 13]);
    await on.deploy(3);
    await way.install(on);
    await on.rolledOut(...way.workloads);
    return on;
  });

  step("MetalLB serves", async (on) => {
    const make = (kind: string, name: string, spec: object) => {
      const apiVersion = `metallb.io/${kind === "BGPPeer" ? "v1beta2" : "v1beta1"}`;
      return on.apply({ apiVersion, kind, metadata: { name, namespace }, spec });
    };
    // MetalLB 0.13 has no IPv6 beside BGP in native mode.
    const hasIpv6 = !(await readFile(manifest, "utf8")).includes("metallb/speaker:v0.13.");
    const lan = { addresses: ["172.30.0.200-172.30.0.219", ...(hasIpv6 ? ["fd00:30::200-fd00:30::219"] : [])] };
    await waitFor("MetalLB's webhook", () => make("IPAddressPool", "lan", lan).then(() => true), patience);
    await make("IPAddressPool", "routed", { addresses: ["198.51.100.0/24"], autoAssign: false });
    await make("L2Advertisement", "lan", { ipAddressPools: ["lan"] });
    await make("BGPAdvertisement", "routed", { ipAddressPools: ["routed"] });
    await make("BGPPeer", "border", { myASN: nodeAsn, peerASN: routerAsn, peerAddress: "172.30.0.2", holdTime: "20s" });
    for (let count = 0; count < 4; count++) await on.serve(`web${count}`);
    await on.serve("local", { externalTrafficPolicy: "Local" });
    const far = await on.serve("far", { annotations: { "metallb.universe.tf/loadBalancerIPs": "198.51.100.7" } });
    if (hasIpv6) await on.serve("dual", { ipFamilyPolicy: "RequireDualStack" });
    await router.learns(far, all);
    addresses = Object.fromEntries(Object.entries(await on.addresses()).map(([name, ips]) => [name, ips.split(" ")[0] ?? ""]));
    for (const address of Object.values(addresses)) await on.answer(address);
    print("before", await on.streaming(await targets(on), () => sleep(5_000)));
  });

  step("takeover --check names what stands in the way, and FRR-K8s where that has the sessions", async (on) => {
    const findings = await findingsOn(on);
    const ofFrrK8s = findings.filter(({ check }) => check === "frr-k8s");
    assert.deepEqual(
      ofFrrK8s.map(({ where }) => where.split("/")[0]),
      way.hasFrrK8s ? [`DaemonSet ${namespace}`] : [],
    );
    assert.ok(findings.some(({ check }) => check === "webhook"));
  });

  step("MetalLB's speakers are replaced by themselves, to compare", async (on) => {
    const restart = async () => {
      await on.kubectl("-n", namespace, "rollout", "restart", way.workloads[1] ?? "");
      await on.rolledOut(...way.workloads);
    };
    print("restarted", await on.streaming(await targets(on), restart));
  });

  step("controller and speakers are replaced node by node under a client, and each address keeps one owner", async (on) => {
    const streamed = await on.streaming(await targets(on), async () => {
      await way.takeOver(on);
      await on.rolledOut(...way.workloads);
    });
    print("taken over", streamed);
    await assertKept(on, streamed);
    assert.match(await images(on), /^(localhost\/ingot:e2e ?)+$/);
  });

  step("of FRR nothing is left in the Pods, and no webhook stands in the way of the API", async (on) => {
    const [speaker] = await on.get("daemonsets", "-n", namespace);
    const { spec } = (speaker?.spec?.template ?? {}) as { spec: Readonly<Record<string, unknown>> };
    const { containers, initContainers, volumes, shareProcessNamespace } = spec;
    assert.deepEqual([(containers as unknown[]).length, initContainers, shareProcessNamespace], [1, undefined, undefined]);
    assert.deepEqual(
      ((volumes ?? []) as { name: string }[]).filter(({ name }) => /frr|reloader|metrics|memberlist/.test(name)),
      [],
    );
    await on.kubectl("-n", namespace, "patch", "ipaddresspool", "lan", "--type=merge", "-p", '{"metadata":{"labels":{"a":"b"}}}');
    await on.kubectl(
      "patch",
      "crd",
      "bgppeers.metallb.io",
      "--type=merge",
      "-p",
      '{"spec":{"conversion":{"strategy":"None","webhook":null}}}',
    );
    const peer = {
      metadata: { name: "old", namespace },
      spec: { myASN: nodeAsn, peerASN: routerAsn, peerAddress: "172.30.0.99" },
    };
    for (const version of ["v1beta1", "v1beta2"])
      await on.apply({ apiVersion: `metallb.io/${version}`, kind: "BGPPeer", ...peer });
    await on.kubectl("-n", namespace, "get", "bgppeers.v1beta1.metallb.io", "border");
    await on.kubectl("-n", namespace, "delete", "bgppeer", "old");
  });

  step("takeover --check finds no FRR-K8s any more, and no webhook", async (on) => {
    const findings = await findingsOn(on);
    assert.deepEqual(
      findings.filter(({ check, severity }) => severity === "error" && ["frr-k8s", "webhook"].includes(check)),
      [],
    );
  });

  step("and back", async (on) => {
    const streamed = await on.streaming(await targets(on), async () => {
      await way.takeBack(on);
      await on.rolledOut(...way.workloads);
    });
    print("taken back", streamed);
    await assertKept(on, streamed);
    assert.match(await images(on), /^(quay\.io\/\w+\/\w+:v?[\d.]+ ?)+$/);
  });

  async function assertKept(on: InstalledCluster, streamed: Streamed): Promise<void> {
    const now = await on.addresses();
    for (const [name, address] of Object.entries(addresses)) assert.equal(now[name]?.split(" ")[0], address);
    await router.learns(String(addresses.far), all);
    for (const [name, address] of Object.entries(addresses)) {
      if (name !== "far") await on.owner(address);
      await on.answer(address);
    }
    // MetalLB lets go of an address late where it is busy, and our speaker says so: a second or two with two owners.
    for (const name of Object.keys(addresses))
      for (const event of await on.events("Service", name, "addressConflict")) console.log(`${name}: ${event}`);
    assertNothingLostBesideHandOvers(streamed);
  }
}

/** The Service's address inside the cluster, behind node1: what is lost there, no load balancer loses. */
async function clusterAddress(on: InstalledCluster): Promise<string> {
  const ip = await on.kubectl("get", "service", "web0", "-o", "jsonpath={.spec.clusterIP}");
  await on.cluster.client.run(["ip", "route", "replace", `${ip}/32`, "via", on.cluster.node("node1").host.ipv4]);
  return ip;
}

/** The findings of `ingotctl takeover --check`, which are printed as well. */
async function findingsOn({ cluster }: InstalledCluster): Promise<readonly Finding[]> {
  const command = [process.execPath, programFile("ingotctl"), "takeover", "--check", "-o", "json"];
  const run = cluster.client.run([...command, "--kubeconfig", cluster.kubeconfig]);
  const text = await run.catch((error: CommandError) => error.stdout); // It fails where it finds errors.
  const { findings } = JSON.parse(text) as { readonly findings: readonly Finding[] };
  for (const { severity, check, where, found, advice } of findings)
    console.log(`${severity} ${check}: ${where}: ${found}; ${advice}`);
  return findings;
}

/** Of controllers and speakers: the operator has Pods besides. */
async function images(on: InstalledCluster): Promise<string> {
  const pods = await on.get("pods", "-n", namespace);
  const those = pods.filter(({ metadata }) => /^(metallb-)?(controller|speaker)-/.test(metadata.name));
  return those.flatMap(({ spec }) => ((spec?.containers ?? []) as { image: string }[]).map(({ image }) => image)).join(" ");
}
