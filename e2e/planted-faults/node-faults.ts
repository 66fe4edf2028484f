import { readFileSync, writeFileSync } from "node:fs";
import { both, configure, type DemoCluster, demoConfiguration, filter, hostsOf, type Scene } from "#e2e/demo-cluster";
import { type LabProcess, programFile, waitFor } from "#e2e/lab";
import { expose, type Mend, tried } from "./cluster-faults.ts";

interface StrangeSpeaker {
  readonly name: string;
  /** The last part of its address. */
  readonly number: number;
  /** Changes the kubeconfig of the other speakers, which stays as it is where absent. */
  readonly kubeconfig?: (text: string) => string;
  /** A line that it logs once the fault is there. */
  readonly logs: RegExp;
}

/** A speaker on a host of its own that cannot take part, and its Pod. */
export async function strangeSpeaker(
  { lab, lan, api }: DemoCluster,
  { name, number, kubeconfig = (text) => text, logs }: StrangeSpeaker,
): Promise<{ readonly speaker: LabProcess; readonly remove: Mend }> {
  const address = `172.30.0.${number}`;
  const host = await lab.host(name);
  await host.attach(lan, { addresses: [`${address}/24`] });
  const file = `/run/${name}.conf`;
  writeFileSync(lab.outside(file), kubeconfig(readFileSync(lab.outside("/run/speaker.conf"), "utf8")), { mode: 0o644 });
  const flags = [`--kubeconfig=${file}`, "--namespace=metallb-system", `--node-name=${name}`];
  const ring = [`--ml-bindaddr=${address}`, "--ml-secret-key=some other secret than theirs"];
  const speaker = await host.spawn(name, [process.execPath, programFile("speaker"), ...flags, ...ring]);
  await speaker.waitForLine(logs);
  await waitFor("it to answer", () => host.get("http://127.0.0.1:7472/metrics"));
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: `speaker-${name}`, namespace: "metallb-system" } };
  await api.apply({
    ...pod,
    metadata: { ...pod.metadata, labels: { app: "metallb", component: "speaker" } },
    spec: { nodeName: name, hostNetwork: true, containers: [{ name: "speaker", image: "process" }] },
  });
  await api.patch(pod, { status: { phase: "Running", hostIP: address, podIP: address } }, "status");
  return { speaker, remove: async () => void (await api.delete(pod)) };
}

/** A speaker with another key of the ring than all others, on a host `foreign`. */
export function foreignSpeaker(cluster: DemoCluster) {
  return strangeSpeaker(cluster, { name: "foreign", number: 77, logs: /cannot join a speaker/ });
}

/** The speaker of a new node does not get what it needs of the API. */
const withoutApi = (
  name: string,
  number: number,
  kubeconfig: StrangeSpeaker["kubeconfig"] & {},
  wanted: Pick<Scene, "symptom" | "cause" | "remedy">,
): Scene => ({
  ...wanted,
  plant: async (cluster) => {
    const { speaker, remove } = await strangeSpeaker(cluster, {
      name,
      number,
      kubeconfig,
      logs: /cannot watch the API|cannot ask the API/,
    });
    return both(async () => void (await speaker.stop()), remove);
  },
  find: `explain node/${name}`,
  causes: ["waiting"],
});

/** Faults of one node, of its speaker, or of the network around it. */
export const nodeFaults: Readonly<Record<string, Scene>> = {
  "ring-key": {
    symptom: "The speaker of a new node never gets Ready.",
    plant: async (cluster) => {
      const { speaker, remove } = await foreignSpeaker(cluster);
      return both(async () => void (await speaker.stop()), remove);
    },
    find: "explain node/foreign",
    causes: ["waiting"],
    cause: /none of 2 keys fits/,
    remedy: /where no key fits, give it their key, from the same Secret/,
  },
  "api-name": withoutApi(
    "nameless",
    71,
    (text) => text.replace(/server: .*?(?=,|})/, 'server: "https://kubernetes.wrong:6443"'),
    {
      symptom: "The speaker of a new node never gets Ready; its nameserver is another one.",
      cause: /waits for .*(?:ENOTFOUND|EAI_AGAIN)/,
      remedy: /correct the name of the API server, in KUBERNETES_SERVICE_HOST or the kubeconfig/,
    },
  ),
  "api-certificate": withoutApi("mistrusting", 72, (text) => text.replace(/, certificate-authority-data: [^,}]*/, ""), {
    symptom: "The speaker of a new node never gets Ready; its clock is years off.",
    cause: /waits for .*certificate/,
    remedy: /see whether the node's clock is right \(timedatectl\), and whether the API server's certificate is valid/,
  }),
  "api-token": withoutApi("unknown", 73, (text) => text.replace(/token: [^}]*/, "token: expired"), {
    symptom: "The speaker of a new node never gets Ready; its token has expired.",
    cause: /waits for .*401/,
    remedy: /see whether the node's clock is right \(timedatectl\); a Pod that is deleted comes back with a new token/,
  }),
  "no-net-raw": {
    symptom: "node1 announces nothing on layer 2 since an admission policy drops capabilities.",
    plant: async (cluster) => {
      const { speaker } = cluster.node("node1");
      const restart = async (without: readonly string[]) => {
        await speaker.stop();
        speaker.without = without;
        await speaker.start();
        await waitFor("the speaker to answer", () => speaker.get("/v1/node"));
      };
      await restart(["net_raw"]);
      return () => restart([]);
    },
    find: "explain node/node1",
    causes: ["layer2Unavailable"],
    cause: /the speaker on node1 cannot announce on layer 2: .*(?:NET_RAW|not permitted)/i,
    remedy: /where NET_RAW is missing, add it to the capabilities of the speakers' container/,
  },
  "one-node-does-not-forward": {
    symptom: "node1 announces nothing since somebody applied a profile of sysctls there; its speaker runs.",
    plant: async (cluster) => {
      const { host } = cluster.node("node1");
      await host.sysctl({ "net.ipv4.ip_forward": 0 });
      return () => host.sysctl({ "net.ipv4.ip_forward": 1 });
    },
    find: "explain node/node1",
    causes: ["cannotDeliver"],
    cause: /node1 cannot deliver IPv4 packets to Pods: its kernel does not forward packets/,
    remedy: /sysctl -w net\.ipv4\.ip_forward=1/,
  },
  "arp-inspection": {
    symptom: "Service web answers nobody since the switch inspects ARP; its node announces it.",
    plant: async (cluster, address) => {
      const mend = await configure(cluster, tried);
      const drop = `type filter hook ingress device eth0 priority 0; arp operation reply arp saddr ip ${address} drop;`;
      return both(await filter([...hostsOf(cluster), cluster.client], "netdev", [`chain in { ${drop} }`]), mend);
    },
    find: "explain svc/web",
    causes: ["notAnswered"],
    cause: /announces 172\.30\.0\.\d+, and nobody answers for it, as node\d finds on eth0/,
    remedy: /look for what drops ARP .*ARP inspection of the switch/,
  },
  "small-mtu": {
    symptom: "curl connects to Service web and then waits for ever, since one link on the way has a smaller MTU.",
    plant: (cluster, address) => {
      const drop = `type filter hook ingress device eth0 priority 0; ip daddr ${address} meta length > 1300 drop;`;
      return filter(hostsOf(cluster), "netdev", [`chain in { ${drop} }`]);
    },
    find: "probe svc/web",
    causes: [],
    cause: /packets of \d+ octets for 172\.30\.0\.\d+ are lost on the way from eth0 by node\d, and small ones arrive/,
    remedy: /give all links on the way one MTU/,
  },
  "wrong-target-port": {
    symptom: "Service late has an address, and curl says that the connection is refused.",
    plant: async (cluster) => {
      const mend = await expose(cluster, "late", "default");
      const slice = {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: "late-ipv4", namespace: "default" },
      };
      await cluster.api.patch(slice, { ports: [{ name: "tcp", protocol: "TCP", port: 9 }] });
      return mend;
    },
    find: "probe svc/late",
    causes: [],
    cause: /refuses connections .*no endpoint that node\d tried accepts one|port 9 .*refuses/,
    remedy: /see that its Pods listen on the port \(targetPort\)/,
  },
  "pool-over-a-node": {
    symptom: "kubectl reaches node2 sometimes, since somebody wrote another pool.",
    plant: (cluster) =>
      configure(
        cluster,
        `${demoConfiguration}- {name: wide, protocol: layer2, auto-assign: false, addresses: [172.30.0.12-172.30.0.13]}\n`,
      ),
    find: "explain node/node2",
    causes: ["addressBound"],
    cause: /172\.30\.0\.12/,
    remedy: /take the address out of the pool/,
  },
  "pool-over-pods": {
    symptom: "Service late has an address, and a Pod somewhere has it, too.",
    plant: async (cluster) => {
      const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node1" } };
      await cluster.api.patch(node, { spec: { podCIDRs: ["10.244.1.0/24"], podCIDR: "10.244.1.0/24" } });
      const more = "- {name: wide, protocol: layer2, auto-assign: false, addresses: [10.244.1.240/29]}\n";
      const mend = await configure(cluster, demoConfiguration + more);
      return both(mend, async () => void (await cluster.api.patch(node, { spec: { podCIDRs: null, podCIDR: null } })));
    },
    find: "explain node/node1",
    causes: ["podNetwork"],
    cause: /pool wide has addresses of 10\.244\.1\.0\/24, the network of the Pods on node1/,
    remedy: /take these addresses out of the pool; kubectl get nodes -o custom-columns/,
  },
};
