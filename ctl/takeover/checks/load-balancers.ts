import { claimsClass, type LoadBalancerClasses } from "#pkg/service";
import { counted, quote } from "#pkg/text";
import { fields, text } from "#pkg/untrusted";
import { flagOf, isSet, isTrue } from "../../cluster/installation.ts";
import {
  type ClusterView,
  containersOf,
  isIngot,
  isMetallb,
  keyOf,
  listOf,
  metadata,
  ownerOf,
  type Raw,
  templateOf,
  wordsOf,
} from "../view.ts";
import type { TakeoverFinding } from "./finding.ts";

/** The Services that a load balancer serves, by their class. */
interface Claims {
  /** Whether it serves Services without a class. */
  readonly classless: boolean;
  readonly classes: readonly string[] | "every";
}

interface Product {
  readonly name: string;
  readonly isIts: (container: Raw) => boolean;
  /** Label of its objects, where the image may have any name. */
  readonly label?: RegExp;
  /** The Services that one of its containers serves, by arguments and environment. */
  readonly claims: (container: Raw) => Claims;
  /** How it is kept from the same Services. */
  readonly advice: string;
}

const hasImage = (image: RegExp) => (container: Raw) => image.test(text(container.image));
const nothing: Claims = { classless: false, classes: [] };
const classless: Claims = { classless: true, classes: [] };

/** Load balancers that are told which Services are theirs by class. */
const products: readonly Product[] = [
  {
    name: "MetalLB",
    isIts: hasImage(/(^|[/-])metallb[/-](controller|speaker)(:|@|$)/),
    claims: claimsOfMetallb,
    advice: "if it is the one to be replaced, name its namespace with -n; else give each a load balancer class",
  },
  {
    name: "a second Ingot",
    isIts: isIngot,
    claims: claimsOfIngot,
    advice: "remove one of both, or give each a load balancer class",
  },
  {
    name: "kube-vip",
    isIts: hasImage(/(^|\/)kube-vip(-iptables)?(:|@|$)/),
    claims: claimsOfKubeVip,
    advice: "give it svc_enable=false, or each a load balancer class: its lb_class_only and lb_class_name",
  },
  {
    name: "kube-vip",
    isIts: hasImage(/(^|\/)kube-vip-cloud-provider(:|@|$)/),
    claims: claimsOfKubeVipProvider,
    advice: "remove it, or give each a load balancer class: its KUBEVIP_ENABLE_LOADBALANCERCLASS",
  },
  {
    name: "PureLB",
    isIts: hasImage(/(^|\/)purelb\/(allocator|lbnodeagent)(:|@|$)/),
    claims: claimsOfPureLb,
    advice: "unset its DEFAULT_ANNOUNCER, or remove it",
  },
  {
    name: "ServiceLB of k3s",
    isIts: hasImage(/(^|[/-])klipper-lb(:|@|$)/),
    label: /^svccontroller\.(k3s|rke2)\.cattle\.io\/svcname$/,
    claims: () => classless,
    advice: "start k3s with --disable=servicelb",
  },
  {
    name: "LoxiLB",
    isIts: hasImage(/(^|\/)kube-loxilb(:|@|$)/),
    claims: () => ({ classless: false, classes: ["loxilb.io/loxilb"] }), // Another one only by a file, which nothing here shows.
    advice: "give each its own load balancer class",
  },
];

/** A workload, or a Pod that no workload made. */
interface Deployed {
  readonly where: string;
  readonly namespace: string;
  readonly labels: readonly string[];
  readonly containers: readonly Raw[];
}

/** Finds other programs that may give addresses to the same Services. @param ours the Services that Ingot is going to serve */
export function checkOtherLoadBalancers(view: ClusterView, ours: LoadBalancerClasses): TakeoverFinding[] {
  const findings = new Map<string, TakeoverFinding>(); // name, namespace and what both serve -> the first place
  const find = (name: string, { where, namespace }: Pick<Deployed, "where" | "namespace">, claims: Claims, advice: string) => {
    const shared = sharedBy(ours, claims);
    if (shared === "") return;
    const found = `${name} is another load balancer for ${shared}`;
    const key = `${namespace}\n${found}`;
    if (!findings.has(key)) findings.set(key, { severity: "error", check: "load-balancer", found, where, advice });
  };
  const places = placesOf(view);
  for (const place of places)
    for (const container of place.containers)
      for (const { name, isIts, label, claims, advice } of products)
        if (isIts(container) || place.labels.some((text) => label?.test(text))) find(name, place, claims(container), advice);
  for (const { name, where, claims, advice } of partsOfCilium(view)) find(name, { where, namespace: "" }, claims, advice);
  return [...findings.values(), ...checkOpenElb(view, places, ours)];
}

/** Everything that runs containers, but what is to be replaced. */
function placesOf({ workloads, pods, namespace: own }: ClusterView): Deployed[] {
  const places: Deployed[] = [];
  const add = (where: string, object: Raw, spec: unknown) => {
    if (isMetallb(object, own)) return;
    const { namespace, labels } = metadata(object);
    places.push({ where, namespace, labels: Object.keys(labels), containers: containersOf(spec) });
  };
  const known = new Set<string>(); // Kind namespace/name
  for (const workload of workloads) {
    const where = `${text(workload.kind)} ${keyOf(workload)}`;
    known.add(where);
    add(where, workload, templateOf(workload));
  }
  for (const pod of pods) {
    const where = ownerOf(pod);
    if (!known.has(where)) add(where, pod, pod.spec);
  }
  return places;
}

/** Names the Services that both would serve; empty where no Service is served by both. */
function sharedBy(ours: LoadBalancerClasses, { classless, classes }: Claims): string {
  const shared: string[] = [];
  if (ours.isDefault && classless) shared.push("Services without a class");
  if (ours.name !== undefined && (classes === "every" || classes.includes(ours.name)))
    shared.push(`Services with the class ${quote(ours.name)}`);
  return shared.join(" and ");
}

/** Releases from 0.13 on have the flag, and leave all other classes alone; earlier ones do not look at the class. */
function claimsOfMetallb(container: Raw): Claims {
  const name = flagOf(wordsOf(container), "lb-class") ?? "";
  if (name !== "") return { classless: false, classes: [name] };
  const isBeforeClasses = /:v?0\.(\d|1[0-2])(\D|$)/.test(text(container.image));
  return isBeforeClasses ? { classless: true, classes: "every" } : classless;
}

function claimsOfIngot(container: Raw): Claims {
  const name = flagOf(wordsOf(container), "lb-class") ?? "";
  if (name === "") return classless;
  return { classless: isSet(wordsOf(container), "lb-class-default"), classes: [name] };
}

/**
 * Services are off unless they are turned on, and its control plane is not our concern. By its variables, which overrule its flags.
 */
function claimsOfKubeVip(container: Raw): Claims {
  const setting = (name: string, flag: string) => {
    const value = variableOf(container, name) ?? "";
    return value === "" ? isSet(wordsOf(container), flag) : isTrue(value);
  };
  const isOn =
    wordsOf(container).includes("service") || // Its releases up to 0.2 have this word in place of the variable.
    setting("svc_enable", "services") ||
    isSetElsewhere(container, "svc_enable");
  if (!isOn) return nothing;
  const name =
    variableOf(container, "lb_class_name") ?? flagOf(wordsOf(container), "lbClassName") ?? "kube-vip.io/kube-vip-class";
  const isLegacy =
    (variableOf(container, "lb_class_legacy_handling") || flagOf(wordsOf(container), "lbClassNameLegacyHandling")) ?? "";
  if (isLegacy !== "" && !isTrue(isLegacy)) return name === "" ? classless : { classless: false, classes: [name] };
  return { classless: !setting("lb_class_only", "lbClassOnly"), classes: [name] };
}

function claimsOfKubeVipProvider(container: Raw): Claims {
  if (!isTrue(variableOf(container, "KUBEVIP_ENABLE_LOADBALANCERCLASS") ?? "")) return classless;
  const name = variableOf(container, "KUBEVIP_CUSTOM_LOADBALANCERCLASS_NAME") || "kube-vip.io/kube-vip-class";
  return { classless: false, classes: [name] };
}

function claimsOfPureLb(container: Raw): Claims {
  const isDefault = variableOf(container, "DEFAULT_ANNOUNCER") === "PureLB" || isSetElsewhere(container, "DEFAULT_ANNOUNCER");
  return { classless: isDefault, classes: ["purelb.io/purelb", "purelb.io/purelbv2"] }; // Its first and its second API.
}

/** Its operator gives addresses as soon as there is a pool, and takes foreign addresses away, with any selectors of the pool. */
function partsOfCilium({ ciliumPools, ciliumConfig }: ClusterView) {
  const settings = fields(ciliumConfig?.data);
  const byDefault = text(settings["default-lb-service-ipam"]) || "lbipam";
  const parts: { name: string; where: string; claims: Claims; advice: string }[] = [];
  const [pool] = ciliumPools;
  if (pool !== undefined && settings["enable-lb-ipam"] !== "false")
    parts.push({
      name: "LB IPAM of Cilium",
      where: `CiliumLoadBalancerIPPool ${quote(metadata(pool).name)}`,
      claims: {
        classless: byDefault === "lbipam" && settings["lbipam-require-lb-class"] !== "true",
        classes: ["io.cilium/bgp-control-plane", "io.cilium/l2-announcer"],
      },
      advice: "remove its pools, or have it leave such Services alone: its default-lb-service-ipam: none",
    });
  if (settings["enable-node-ipam"] === "true")
    parts.push({
      name: "Node IPAM of Cilium",
      where: "ConfigMap kube-system/cilium-config",
      claims: { classless: byDefault === "nodeipam", classes: ["io.cilium/node"] },
      advice: "have it leave such Services alone: its default-lb-service-ipam: none",
    });
  return parts;
}

/** It serves Services with its annotation, of any class. */
function checkOpenElb({ services }: ClusterView, places: readonly Deployed[], ours: LoadBalancerClasses): TakeoverFinding[] {
  const place = places.find(({ containers }) =>
    containers.some(({ image }) => /(^|[/-])openelb(-(controller|speaker|manager))?(:|@|$)/.test(text(image))),
  );
  if (place === undefined) return [];
  const both = services.filter(({ metadata, spec }) => {
    const { type, loadBalancerClass } = fields(spec);
    const isAnnotated = fields(fields(metadata).annotations)["lb.kubesphere.io/v1alpha1"] === "openelb";
    return type === "LoadBalancer" && isAnnotated && claimsClass(ours, text(loadBalancerClass) || undefined);
  });
  const [first] = both;
  const found = "OpenELB is another load balancer for Services with its annotation lb.kubesphere.io/v1alpha1";
  return [
    {
      severity: first === undefined ? "note" : "error",
      check: "load-balancer",
      found: first === undefined ? found : `${found}: ${counted(both.length, "Service")}, such as ${keyOf(first)}`,
      where: place.where,
      advice:
        "stop it before you install Ingot, by docs/migrate-from-metallb.md: while it runs, a Service that loses the annotation loses its address; ingotctl convert --cluster openelb has its pools",
    },
  ];
}

/** A variable's value where the container itself says it. */
export function variableOf({ env }: Raw, name: string): string | undefined {
  const variable = listOf(env).findLast((variable) => variable.name === name);
  return variable === undefined || variable.valueFrom !== undefined ? undefined : text(variable.value);
}

/** Whether another object may say a variable's value: nothing is known of it then. */
function isSetElsewhere({ env, envFrom }: Raw, name: string): boolean {
  const variable = listOf(env).findLast((variable) => variable.name === name);
  return variable === undefined ? listOf(envFrom).length > 0 : variable.valueFrom !== undefined;
}
