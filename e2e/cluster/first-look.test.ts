import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { findKcp, ingotImage as image, patience, RealCluster } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "./steps.ts";

const namespace = "metallb-system";

const config = `
address-pools:
  - name: lan
    protocol: layer2
    addresses: [172.30.0.200-172.30.0.210]
`;

const web = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", labels: { app: "web" } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: "web",
            image: `${image.name}:${image.tag}`,
            command: ["node", "-e", "require('http').createServer((_, answer) => answer.end('hello\\n')).listen(8080)"],
            ports: [{ containerPort: 8080 }],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

function service(name: string, more: object = {}): object {
  const spec = { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }], ...more };
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec };
}

let cluster: RealCluster; // The first step starts it.
const step = steps(async () => {
  cluster = await RealCluster.start({ nodes: 2, kcp: await findKcp() });
  return cluster;
});

step("a current Kubernetes takes the manifests with no warning", async () => {
  const overlay = {
    resources: [relative(cluster.directory, resolve(import.meta.dirname, "../../manifests"))],
    images: [{ name: "ingot", newName: image.name, newTag: image.tag }],
  };
  await writeFile(join(cluster.directory, "kustomization.yaml"), JSON.stringify(overlay));
  await cluster.kubectl(["apply", "--warnings-as-errors", "-k", cluster.directory]);
  await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config } });
  await apply(web);
});

step("controller and speakers become ready, from nothing but the manifests", async () => {
  await rolledOut("deployment/controller", "daemonset/speaker");
});

step("a server-side apply of the same meets no conflict, and finds nothing to change", async () => {
  await cluster.kubectl(["apply", "--server-side", "-k", cluster.directory]);
  for (const side of ["--server-side=false", "--server-side=true"])
    await cluster.kubectl(["diff", side, "-k", cluster.directory]);
});

step("a service gets its address", async () => {
  await apply(service("web"));
  const address = await waitFor("an address", () => ingressOf("web"), patience);
  assert.match(address, /^172\.30\.0\.20\d$/);
  const assigned = await eventOf("web", "IPAllocated");
  assert.ok(assigned.includes(`"${address}"`), assigned);
});

step("a client on the LAN is answered, and knows the MAC address of the node that the event names", async () => {
  const address = await ingressOf("web");
  const answer = await waitFor("an answer", () => cluster.client.get(`http://${address}/`), patience);
  assert.deepEqual(answer, { status: 200, body: "hello\n" });
  // The speaker that hears of the Service first may hand over to the other one, and events come later.
  const isNamed = async () => {
    const said = await eventOf("web", "nodeAssigned");
    const name = /^announcing from node "(.+)"$/.exec(said)?.[1];
    assert.ok(name, said);
    assert.equal(await cluster.client.neighbor(address), await cluster.node(name).host.mac());
    return true;
  };
  await waitFor("the event to name the node that the client knows", isNamed, patience);
});

step("the processes have what the manifests grant, and no more", async () => {
  const [netRaw, sysNice] = [1n << 13n, 1n << 23n];
  const set = (capabilities: bigint) => capabilities.toString(16).padStart(16, "0");
  for (const [pod, uid, capabilities] of [
    ["deployment/controller", "65534", set(0n)],
    ["daemonset/speaker", "0", set(netRaw | sysNice)],
  ] as const) {
    const script = "process.stdout.write(fs.readFileSync('/proc/1/status'))";
    const status = await cluster.kubectl(["-n", namespace, "exec", pod, "--", "node", "-e", script]);
    const value = (key: string) => new RegExp(`^${key}:\\s+(\\S+)`, "m").exec(status)?.[1];
    assert.deepEqual(
      {
        uid: value("Uid"),
        effective: value("CapEff"),
        bounding: value("CapBnd"),
        privileges: value("NoNewPrivs"),
        seccomp: value("Seccomp"),
      },
      { uid, effective: capabilities, bounding: capabilities, privileges: "1", seccomp: "2" },
      pod,
    );
    const write = "try { fs.writeFileSync('/file', ''); console.log('written') } catch (error) { console.log(error.code) }";
    assert.equal(await cluster.kubectl(["-n", namespace, "exec", pod, "--", "node", "-e", write]), "EROFS\n", pod);
  }
});

step("a deleted service is no longer answered for, and its address is free for another", async () => {
  const address = await ingressOf("web");
  await cluster.kubectl(["delete", "service", "web"]);
  const silent = async () => {
    await cluster.client.run(["ip", "neigh", "flush", "to", address]);
    await assert.rejects(cluster.client.get(`http://${address}/`));
    return (await cluster.client.neighbor(address)) === undefined;
  };
  await waitFor("silence", silent, patience);
  await apply(service("other", { loadBalancerIP: address }));
  assert.equal(await waitFor("the address", () => ingressOf("other"), patience), address);
});

step("the API server refused nothing that controller and speakers asked for", async () => {
  const own = (await cluster.requests()).filter(({ user }) => user.startsWith(`system:serviceaccount:${namespace}:`));
  for (const name of ["controller", "speaker"])
    assert.ok(
      own.some(({ user }) => user.endsWith(`:${name}`)),
      `no request of ${name} in the audit log`,
    );
  assert.deepEqual(
    own.filter(({ status }) => status === 401 || status === 403),
    [],
  );
});

/** A test that is skipped once one before it has failed, because it would only fail of the same cause. */
async function apply(object: object): Promise<void> {
  await cluster.kubectl(["apply", "-f", "-"], { input: JSON.stringify(object) });
}

async function rolledOut(...names: string[]): Promise<void> {
  for (const name of names) await cluster.kubectl(["-n", namespace, "rollout", "status", name, "--timeout=5m"]);
}

function ingressOf(name: string): Promise<string> {
  return cluster.addressOf(name);
}

/** The message of the latest event with that reason, waited for. */
function eventOf(name: string, reason: string): Promise<string> {
  const selector = `involvedObject.kind=Service,involvedObject.name=${name},reason=${reason}`;
  const message = () =>
    cluster.kubectl(["get", "events", `--field-selector=${selector}`, "-o", "jsonpath={.items[-1:].message}"]);
  return waitFor(`event ${reason} of ${name}`, message, patience);
}
