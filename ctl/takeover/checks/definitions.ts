import { list as listed } from "#pkg/text";
import { fields, list, text } from "#pkg/untrusted";
import { type ClusterView, keyOf, metadata, type Raw } from "../view.ts";
import type { TakeoverFinding } from "./finding.ts";

/** Finds everything that can take MetalLB's custom resources away, or keep Ingot from reading them, and FRR-K8s, which came with them. */
export function checkDefinitions(view: ClusterView): TakeoverFinding[] {
  const findings: TakeoverFinding[] = [];
  const ofHelm = view.definitions.filter(isDeletedByHelm).map((definition) => metadata(definition).name);
  if (ofHelm.length > 0)
    findings.push({
      severity: "error",
      check: "definitions",
      found: `a Helm release has the definitions ${listed(ofHelm)}: an upgrade to Ingot's chart, or its end, deletes them with all their objects`,
      where: "CustomResourceDefinitions of metallb.io",
      advice: `kubectl annotate crd ${ofHelm.join(" ")} helm.sh/resource-policy=keep`,
    });
  for (const definition of view.definitions.filter(isConverted))
    findings.push({
      severity: "warning",
      check: "definitions",
      found:
        "a webhook of MetalLB's converts between its versions: without its controller, objects of another version than the stored one can be neither read nor written",
      where: `CustomResourceDefinition ${metadata(definition).name}`,
      advice: `kubectl patch crd ${metadata(definition).name} --type merge -p '{"spec":{"conversion":{"strategy":"None","webhook":null}}}'`,
    });
  for (const workload of view.workloads.filter(isOperator))
    findings.push({
      severity: "error",
      check: "operator",
      found: "MetalLB's operator puts its own Deployment and DaemonSet back whenever they change",
      where: `Deployment ${keyOf(workload)}`,
      advice: `stop it first: kubectl -n ${metadata(workload).namespace} scale deployment/${metadata(workload).name} --replicas=0; see docs/migrate-from-metallb-in-place.md`,
    });
  for (const workload of view.workloads.filter(isFrrK8s))
    findings.push({
      severity: "error",
      check: "frr-k8s",
      found: "FRR-K8s has BGP's port, and the sessions with the routers",
      where: `DaemonSet ${keyOf(workload)}`,
      advice: `delete it once Ingot's speakers run: kubectl -n ${metadata(workload).namespace} delete daemonset ${metadata(workload).name}; or let it be and give Ingot other peers: docs/bgp.md, another BGP daemon on the node`,
    });
  for (const configuration of view.frrConfigurations.filter((object) => !isOfSpeaker(object)))
    findings.push({
      severity: "warning",
      check: "frr-k8s",
      found: "it configures FRR, and nothing of it is taken over",
      where: `FRRConfiguration ${keyOf(configuration)}`,
      advice: "see what of its peers, prefixes and filters BGPPeers have to have",
    });
  return findings;
}

/** Helm looks at this annotation of the object itself. */
function isDeletedByHelm(definition: Raw): boolean {
  const { annotations } = fields(definition.metadata);
  const isHelms =
    metadata(definition).labels["app.kubernetes.io/managed-by"] === "Helm" ||
    text(fields(annotations)["meta.helm.sh/release-name"]) !== "";
  return isHelms && fields(annotations)["helm.sh/resource-policy"] !== "keep";
}

function isConverted({ spec, status }: Raw): boolean {
  const served = list(fields(spec).versions).filter((version) => fields(version).served === true);
  const isMany = served.length > 1 || list(fields(status).storedVersions).length > 1;
  return isMany && fields(fields(spec).conversion).strategy === "Webhook";
}

function isOperator(workload: Raw): boolean {
  const isIts = /^metallb-operator-controller-manager/.test(metadata(workload).name);
  return workload.kind === "Deployment" && isIts && fields(workload.spec).replicas !== 0;
}

export function isFrrK8s(workload: Raw): boolean {
  const { name, labels } = metadata(workload);
  return (
    workload.kind === "DaemonSet" && (labels["app.kubernetes.io/name"] === "frr-k8s" || /(^|-)frr-k8s(-daemon)?$/.test(name))
  );
}

/** MetalLB's speaker makes one for each node, with the node in its name and its selector. */
function isOfSpeaker(object: Raw): boolean {
  const { matchLabels } = fields(fields(object.spec).nodeSelector);
  return metadata(object).name === `metallb-${text(fields(matchLabels)["kubernetes.io/hostname"])}`;
}
