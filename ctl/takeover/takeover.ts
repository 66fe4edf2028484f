import { readClasses } from "#pkg/service";
import { escapeControls } from "#pkg/text";
import type { ReadApi } from "../cluster/api.ts";
import { flagOf, isSet } from "../cluster/installation.ts";
import { structured } from "../cluster/output.ts";
import { command, Exit, type Options, outputOption, UsageError, type Values } from "../command.ts";
import type { Io } from "../io.ts";
import { checkComponents } from "./checks/components.ts";
import { checkConfiguration, checkServices } from "./checks/configuration.ts";
import { checkDefinitions } from "./checks/definitions.ts";
import type { TakeoverFinding } from "./checks/finding.ts";
import { checkAlerts, checkLeftovers, checkWorkloads } from "./checks/leftovers.ts";
import { checkOtherLoadBalancers } from "./checks/load-balancers.ts";
import { checkKubeProxy, checkPorts } from "./checks/node.ts";
import { checkPodSecurityPolicies } from "./checks/pod-security-policies.ts";
import { argumentsOf, type ClusterView, type Raw, readView, templateOf, type Unread } from "./view.ts";

const help = `Looks at a cluster with MetalLB, and lists differences and obstacles for Ingot in its place. It only reads, with your own
rights; it names objects that it may not read, and leaves them out.`;

const notes = `It looks at the configuration (errors, fields of the ConfigMap that mean something else than to MetalLB 0.12, and components
that it needs), Secrets with passwords of BGPPeers (whether they have the label that they need, never at a password), Services
(load balancer class, addresses that would not be kept), MetalLB's Deployment and DaemonSet, ports of other Pods on the nodes,
kube-proxy, other load balancers for the classes that Ingot is going to serve, custom resources of MetalLB's, webhooks of
MetalLB's and FRR-K8s', PodSecurityPolicies, and Prometheus rules. The configuration is the ConfigMap or, with MetalLB from 0.13
on, its custom resources.

The exit status is 0 if nothing needs your attention, 1 if there is an error, which you have to solve first, 3 if there are only
warnings or something could not be read, and 2 if the arguments are wrong or the cluster cannot be reached.

The JSON is one object:

  {"server", "namespace",
   "findings": [{"severity": "error"|"warning"|"note", "check", "found", "where", "advice"}],
   "unread": [{"what", "why"}]}
`;

const options = {
  check: { help: "is required: this command does nothing else" },
  namespace: { short: "n", value: "NAME", help: "of MetalLB; metallb-system by default" },
  "lb-class": { value: "NAME", help: "the load balancer class that Ingot is going to serve, like its flag of that name" },
  "lb-class-default": { help: "with --lb-class: Services without a class too" },
  kubeconfig: { value: "FILE", help: "by default as kubectl finds it" },
  context: { value: "NAME", help: "of the kubeconfig; by default the current one" },
  output: outputOption,
} satisfies Options;

export const takeover = command({
  name: "takeover",
  summary: "Look at a cluster before Ingot takes over",
  usage: "--check [OPTIONS]",
  takes: 0,
  help,
  examples: ["ingotctl takeover --check", "ingotctl takeover --check --lb-class=example.com/ingot -o json"],
  notes,
  options,
  run: ({ values }, io) => run(values, io),
});

async function run(values: Values<typeof options>, io: Io): Promise<number> {
  const { output, namespace = "metallb-system", kubeconfig, context } = values;
  if (values.check !== true)
    throw new UsageError(
      "takeover only looks: give --check. The move itself is done with kubectl, by docs/migrate-from-metallb.md",
    );
  const { KubeApi } = await import("../cluster/kube-api.ts"); // The client library takes half a second to load.
  const api = new KubeApi({ kubeconfig, context });
  const version = await api.read("/version");
  if (version.type === "unread") throw new UsageError(`cannot reach ${api.server}: ${version.why}`);
  const { findings, unread } = await check(api, namespace, values["lb-class"] ?? "", values["lb-class-default"] ?? false);
  io.out(
    output === "json"
      ? structured("json", { server: api.server, namespace, findings, unread })
      : report(api.server, findings, unread),
  );
  return statusOf(findings, unread);
}

async function check(api: ReadApi, namespace: string, lbClass: string, isDefault: boolean) {
  const asked = usable(() => readClasses(lbClass, isDefault));
  const view: ClusterView = await readView(api, namespace);
  const [controller] = view.controllers;
  const classes = lbClass === "" && view.isTakenOver && controller !== undefined ? classesOf(controller) : asked;
  const before = view.objects.length > 0 && !view.isTakenOver && controller !== undefined ? classesOf(controller) : undefined;
  const { findings, config, namespaceLabels } = checkConfiguration(view);
  const all = [
    ...findings,
    ...checkComponents(view, namespaceLabels),
    ...checkServices(view, config, classes, before),
    ...checkWorkloads(view),
    ...checkLeftovers(view),
    ...checkDefinitions(view),
    ...checkPodSecurityPolicies(view),
    ...checkPorts(view, config),
    ...checkKubeProxy(view, config),
    ...checkOtherLoadBalancers(view, classes),
    ...checkAlerts(view),
  ];
  const order: readonly TakeoverFinding["severity"][] = ["error", "warning", "note"];
  return { findings: all.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity)), unread: view.unread };
}

/** Classes that a controller serves. */
function classesOf(controller: Raw) {
  const words = argumentsOf(templateOf(controller));
  return usable(() => readClasses(flagOf(words, "lb-class") ?? "", isSet(words, "lb-class-default")));
}

function usable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function statusOf(findings: readonly TakeoverFinding[], unread: readonly Unread[]): number {
  if (findings.some(({ severity }) => severity === "error")) return Exit.invalid;
  return unread.length > 0 || findings.some(({ severity }) => severity === "warning") ? Exit.losses : Exit.ok;
}

function report(server: string, findings: readonly TakeoverFinding[], unread: readonly Unread[]): string {
  const lines = findings.flatMap(({ severity, found, where, advice }) => [`${severity}: ${where}: ${found}`, `  -> ${advice}`]);
  const missing = unread.map(({ what, why }) => `not read: ${what}: ${why}`);
  const count = (severity: TakeoverFinding["severity"]) => findings.filter((finding) => finding.severity === severity).length;
  const sum = `${server}: ${count("error")} errors, ${count("warning")} warnings, ${count("note")} notes${unread.length > 0 ? `, ${unread.length} not read` : ""}`;
  return `${[...lines, ...missing, sum].map(escapeControls).join("\n")}\n`;
}
