import { baseManifests, podTemplate } from "#e2e/demo-cluster";

/** How the manifests run one of the programs. */
export interface ManifestProgram {
  readonly nodeFlags: readonly string[];
  readonly args: readonly string[];
  /** Variables of a particular cluster, such as the name of the node, are left out. */
  readonly env: Readonly<Record<string, string>>;
}

export function manifestProgram(name: "controller" | "speaker"): ManifestProgram {
  const template = podTemplate(baseManifests(), name === "controller" ? "Deployment" : "DaemonSet", name);
  const [{ command = [], args = [], env = [] }] = template.spec.containers;
  const own = env.flatMap(({ name, value }) => (name.startsWith("METALLB_") || !value ? [] : [[name, value]]));
  return { nodeFlags: command.slice(1, -1), args, env: Object.fromEntries(own) };
}
