import type { Input } from "#pkg/config";
import { structured } from "../cluster/output.ts";
import { command, Exit, outputOption, UsageError } from "../command.ts";
import { problemsText, readConfiguration, readInputText } from "../input.ts";
import type { Io, Screen } from "../io.ts";
import { summarize, summaryText } from "./summary.ts";

const help = `Checks a configuration, and lists every problem with line and column. FILE is the text itself, or a manifest in YAML or
JSON with one ConfigMap that holds it, or with MetalLB's custom resources. Without FILE, or with "-", standard input is read. The cluster is not contacted.`;

const notes = `The exit status is 0 if the configuration is valid, 1 if it is not, and 2 if it could not be read.
Warnings do not make it invalid.

The JSON is one object:

  {"valid": BOOL,
   "problems": [{"severity": "error"|"warning", "path", "object", "line", "column", "message"}],
   "summary": {"pools": [{"name", "protocol", "cidrs", "autoAssign", "avoidBuggyIPs", "addresses", "namespaces",
                          "namespaceSelectors", "serviceSelectors", "priority", "closed", "sharing",
                          "reserved": [{"addresses", "service", "namespace"}], "nodeSelectors",
                          "preferredNodes": [{"weight", "matchLabels", "matchExpressions"}],
                          "interfaces", "layer2Advertisements": [{"namespaces", "namespaceSelectors", "serviceSelectors",
                                                                  "nodeSelectors", "preferredNodes", "interfaces"}], "l2Placement": {"subnet", "sticky"}, "conflictProbe", "keepConnections", "announceWhen", "selfTestMs",
                          "kernel": {"placement", "carrier", "dummyInterface", "aggregationLength", "aggregationLengthV6",
                                     "routeTable", "routeProtocol", "addressLifetimeSeconds", "lanLifetimeSeconds"},
                          "netbox": {"url", "token": {"name", "key"}, "mode", "ranges", "tags", "tenant", "role",
                                     "onRelease"},
                          "advertisements": [{"aggregationLength", "aggregationLengthV6", "keepMoreSpecifics", "localPref", "communities",
                                              "med", "asPathPrepend", "peers", "nodeSelectors", "nextHop", "nextHopV6",
                                              "weightByEndpoints", "namespaces", "namespaceSelectors", "serviceSelectors",
                                              "communitiesFrom": {"from": {"kind", "name"}, "allowed"},
                                              "medFrom": {"from", "min", "max"}, "localPrefFrom": {"from", "min", "max"}}]}],
               "quotas": [{"namespaces", "namespaceSelectors", "pools", "together", "ipv4", "ipv6", "services"}],
               "peers": [{"name", "address", "interface", "discovery", "fromNode", "port", "myAsn", "peerAsn", "families", "sourceAddress",
                          "sourceInterface", "routerId", "holdTimeSeconds", "keepaliveSeconds", "connectTimeSeconds", "passwordSecret", "bfdProfile",
                          "bfdStrict", "ebgpMultihop", "ttl", "ttlSecurityHops", "passive", "disabled",
                          "gracefulRestartSeconds", "gracefulShutdownSeconds", "drainWhenCordoned", "maximumPrefix", "addPath", "role", "roleStrict",
                          "gracefulRestartNotification", "longLivedStaleSeconds", "nodeSelectors"}]}}

Lines and columns count from 1. "object" is there for custom resources alone. "addresses" is the number of addresses that can be assigned: a number up to 2^53-1, above that a
decimal string. A setting that is not there, or a lifetime without an end, is null. "peerAsn" is a number or "external". "summary"
is null if the configuration is not valid.`;

export const validate = command({
  name: "validate",
  summary: "Check a configuration",
  usage: "[-o text|json] [FILE|-]",
  takes: "at most one",
  help,
  examples: ["ingotctl validate config.yaml", "kubectl -n metallb-system get configmap config -o yaml | ingotctl validate -"],
  notes,
  options: { output: outputOption },
  run: ({ values, args: [file] }, io) => run(file, values.output, io),
});

async function run(file: string | undefined, output: "text" | "json" | undefined, io: Io): Promise<number> {
  if (file === undefined && io.stdinIsTerminal) throw new UsageError(`name a file, or pipe it in; see "ingotctl help validate"`);
  const { name, text } = await readInputText(file ?? "-", io);
  const input = readConfiguration(text);
  io.out(output === "json" ? json(input) : report(name, text, input, io.screen));
  return input.config === undefined ? Exit.invalid : Exit.ok;
}

function json({ config, problems }: Input): string {
  const summary = config === undefined ? null : summarize(config);
  return structured("json", { valid: config !== undefined, problems, summary });
}

function report(name: string, text: string, { config, problems, configMap }: Input, screen: Screen): string {
  const listed = problemsText(name, problems, text);
  if (config === undefined) return `${listed}${name}: not valid\n`;
  const where =
    configMap === undefined ? "" : ` (ConfigMap ${configMap.namespace || "default"}/${configMap.name}, key ${configMap.key})`;
  return `${listed}${name}: valid${where}\n${summaryText(config, screen)}`;
}
