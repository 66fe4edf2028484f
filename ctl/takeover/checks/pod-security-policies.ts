import { gunzipSync } from "node:zlib";
import { fields, text } from "#pkg/untrusted";
import { type ClusterView, helmReleaseOf, listOf, metadata, type Raw } from "../view.ts";
import type { TakeoverFinding } from "./finding.ts";

const check = "pod-security-policy";
const maxReleaseBytes = 64 << 20; // A Secret has a megabyte at most, which a hostile one expands to a thousand times as much.

/** MetalLB's manifests and its chart made PodSecurityPolicies, and rights to use them; Kubernetes 1.25 removes the kind. */
export function checkPodSecurityPolicies(view: ClusterView): TakeoverFinding[] {
  const releases = new Map<string, string>(); // beginning of the names of a release -> the release
  for (const workload of [...view.controllers, ...view.speakers]) {
    const release = helmReleaseOf(workload);
    if (release !== undefined) releases.set(release.fullName, release.name);
  }
  const stored = view.hasPodSecurityPolicies ? [] : [...new Set(releases.values())].flatMap((name) => checkRelease(view, name));
  return [...checkPolicies(view), ...stored, ...checkRights(view, releases)];
}

function checkPolicies({ podSecurityPolicies }: ClusterView): TakeoverFinding[] {
  return podSecurityPolicies.filter(isMetallbsPolicy).map((policy) => {
    const { name } = metadata(policy);
    return {
      severity: "warning",
      check,
      found: "a PodSecurityPolicy, which Kubernetes 1.25 removes",
      where: `PodSecurityPolicy ${name}`,
      advice: helmReleaseOf(policy)
        ? "upgrade the release to Ingot's chart, or to psp.create: false, while the cluster still knows them: docs/upgrade.md"
        : "delete it after the move; remove it from your own kustomization",
    };
  });
}

/** Helm looks up every kind in the manifest that it stored of the release before it changes anything, and so stops at one that is gone. */
function checkRelease({ releaseSecrets, namespace, clusterRoles }: ClusterView, release: string): TakeoverFinding[] {
  const about = { check, where: `Helm release ${release}` };
  const manifest = storedManifest(releaseSecrets.filter((secret) => metadata(secret).labels.name === release));
  if (manifest === undefined && clusterRoles.some(allowsPolicies))
    return [
      {
        ...about,
        severity: "warning",
        found:
          "whether its stored manifest has PodSecurityPolicies could not be read: helm upgrade stops at them, because this cluster does not know them any more",
        advice: `look for them in what helm get manifest ${release} --namespace ${namespace} prints: docs/upgrade.md, PodSecurityPolicies`,
      },
    ];
  if (manifest === undefined || !/^kind:\s*["']?PodSecurityPolicy\b/m.test(manifest)) return [];
  return [
    {
      ...about,
      severity: "error",
      found:
        "its stored manifest has PodSecurityPolicies: helm upgrade stops at them, because this cluster does not know them any more",
      advice: `take them out: helm mapkubeapis ${release} --namespace ${namespace}: docs/upgrade.md, PodSecurityPolicies`,
    },
  ];
}

/** They do no harm, and the plugin mapkubeapis leaves them. */
function checkRights({ clusterRoles }: ClusterView, releases: ReadonlyMap<string, string>): TakeoverFinding[] {
  return clusterRoles.filter(allowsPolicies).map((role) => {
    const { name } = metadata(role);
    const release = releases.get(name.replace(/:[^:]*$/, ""));
    const where = `ClusterRole ${name}`;
    if (release === undefined)
      return {
        severity: "note",
        check,
        found: "a right to use PodSecurityPolicies, which ingot.yaml takes away",
        where,
        advice: "remove it from your own kustomization",
      };
    return {
      severity: "note",
      check,
      found: `of the Helm release ${release}: a right to use PodSecurityPolicies, which an upgrade to Ingot's chart takes away`,
      where,
      advice: "leave it until then",
    };
  });
}

function allowsPolicies({ rules }: Raw): boolean {
  return listOf(rules).some(({ resources }) => Array.isArray(resources) && resources.includes("podsecuritypolicies"));
}

/**
 * The manifest of the latest of these revisions of a release, from a Secret of Helm 3 or 4: JSON, compressed, in Base64 besides that of Secrets.
 * @returns undefined without a revision, or for one that cannot be read
 */
function storedManifest(revisions: readonly Raw[]): string | undefined {
  const version = (secret: Raw) => Number(metadata(secret).labels.version);
  const [latest] = revisions.toSorted((one, other) => version(other) - version(one));
  const release = Buffer.from(text(fields(latest?.data).release), "base64").toString();
  try {
    const json: unknown = JSON.parse(String(gunzipSync(Buffer.from(release, "base64"), { maxOutputLength: maxReleaseBytes })));
    const { manifest } = fields(json);
    return typeof manifest === "string" ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** Whether MetalLB's manifests or its chart, which puts the release in front, give this name and label. */
function isMetallbsPolicy(policy: Raw): boolean {
  const { name, labels } = metadata(policy);
  if (labels.app === "metallb") return name === "controller" || name === "speaker";
  return labels["app.kubernetes.io/name"] === "metallb" && /-(controller|speaker)$/.test(name);
}
