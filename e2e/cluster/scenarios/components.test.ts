import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { frrConfiguration } from "#e2e/routers";
import { bgpd } from "../requirements.ts";
import { steps } from "../steps.ts";
import { BorderRouter, nodeAsn, routerAsn, peer as routerPeer } from "./border-router.ts";
import { config, InstalledCluster, namespace, routedPool } from "./installed.ts";

// Each component of the manifests on a real API server, alone and on top of all others.
const manifests = resolve(import.meta.dirname, "../../../manifests");
const every = readdirSync(join(manifests, "components")).sort();
/** The components that go together with a configuration in a ConfigMap and with the nodes' own sessions. */
const all = every.filter((component) => component !== "crds" && component !== "central-speakers");

/** Definitions of the Prometheus Operator, as far as our objects use them; a field that is not here is refused. */
const monitoring = {
  ServiceMonitor: { selector: "object", endpoints: "list" },
  PodMonitor: { selector: "object", podMetricsEndpoints: "list" },
  PrometheusRule: { groups: "list" },
} as const;

let router: BorderRouter;

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 2 });
  await on.deploy(2);
  await on.install();
  for (const [kind, fields] of Object.entries(monitoring)) await on.apply(customResource(kind, fields));
  const names = Object.keys(monitoring).map((kind) => `crd/${kind.toLowerCase()}s.monitoring.coreos.com`);
  await on.kubectl("wait", "--for=condition=Established", "--timeout=5m", ...names);
  return on;
});

step("the API server takes each component alone, with every field known to it", async (on) => {
  for (const component of every) await dryRun(on, [component]);
});

step("it takes all of them together, in either order", async (on) => {
  await dryRun(on, every);
  await dryRun(on, every.toReversed());
});

step("a component that sets an unknown field is refused, so the dry run can fail", async (on) => {
  const unknown = {
    target: { kind: "DaemonSet", name: "speaker" },
    patch: '[{"op": "add", "path": "/spec/nonsense", "value": 1}]',
  };
  await assert.rejects(dryRun(on, all, [unknown]), /unknown field.*nonsense|nonsense.*field not declared/s);
});

step("all of them are applied over the base, and a Service keeps its address and answers", async (on) => {
  const address = await on.serve("web");
  await on.install(undefined, all);
  assert.equal(await on.addressOf("web"), address);
  await on.answer(address);
});

step("ha: two controllers on two nodes, of which one leads, and another goes on when it is deleted", async (on) => {
  const onBoth = async () => {
    const pods = await on.get("pods", "-n", namespace, "-l", "component=controller");
    assert.deepEqual(pods.map(({ spec }) => spec?.nodeName).sort(), ["node1", "node2"]); // One of before may still end.
    return pods;
  };
  const pods = await waitFor("controllers on both nodes", onBoth, patience);
  const leads = async () => {
    const name = await on.leader(); // For a moment it may be nobody, or one of before.
    return pods.some(({ metadata }) => metadata.name === name) && name;
  };
  const before = await waitFor("one of them to lead", leads, patience);
  await on.kubectl("-n", namespace, "delete", "pod", before);
  await waitFor(
    "another leader",
    async () => {
      const now = await on.leader();
      return now !== before && now;
    },
    patience,
  );
  await on.serve("after");
  await on.rolledOut("deployment/controller");
});

step("ha: a drain waits while the other controller is not ready", async (on) => {
  const allowed = async () =>
    on.kubectl("-n", namespace, "get", "poddisruptionbudget", "controller", "-o", "jsonpath={.status.disruptionsAllowed}");
  await waitFor("the budget", async () => (await allowed()) === "1", patience);
  await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=1");
  await waitFor("the budget", async () => (await allowed()) === "0", patience);
  await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=2");
});

step("restricted and net-admin: speakers have NET_RAW and NET_ADMIN and nothing else", async (on) => {
  const script = "process.stdout.write(/CapEff:\\s+(\\S+)/.exec(fs.readFileSync('/proc/1/status'))[1])";
  const capabilities = await on.kubectl("-n", namespace, "exec", "daemonset/speaker", "--", "node", "-e", script);
  const [netAdmin, netRaw] = [1n << 12n, 1n << 13n];
  assert.equal(BigInt(`0x${capabilities}`), netAdmin | netRaw);
});

step("frr-alongside: the speaker leaves port 179 to others and listens on 1179", async (on) => {
  const listening = await on.cluster.node("node1").host.run(["ss", "-Hltn"]);
  assert.match(listening, /[:\]]1179\s/);
  assert.doesNotMatch(listening, /[:\]]179\s/);
});

step(
  "frr-alongside: FRR on a node and the speaker there both have a session with the router, and announce their routes",
  async (on) => {
    const { host } = on.cluster.node("node1");
    const own = "172.30.0.61"; // FRR has the node's other address.
    await host.run(["ip", "addr", "add", `${own}/24`, "dev", "eth0"]);
    router = await BorderRouter.start(on, [11, 12, 61], { holdTimeSeconds: 20, addPath: true });
    const file = join(on.cluster.directory, "bgpd.conf");
    const neighbors = [{ address: on.cluster.router.ipv4, asn: routerAsn, gracefulRestart: false }];
    await writeFile(file, frrConfiguration({ asn: nodeAsn, routerId: host.ipv4, neighbors, networks: ["203.0.113.0/32"] }));
    const places = ["-i", join(on.cluster.directory, "bgpd.pid"), "--vty_socket", on.cluster.directory, "-P", "0"];
    const frr = host.daemon("bgpd", [bgpd, "--no_zebra", "--skip_runas", "-f", file, ...places]);
    const peer = `{peer-address: ${on.cluster.router.ipv4}, peer-asn: ${routerAsn}, my-asn: ${nodeAsn}`;
    const at = (node: string) => `node-selectors: [{match-labels: {kubernetes.io/hostname: ${node}}}]`;
    await on.configure(
      `peers: [${peer}, source-address: ${own}, ${at("node1")}}, ${peer}, ${at("node2")}}]${config}${routedPool}`,
    );
    const far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
    await router.hears(far, [own, on.cluster.node("node2").host.ipv4]);
    await router.hears("203.0.113.0", [host.ipv4]);
    await on.answer(far);
    await frr.stop();
    await router.hears("203.0.113.0", []);
    await router.hears(far, [own, on.cluster.node("node2").host.ipv4]);
    await on.kubectl("delete", "service", "far");
    await on.configure(config);
  },
);

step("bgp-passwords, namespaces, netbox, prometheus: each account may what it has to, and no more", async (on) => {
  const may = async (account: string, ...request: string[]) => {
    const answer = await on.kubectl("auth", "can-i", ...request, `--as=system:serviceaccount:${account}`).catch(String);
    return answer.trim() === "yes";
  };
  const speaker = `${namespace}:speaker`;
  const prometheus = "monitoring:prometheus-k8s";
  assert.equal(await may(speaker, "watch", "secrets/router-passwords", "-n", namespace), true);
  assert.equal(await may(speaker, "watch", "secrets", "-n", namespace), false);
  assert.equal(await may(speaker, "watch", "namespaces"), true);
  assert.equal(await may(`${namespace}:controller`, "list", "namespaces"), true);
  assert.equal(await may(speaker, "delete", "namespaces"), false);
  assert.equal(await may(`${namespace}:controller`, "watch", "secrets/netbox", "-n", namespace), true);
  assert.equal(await may(`${namespace}:controller`, "watch", "secrets/other", "-n", namespace), false);
  for (const resource of ["pods", "services", "endpoints", "endpointslices.discovery.k8s.io"])
    assert.equal(await may(prometheus, "list", resource, "-n", namespace), true, resource);
  assert.equal(await may(prometheus, "list", "secrets", "-n", namespace), false);
});

step("prometheus: what the monitors select is there, on the port that they name", async (on) => {
  const endpoints = await on.get("endpointslices", "-n", namespace, "-l", "kubernetes.io/service-name=controller-metrics");
  const { ports } = endpoints[0] as unknown as { ports: { name: string; port: number }[] };
  assert.deepEqual(
    ports.map(({ name, port }) => ({ name, port })),
    [{ name: "monitoring", port: 7472 }],
  );
  const service = await on.get("services", "-n", namespace, "-l", "app=metallb,component=controller");
  assert.deepEqual(
    service.map(({ metadata }) => metadata.name),
    ["controller-metrics"],
  );
  const board = await on.kubectl("-n", namespace, "get", "configmap", "ingot-dashboard", "-o", "jsonpath={.data.ingot\\.json}");
  assert.equal(JSON.parse(board).title, "Ingot");
});

const statusKinds = ["servicel2statuses", "servicebgpstatuses", "bgpsessionstates", "configurationstates"] as const;

/** Lines of `kubectl get`, without names of objects and ages. */
async function rows(on: InstalledCluster, kind: (typeof statusKinds)[number]): Promise<string[]> {
  const table = await on.kubectl("get", kind, "-n", namespace, "--no-headers", "--ignore-not-found");
  const lines = table.split("\n").filter((line) => line !== "");
  return lines.map((line) => line.trim().split(/\s+/).slice(1).join(" ")).sort();
}

step(
  "status-objects: kubectl shows owner, peers and sessions by node, and after the loss of a node nothing of it",
  async (on) => {
    await on.configure(`${routerPeer}${config}${routedPool}`);
    await on.serve("far", { loadBalancerIP: "198.51.100.7" });
    const address = await on.addressOf("web");
    const shown = async (owner: string, nodes: readonly string[]) => {
      const is = async () => {
        const layer2 = await rows(on, "servicel2statuses");
        assert.ok(layer2.includes(`${owner} web default ${address}`), `${layer2}`);
        assert.deepEqual(
          await rows(on, "servicebgpstatuses"),
          nodes.map((node) => `${node} far default ["172.30.0.2:179"]`),
        );
        const sessions = await rows(on, "bgpsessionstates");
        assert.deepEqual(
          sessions,
          nodes.map((node) => `${node} 172.30.0.2 Established N/A`),
        );
        const states = await rows(on, "configurationstates");
        assert.equal(states.filter((line) => line.startsWith("Valid ")).length, nodes.length + 1, `${states}`); // And the controller's.
        return true;
      };
      await waitFor(`status objects of ${nodes.join()} with ${owner} as the owner`, is, patience);
    };
    const owner = await on.owner(address);
    await shown(owner, ["node1", "node2"]);
    // Kubernetes deletes nothing while a node is silent.
    const pod = await on.podOn(owner, "speaker");
    await on.cluster.node(owner).kill("kubelet");
    await on.killPod(pod);
    const next = await on.ownerOtherThan(owner, address);
    await shown(next, [next]);
    await on.cluster.node(owner).revive("kubelet");
    await on.rolledOut("daemonset/speaker");
    await shown(await on.owner(address), ["node1", "node2"]);
    await on.kubectl("delete", "service", "far");
    await waitFor("no status by BGP", async () => (await rows(on, "servicebgpstatuses")).length === 0, patience);
    await on.configure(config);
  },
);

step("status-objects: without the component Kubernetes deletes what the Pods had", async (on) => {
  await on.writeOverlay(all.filter((component) => component !== "status-objects"));
  await on.kubectl("apply", "-k", on.cluster.directory);
  await on.rolledOut("daemonset/speaker");
  await on.rolledOut("deployment/controller");
  const none = async () => (await Promise.all(statusKinds.map((kind) => rows(on, kind)))).every((lines) => lines.length === 0);
  await waitFor("the end of all status objects", none, patience);
});

step("--pool-annotations: the right to write the status is enough for the annotations", async (on) => {
  const value = [{ op: "add", path: "/spec/template/spec/containers/0/args/-", value: "--pool-annotations" }];
  await on.kubectl("-n", namespace, "patch", "deployment", "controller", "--type=json", "-p", JSON.stringify(value));
  await on.rolledOut("deployment/controller");
  const read =
    "jsonpath={.metadata.annotations.metallb\\.io/ip-allocated-from-pool} {.metadata.annotations.metallb\\.universe\\.tf/ip-allocated-from-pool}";
  const annotated = async () => (await on.kubectl("get", "service", "web", "-o", read)) === "lan lan";
  await waitFor("the annotations of web", annotated, patience);
});

step("central-speakers: they have all sessions, lead to every node, and have no capability", async (on) => {
  await on.writeOverlay(["central-speakers", ...all]);
  await on.kubectl("apply", "-k", on.cluster.directory);
  await on.rolledOut("deployment/central-speaker");
  await on.rolledOut("daemonset/speaker");
  await on.configure(`${routerPeer}    add-path: true\n${config}${routedPool}`);
  const far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
  const nodes = [on.cluster.node("node1").host.ipv4, on.cluster.node("node2").host.ipv4];
  await router.hears(far, [...nodes, ...nodes]); // Each of the two leads to both.
  await on.answer(far);
  const script = "process.stdout.write(/CapEff:\\s+(\\S+)/.exec(fs.readFileSync('/proc/1/status'))[1])";
  const capabilities = await on.kubectl("-n", namespace, "exec", "deployment/central-speaker", "--", "node", "-e", script);
  assert.equal(BigInt(`0x${capabilities}`), 0n);
  await on.kubectl("delete", "service", "far");
  await router.hears(far, []);
  await on.configure(config);
});

step("the API server refused nothing that controller and speakers asked for", async (on) => {
  const own = (await on.cluster.requests()).filter(({ user }) => user.startsWith(`system:serviceaccount:${namespace}:`));
  assert.ok(own.length > 0);
  assert.deepEqual(
    own.filter(({ status }) => status === 401 || status === 403),
    [],
  );
});

/** Has the API server look at the manifests with these components, as it does before it stores them. */
async function dryRun(on: InstalledCluster, components: readonly string[], patches: readonly object[] = []): Promise<void> {
  const folder = on.cluster.directory;
  const path = (name: string) => relative(folder, join(manifests, name));
  const overlay = { resources: [path("")], components: components.map((name) => path(join("components", name))), patches };
  await writeFile(join(folder, "kustomization.yaml"), JSON.stringify(overlay));
  const strict = ["--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "--warnings-as-errors"];
  await on.kubectl("apply", ...strict, "-k", folder);
}

function customResource(kind: string, fields: Readonly<Record<string, "object" | "list">>): object {
  const anything = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, type]) => [name, type === "list" ? { type: "array", items: anything } : anything]),
  );
  const spec = { type: "object", required: Object.keys(fields), properties };
  const singular = kind.toLowerCase();
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${singular}s.monitoring.coreos.com` },
    spec: {
      group: "monitoring.coreos.com",
      names: { kind, singular, plural: `${singular}s`, listKind: `${kind}List` },
      scope: "Namespaced",
      versions: [
        { name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties: { spec } } } },
      ],
    },
  };
}
