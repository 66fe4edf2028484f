import { type Config, Problems, parseManifest, textAt, valueAt } from "#pkg/config";
import { list, plural } from "#pkg/text";
import { fields, text } from "#pkg/untrusted";
import { flagOf } from "../../cluster/installation.ts";
import { argumentsOf, type ClusterView, containersOf, listOf, metadata, ownerOf, type Raw, templateOf } from "../view.ts";
import type { TakeoverFinding } from "./finding.ts";

/** Ports of a speaker on its node -> what they are for. */
export const speakerPorts: ReadonlyMap<number, string> = new Map([
  [7472, "metrics and health"],
  [7946, "the speakers' ring"],
  [179, "BGP, with --bgp-port=179"],
  [3784, "BFD"],
  [3785, "echo packets of BFD"],
  [4784, "multihop BFD"],
]);

/** Programs that take some of these ports without saying so in their Pods; image -> ports. */
const silent: ReadonlyMap<RegExp, string> = new Map([
  [/(^|\/)calico\/node(:|@|$)/, "179, if Calico speaks BGP"],
  [/(^|\/)kube-router(:|@|$)/, "179, if kube-router speaks BGP"],
  [/(^|\/)cilium(\/cilium)?(:|@|$)/, "179, if Cilium speaks BGP"],
  [/(^|\/)frr(ouring|outing)?(\/frr)?(:|@|$)/, "179 and 3784"],
  [/(^|\/)kube-vip(:|@|$)/, "179, if kube-vip speaks BGP"],
]);

/** Other Pods that have a speaker's ports on their nodes. */
export function checkPorts({ pods, speakers, namespace }: ClusterView, config: Config | undefined): TakeoverFinding[] {
  const own = new Set(speakers.map((speaker) => metadata(speaker).name));
  const onBgp = severityOnBgpPort(speakers, config);
  const users = new Map<
    string,
    { readonly uses: string; readonly nodes: Set<string>; readonly severity: TakeoverFinding["severity"] }
  >(); // owner and port -> nodes
  const add = (pod: Raw, uses: string, severity: TakeoverFinding["severity"]) => {
    const key = `${ownerOf(pod)}\n${uses}`;
    const user = users.get(key) ?? { uses, nodes: new Set<string>(), severity };
    user.nodes.add(text(fields(pod.spec).nodeName) || "no node yet");
    users.set(key, user);
  };
  for (const pod of pods) {
    if (metadata(pod).namespace === namespace && [...own].some((name) => ownerOf(pod) === `DaemonSet ${namespace}/${name}`))
      continue;
    const isOnHost = fields(pod.spec).hostNetwork === true;
    const containers = containersOf(pod.spec);
    const open = containers
      .flatMap((container) => listOf(container.ports))
      .map(({ hostPort, containerPort }) => hostPort ?? (isOnHost ? containerPort : undefined));
    for (const port of new Set(open)) {
      const purpose = typeof port === "number" ? speakerPorts.get(port) : undefined;
      if (purpose !== undefined) add(pod, `port ${port} (${purpose})`, port === 179 ? onBgp : "error");
    }
    if (!isOnHost) continue;
    for (const [image, uses] of silent)
      if (containers.some((container) => image.test(text(container.image)))) add(pod, `perhaps port ${uses}`, "note");
  }
  return [...users].map(([key, { uses, nodes, severity }]) => ({
    severity,
    check: "ports",
    found: `uses ${uses} of the node`,
    where: `${key.split("\n")[0]}, on ${plural(nodes.size, "node")} ${list([...nodes])}`,
    advice:
      severity === "note"
        ? "see docs/bgp.md, another BGP daemon on the node"
        : "give one of both another port: --port, --ml-bindport, --bgp-port",
  }));
}

/** Speakers listen on BGP's port only where their flag says so, and a configuration with passive peers needs that. */
function severityOnBgpPort(speakers: readonly Raw[], config: Config | undefined): TakeoverFinding["severity"] {
  if (speakers.some((speaker) => flagOf(argumentsOf(templateOf(speaker)), "bgp-port") === "179")) return "error";
  return config?.peers.some(({ passive }) => passive) === true ? "warning" : "note";
}

/** How kube-proxy treats addresses of Services, as its ConfigMap (kubeadm's form) says. */
export function checkKubeProxy({ kubeProxy, unread }: ClusterView, config: Config | undefined): TakeoverFinding[] {
  const about = { check: "kube-proxy", where: "ConfigMap kube-system/kube-proxy" } as const;
  const isUnknown = (why: string): TakeoverFinding[] => [
    { ...about, severity: "note", found: `its mode is not known: ${why}`, advice: "in IPVS mode, see that strictARP is true" },
  ];
  if (unread.some(({ what }) => what === about.where)) return [];
  if (kubeProxy === undefined) return isUnknown("there is no such ConfigMap, as with k3s, or where Cilium takes its place");
  const source = text(fields(kubeProxy.data)["config.conf"]);
  if (source === "") return isUnknown("the ConfigMap has nothing under the key config.conf, as where flags configure it");
  const [root] = parseManifest(source, new Problems()) ?? [];
  if (root?.kind !== "mapping") return isUnknown("what the ConfigMap has under the key config.conf cannot be read");
  if (textAt(root, "mode") !== "ipvs" || valueAt(root, "ipvs", "strictARP") === true) return [];
  const pools = config?.pools.filter(({ ranges }) => ranges.some(({ family }) => family === "IPv4"));
  const byArp = pools === undefined || pools.some(({ protocols }) => protocols.some((protocol) => protocol !== "bgp"));
  return [
    {
      ...about,
      // Where BGP alone announces addresses, hosts need not ask for them, as they need not with MetalLB. For IPv6 Linux answers by the interface that has the address.
      severity: byArp ? "error" : "note",
      found: "mode ipvs without strictARP: every node answers ARP for the addresses of all Services",
      advice: "set ipvs.strictARP: true in it, and restart kube-proxy",
    },
  ];
}
