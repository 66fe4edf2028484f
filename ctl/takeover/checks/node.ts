import { Problems, parseManifest, type YamlNode } from "#pkg/config";
import { list, plural, quote } from "#pkg/text";
import { type ClusterView, containersOf, fields, keyOf, listOf, metadata, type Raw, templateOf, text } from "../view.ts";
import type { Finding } from "./finding.ts";

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
export function checkPorts({ pods, speakers, namespace }: ClusterView): Finding[] {
  const own = new Set(speakers.map((speaker) => metadata(speaker).name));
  const users = new Map<string, { readonly uses: string; readonly nodes: Set<string>; readonly severity: Finding["severity"] }>(); // owner and port -> nodes
  const add = (pod: Raw, uses: string, severity: Finding["severity"]) => {
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
      if (purpose !== undefined) add(pod, `port ${port} (${purpose})`, "error");
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
      severity === "error"
        ? "give one of both another port: --port, --ml-bindport, --bgp-port"
        : "see docs/bgp.md, another BGP daemon on the node",
  }));
}

function ownerOf(pod: Raw): string {
  const { namespace, name } = metadata(pod);
  const [owner] = listOf(fields(pod.metadata).ownerReferences);
  return owner === undefined ? `Pod ${namespace}/${name}` : `${text(owner.kind)} ${namespace}/${text(owner.name)}`;
}

/** How kube-proxy treats addresses of Services, as its ConfigMap (kubeadm's form) says. */
export function checkKubeProxy({ kubeProxy, unread }: ClusterView): Finding[] {
  const where = "ConfigMap kube-system/kube-proxy";
  const source = text(fields(kubeProxy?.data)["config.conf"]);
  if (source === "") {
    if (unread.some(({ what }) => what === where)) return [];
    return [
      {
        severity: "note",
        check: "kube-proxy",
        found: "its mode is not known: there is no such ConfigMap, as with k3s, or where Cilium takes its place",
        where,
        advice: "in IPVS mode, see that strictARP is true",
      },
    ];
  }
  const [root] = parseManifest(source, new Problems()) ?? [];
  const mode = scalar(root, ["mode"]);
  const strict = scalar(root, ["ipvs", "strictARP"]);
  if (mode !== "ipvs") return [];
  if (strict === "true") return [];
  return [
    {
      severity: "error",
      check: "kube-proxy",
      found: "mode ipvs without strictARP: every node answers ARP for the addresses of all Services",
      where,
      advice: "set ipvs.strictARP: true in it, and restart kube-proxy",
    },
  ];
}

function scalar(node: YamlNode | undefined, path: readonly string[]): string | undefined {
  let at = node;
  for (const step of path) at = at?.kind === "mapping" ? at.entries.get(step)?.value : undefined;
  return at?.kind === "scalar" ? at.text : undefined;
}

/** Load balancers that other people's software is; image -> its name, and how it is kept from the same Services. */
const others: ReadonlyMap<RegExp, readonly [string, string]> = new Map([
  [/(^|\/)kube-vip(-cloud-provider)?(:|@|$)/, ["kube-vip", "give it svc_enable=false, or each a load balancer class"]],
  [/(^|\/)purelb\/(allocator|lbnodeagent)/, ["PureLB", "unset its DEFAULT_ANNOUNCER, or remove it"]],
  [
    /(^|\/)openelb(-|\/|:|@|$)/,
    ["OpenELB", "it serves Services with its annotation; convert its configuration with ingotctl convert"],
  ],
  [/(^|\/)klipper-lb(:|@|$)/, ["ServiceLB of k3s", "start k3s with --disable=servicelb"]],
  [/(^|\/)loxilb/, ["LoxiLB", "give each a load balancer class"]],
]);

/** Whatever else may give addresses to the same Services. */
export function checkOtherLoadBalancers({ workloads, pods, ciliumPools }: ClusterView): Finding[] {
  const findings = new Map<string, Finding>(); // name -> the first place
  const find = (name: string, where: string, advice: string) => {
    if (!findings.has(name))
      findings.set(name, {
        severity: "error",
        check: "load-balancer",
        found: `${name} is another load balancer for Services without a class`,
        where,
        advice,
      });
  };
  for (const workload of workloads)
    for (const container of containersOf(templateOf(workload)))
      for (const [image, [name, advice]] of others)
        if (image.test(text(container.image))) find(name, `${text(workload.kind)} ${keyOf(workload)}`, advice);
  for (const pod of pods) {
    const { name, labels } = metadata(pod);
    if (name.startsWith("svclb-") || "svccontroller.k3s.cattle.io/svcname" in labels)
      find("ServiceLB of k3s", `Pod ${keyOf(pod)}`, "start k3s with --disable=servicelb");
  }
  const [pool] = ciliumPools;
  if (pool !== undefined)
    find(
      "LB IPAM of Cilium",
      `CiliumLoadBalancerIPPool ${quote(metadata(pool).name)}`,
      "remove its pools, or limit them with a serviceSelector",
    );
  return [...findings.values()];
}
