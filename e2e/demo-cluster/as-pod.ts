import { statSync } from "node:fs";
import { dirname } from "node:path";
import { baseManifests, type Container, podTemplate } from "./manifests.ts";

export interface PodChanges {
  /** Capabilities beyond those of the manifests, such as `NET_ADMIN` of the component net-admin. */
  readonly more?: readonly string[];
  /** Capabilities that it lacks nevertheless, as setpriv(1) names them. */
  readonly without?: readonly string[];
}

// Node's compiled code stays writable, and mounts beneath the root stay unchanged.
const readOnlyRoot = `set -e
[ ! -d "$NODE_COMPILE_CACHE" ] || mount --bind "$NODE_COMPILE_CACHE" "$NODE_COMPILE_CACHE"
mount -o remount,bind,ro /
exec "$@"`;

/**
 * The command that runs a program as a container does: with its user, its capabilities, none of which it gets back, and a read-only root. In a
 * lab of an ordinary user there is no user but root, and capabilities count in the lab alone: they give no real time there. Where root's
 * files are closed to others the program stays root's, without capabilities. For root, or inside a lab.
 */
export function asContainer(
  { securityContext, args = [] }: Container,
  argv: readonly string[],
  { more = [], without = [], isLab = true }: PodChanges & { readonly isLab?: boolean } = {},
): string[] {
  const { runAsUser, readOnlyRootFilesystem, capabilities = {} } = securityContext ?? {};
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && !isLab) return [...argv]; // It has less than any container.
  const wanted = [...(capabilities.add ?? []), ...portCapability(args), ...more].map((name) => name.toLowerCase());
  const kept = wanted.filter((name) => !without.includes(name)).map((name) => `+${name}`);
  const program = argv.find((one) => /^\/.*\.[jt]s$/.test(one)) ?? import.meta.filename;
  const user = runAsUser === undefined || runAsUser === 0 || !isRoot || !isOpenToAll(dirname(program)) ? [] : [`${runAsUser}`];
  return [
    ...(readOnlyRootFilesystem ? ["unshare", "--mount", "sh", "-c", readOnlyRoot, "sh"] : []),
    "setpriv",
    ...user.flatMap((id) => [`--reuid=${id}`, `--regid=${id}`, "--clear-groups"]),
    ...["--no-new-privs", "--inh-caps=-all", `--bounding-set=${["-all", ...kept].join()}`],
    ...argv,
  ];
}

/** The same for a program that stands for controller or speaker, or is it; outside a lab when unset. */
export function asPod(
  name: "controller" | "speaker",
  argv: readonly string[],
  { isLab = false, more = [] }: { readonly isLab?: boolean; readonly more?: readonly string[] } = {},
): string[] {
  const [container] = podTemplate(baseManifests(), name === "controller" ? "Deployment" : "DaemonSet", name).spec.containers;
  return asContainer(container, argv, { isLab, more });
}

/** The capability that the chart adds. */
function portCapability(args: readonly string[]): string[] {
  const port = Number(args.findLast((text) => text.startsWith("--bgp-port="))?.slice("--bgp-port=".length) ?? 0);
  return port > 0 && port < 1024 ? ["NET_BIND_SERVICE"] : [];
}

function isOpenToAll(folder: string): boolean {
  const parent = dirname(folder);
  return (statSync(folder).mode & 0o5) === 0o5 && (parent === folder || isOpenToAll(parent));
}
