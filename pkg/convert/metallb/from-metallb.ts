import { textAt } from "#pkg/config";
import { list, quote } from "#pkg/text";
import { type ManifestObject, ofOneNamespace, readSpec, refuse } from "../objects.ts";
import type { Report } from "../report.ts";
import { convertBfdProfile, convertPeer } from "./from-peers.ts";
import { convertPools, type PoolOptions } from "./from-pools.ts";
import { configurationKinds, schemas } from "./schemas.ts";

/** Kinds of MetalLB's group that only report what it does. */
const statusKinds: ReadonlySet<string> = new Set(["ConfigurationState", "ServiceL2Status", "ServiceBGPStatus"]);

export interface FromMetallbOptions extends Pick<PoolOptions, "prefer"> {
  readonly namespace: string | undefined;
}

/**
 * The configuration that MetalLB's custom resources make, in the ConfigMap's grammar.
 * @param beside all other objects, of which some configure MetalLB's FRR
 */
export function fromMetallb(
  all: readonly ManifestObject[],
  beside: readonly ManifestObject[],
  { namespace: wanted, prefer }: FromMetallbOptions,
  report: Report,
): { readonly namespace: string; readonly config: object } {
  const { namespace, objects } = ofOneNamespace(all, wanted, report);
  for (const object of objects)
    if (statusKinds.has(object.kind)) continue;
    else if (!Object.hasOwn(schemas, object.kind)) report.approximate(object, "this kind is not known here");
    else tellVersion(object, report);
  tellFrr(beside, namespace, report);
  tellNamesakes(objects, beside, report);
  const peers = objects.filter(({ kind }) => kind === "BGPPeer").map((object) => convertPeer(object, report));
  const profiles = objects.filter(({ kind }) => kind === "BFDProfile").map((object) => convertBfdProfile(object, report));
  for (const { object, bfdProfile } of peers)
    if (bfdProfile !== undefined && !objects.some(({ kind, name }) => kind === "BFDProfile" && name === bfdProfile))
      refuse(object, ["spec", "bfdProfile"], `there is no BFDProfile ${quote(bfdProfile)}`);
  const communities = aliases(objects, report);
  const pools = convertPools(objects, { prefer, peers, communities }, report);
  const entries = peers.flatMap(({ entry }) => entry ?? []);
  const named = Object.fromEntries(communities);
  report.origin(
    named,
    objects.filter(({ kind }) => kind === "Community"),
  );
  return {
    namespace,
    config: {
      ...(entries.length > 0 && { peers: entries }),
      ...(profiles.length > 0 && { "bfd-profiles": profiles }),
      ...(communities.size > 0 && { "bgp-communities": named }),
      ...(pools.length > 0 && { "address-pools": pools }),
    },
  };
}

/** A version that nobody knows may mean something else by the same fields. */
function tellVersion(object: ManifestObject, report: Report): void {
  const versions: readonly string[] = configurationKinds.find(({ kind }) => kind === object.kind)?.versions ?? [];
  if (!versions.includes(object.version))
    report.lose(object, `version ${quote(object.version)} is not known here, but ${list(versions.map(quote))}`, ["apiVersion"]);
}

/** Calico has BGPPeers of its own, and kubectl that is asked for a kind without its group may give these alone. */
function tellNamesakes(objects: readonly ManifestObject[], beside: readonly ManifestObject[], report: Report): void {
  for (const { kind, plural } of configurationKinds) {
    const namesake = beside.find((object) => object.kind === kind);
    if (namesake !== undefined && !objects.some((object) => object.kind === kind))
      report.lose(namesake, `is of ${quote(namesake.group)}; kubectl get ${plural}.metallb.io has MetalLB's`);
  }
}

/** The ConfigMap with lines for MetalLB's FRR, which is no configuration of pools. */
export const bgpExtras = "bgpextras";

/** Reports settings that people give FRR past MetalLB's own kinds; FRR-K8s' objects of every namespace count. */
function tellFrr(beside: readonly ManifestObject[], namespace: string, report: Report): void {
  for (const object of beside)
    if (isBgpExtras(object, namespace)) report.lose(object, "lines for FRR, which is not there: nothing reads them");
    else if (object.group === "frrk8s.metallb.io" && object.kind === "FRRConfiguration" && !isOfSpeaker(object))
      report.lose(object, "is for FRR, which is not there: its peers, prefixes and filters are not taken over");
}

function isBgpExtras({ group, kind, name, namespace, node }: ManifestObject, wanted: string): boolean {
  if (group !== "" || kind !== "ConfigMap" || name !== bgpExtras || (namespace !== "" && namespace !== wanted)) return false;
  return textAt(node, "data", "extras").trim() !== "";
}

/** Whether MetalLB's speaker of a node made it: it then has the node in its name and its selector. */
function isOfSpeaker({ name, node }: ManifestObject): boolean {
  return name === `metallb-${textAt(node, "spec", "nodeSelector", "matchLabels", "kubernetes.io/hostname")}`;
}

function aliases(objects: readonly ManifestObject[], report: Report): ReadonlyMap<string, string> {
  const found = new Map<string, string>(); // name -> community
  for (const object of objects.filter(({ kind }) => kind === "Community")) {
    const { communities = [] } = readSpec(object, schemas.Community, report);
    for (const [index, { name, value }] of communities.entries()) {
      const path = ["spec", "communities", index];
      if (!name || !value) refuse(object, path, "needs a name and a value");
      else if (found.has(name)) refuse(object, [...path, "name"], `there is another community ${quote(name)}`);
      else found.set(name, value);
    }
  }
  return found;
}
