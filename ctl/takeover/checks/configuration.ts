import { Allocator, describe } from "#pkg/allocator";
import { Settling } from "#pkg/assignment";
import { type Config, formatProblem, type ParsedConfig, type Problem, readInput } from "#pkg/config";
import { liveObjectText, liveText, parseConfiguration } from "#pkg/convert";
import { resources, type Service } from "#pkg/k8s";
import { claimsClass, type LoadBalancerClasses, readRequest, recordedAddresses } from "#pkg/service";
import { list, maskControls, quote } from "#pkg/text";
import { fields, text } from "#pkg/untrusted";
import { type ClusterView, keyOf, metadata, type Raw } from "../view.ts";
import type { TakeoverFinding } from "./finding.ts";

/** The ConfigMap's text, or MetalLB's custom resources, read as controller and speakers read them. */
export function checkConfiguration(view: ClusterView): {
  readonly findings: TakeoverFinding[];
  readonly config: Config | undefined;
  readonly namespaceLabels: ParsedConfig["namespaceLabels"];
} {
  const ofObjects = view.objects.length > 0;
  const configMap = `ConfigMap ${view.namespace}/${view.configMapName}`;
  const where = ofObjects ? "custom resources of metallb.io" : configMap;
  const findings: TakeoverFinding[] = [];
  const source = ofObjects ? liveText(view.objects.map(liveObjectText)) : text(fields(view.configMap?.data).config);
  if (source === "") {
    if (!view.hasCustomResources && !view.unread.some(({ what }) => what === where))
      findings.push({
        severity: "error",
        check: "configuration",
        found:
          view.configMap === undefined
            ? "there is no ConfigMap with a configuration"
            : 'the ConfigMap has nothing under the key "config"',
        where,
        advice: "Services keep their addresses, but get none; create it before you install",
      });
    return { findings, config: undefined, namespaceLabels: undefined };
  }
  const { config, problems, namespaceLabels }: ParsedConfig = ofObjects ? parseConfiguration(source) : readInput(source);
  for (const problem of problems)
    findings.push({
      severity: problem.severity,
      check: "configuration",
      found: maskControls(ofObjects ? withPath(problem) : formatProblem(problem)),
      where: ofObjects ? (problem.object ?? where) : `${where}, key config`,
      advice:
        problem.severity === "error"
          ? "correct it: until then the configuration is refused as a whole"
          : "see whether it is meant so",
    });
  if (config !== undefined && !ofObjects && !view.isTakenOver) findings.push(...differences(config, view, where));
  return { findings, config, namespaceLabels };
}

/** Effects of the text that it did not have under MetalLB 0.12. */
function differences(config: Config, view: ClusterView, where: string): TakeoverFinding[] {
  const findings: TakeoverFinding[] = [];
  const differs = (found: string, advice: string, severity: TakeoverFinding["severity"] = "warning") =>
    findings.push({ severity, check: "meaning", found, where, advice });
  const byBgp = config.pools.filter(({ protocols }) => protocols.includes("bgp"));
  const isFrr = view.speakers.some(runsFrr);
  const withIpv6 = byBgp.filter(({ ranges }) => ranges.some(({ family }) => family === "IPv6")).map(({ name }) => quote(name));
  if (withIpv6.length > 0 && !isFrr)
    differs(
      `BGP announces IPv6 addresses too, which MetalLB 0.12 does not: pools ${list(withIpv6)}`,
      "give peers that are not to hear of them families: [ipv4], once the last MetalLB Pod is gone",
    );
  const endless = config.peers.filter(({ holdTimeSeconds }) => holdTimeSeconds > 0);
  if (endless.length > 0 && !isFrr && byBgp.length > 0)
    differs(
      `BGP sessions end when nothing arrives for the hold time (${list([...new Set(endless.map(({ holdTimeSeconds }) => `${holdTimeSeconds} s`))])}); MetalLB 0.12 does not look at it`,
      "nothing, unless a router sends no KEEPALIVEs",
      "note",
    );
  const automatic = config.pools.filter(({ autoAssign }) => autoAssign).map(({ name }) => quote(name));
  if (automatic.length > 1)
    differs(
      `new Services get addresses of the first pool with a free one, in the order of the file: ${list(automatic)}; MetalLB 0.12 tries them at random`,
      "put the pool first that is to be used first",
      "note",
    );
  return findings;
}

function withPath({ path, message }: Problem): string {
  return path === "" ? message : `${path}: ${message}`;
}

function runsFrr(speaker: Raw): boolean {
  return JSON.stringify(speaker).includes('"METALLB_BGP_TYPE","value":"frr"');
}

/** Services whose address or load balancer would be another one. @param before classes that MetalLB serves: from 0.13 on it leaves others alone */
export function checkServices(
  view: ClusterView,
  config: Config | undefined,
  classes: LoadBalancerClasses,
  before: LoadBalancerClasses | undefined,
): TakeoverFinding[] {
  const findings: TakeoverFinding[] = [];
  const served: Service[] = [];
  const ofType = view.services.filter(({ spec }) => text(fields(spec).type) === "LoadBalancer");
  for (const raw of ofType) {
    const where = `Service ${keyOf(raw)}`;
    const loadBalancerClass = text(fields(raw.spec).loadBalancerClass) || undefined;
    if (before !== undefined && !claimsClass(before, loadBalancerClass)) continue;
    if (!claimsClass(classes, loadBalancerClass)) {
      findings.push({
        severity: "warning",
        check: "class",
        found: `it has ${loadBalancerClass === undefined ? "no load balancer class" : `the load balancer class ${quote(loadBalancerClass)}`}, which is not served${view.isTakenOver ? "" : `; MetalLB ${before === undefined ? "0.12 serves every class" : "serves it"}`}`,
        where,
        advice: `give controller and speakers --lb-class=${loadBalancerClass ?? "NAME"}${before?.isDefault === false ? "" : " --lb-class-default"}`,
      });
      continue;
    }
    const service = serviceOf(raw);
    if (!service.hasHostnames) served.push(service);
    else if (config !== undefined)
      findings.push({
        severity: "error",
        check: "foreign",
        found: "its status has a host name: another load balancer writes it",
        where,
        advice: "stop that one, or give the Service its load balancer class",
      });
  }
  return config === undefined ? findings : [...findings, ...checkAddresses(served, config)];
}

function serviceOf(raw: Raw): Service {
  const { namespace, name } = metadata(raw);
  const meta = { key: `${namespace}/${name}`, namespace, name, uid: "", resourceVersion: "" };
  return { ...resources.services.project(raw, meta), isClaimed: true };
}

/** In the order in which the controller lets Services keep what they have: where two may not have the same, the later one loses it. */
function checkAddresses(services: readonly Service[], { pools }: Config): TakeoverFinding[] {
  const allocator = new Allocator();
  allocator.setPools(pools);
  const byKey = new Map(services.map((service) => [service.key, service]));
  const settling = new Settling();
  for (const service of services) settling.add(service);
  while (!settling.order());
  const inOrder = settling.keys.flatMap((key) => byKey.get(key) ?? []);
  return [true, false].flatMap((shares) => inOrder.flatMap((service) => checkAddress(service, shares, allocator)));
}

/** @param shares as for `keepRecorded` */
function checkAddress(service: Service, shares: boolean, allocator: Allocator): TakeoverFinding[] {
  const reading = readRequest(service);
  const recorded = recordedAddresses(service);
  if (reading.type === "notOurs" || recorded.length === 0 || shares !== (reading.request.sharingKey !== "")) return [];
  const { unmet } = allocator.restore(reading.request, recorded);
  if (unmet === undefined) return [];
  return [
    {
      severity: "error",
      check: "address",
      found: `it would not keep ${recorded.join(", ")}: ${describe(unmet)}`,
      where: `Service ${service.key}`,
      advice: "change the pools, or the Service, so that it may keep the address",
    },
  ];
}
