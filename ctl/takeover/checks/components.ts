import type { ParsedConfig } from "#pkg/config";
import { quote } from "#pkg/text";
import { type ClusterView, helmReleaseOf, metadata, otherKeySecretOf, ringSecret } from "../view.ts";
import type { TakeoverFinding } from "./finding.ts";

/** The configuration's needs beside ingot.yaml as it is: rights of components, and a label on Secrets. MetalLB has all rights to both. */
export function checkComponents(view: ClusterView, namespaceLabels: ParsedConfig["namespaceLabels"]): TakeoverFinding[] {
  const findings = [...checkKey(view), ...view.passwordSecrets.flatMap((name) => checkSecret(view, name))];
  if (namespaceLabels !== undefined && !view.isTakenOver)
    findings.push({
      severity: "warning",
      check: "components",
      found: `${namespaceLabels.path} asks for labels of Namespaces: without the right to read them the configuration is refused as a whole`,
      where: namespaceLabels.object ?? `ConfigMap ${view.namespace}/${view.configMapName}`,
      advice: isOfHelm(view)
        ? "upgrade to Ingot's chart with rbac.namespaces: true"
        : "install Ingot with the component namespaces",
    });
  return findings;
}

const isOfHelm = ({ controllers, speakers }: ClusterView) => [...controllers, ...speakers].some(helmReleaseOf);

/** MetalLB's operator, for one, has the key of the ring elsewhere than its manifests. */
function checkKey({ speakers, secrets, namespace }: ClusterView): TakeoverFinding[] {
  if (secrets.some((secret) => metadata(secret).name === ringSecret)) return [];
  return speakers.flatMap((workload): TakeoverFinding[] => {
    const name = otherKeySecretOf(workload);
    if (name === undefined) return [];
    return [
      {
        severity: "error",
        check: "components",
        found: `has the key of the ring from the Secret ${quote(name)}, and speakers of ingot.yaml from ${ringSecret}: they would wait for the others, without becoming ready`,
        where: `DaemonSet ${namespace}/speaker`,
        advice: `copy the key into a Secret ${ringSecret} first: see docs/migrate-from-metallb-in-place.md`,
      },
    ];
  });
}

function checkSecret(view: ClusterView, name: string): TakeoverFinding[] {
  const where = `Secret ${view.namespace}/${name}`;
  const secret = view.secrets.find((each) => metadata(each).name === name);
  if (secret === undefined && view.unread.some(({ what }) => what === where)) return [];
  const component = isOfHelm(view)
    ? `upgrade to Ingot's chart with ${name} in the list rbac.bgpPasswords` // Not quoted: that hides names such as tor-password.
    : `name ${name} in the Role of the component bgp-passwords, and install Ingot with it`;
  const finding = (severity: TakeoverFinding["severity"], found: string, advice: string) => {
    return [{ severity, check: "components", found: `${found}: sessions of peers that have it wait`, where, advice }];
  };
  if (secret === undefined) return finding("error", "it is not there, and a BGPPeer names it", "create it");
  if (metadata(secret).labels["ingot-use"] !== "bgp-password")
    return finding(
      "error",
      "no password is taken from a Secret without the label ingot-use=bgp-password",
      `kubectl -n ${view.namespace} label secret ${name} ingot-use=bgp-password; ${component}`,
    );
  return view.isTakenOver ? [] : finding("warning", "Ingot's speakers read no Secret that its manifests do not name", component);
}
