import { asContainer, baseManifests, podTemplate } from "#e2e/demo-cluster";

/** How the manifests run one of the programs. */
export interface ManifestProgram {
  readonly nodeFlags: readonly string[];
  readonly args: readonly string[];
  /** What it says of a cluster's own, such as the name of the node, is left out. */
  readonly env: Readonly<Record<string, string>>;
  /** The command that runs another as the manifests do, in a lab. */
  readonly asContainer: (argv: readonly string[]) => string[];
}

export function manifestProgram(name: "controller" | "speaker"): ManifestProgram {
  const template = podTemplate(baseManifests(), name === "controller" ? "Deployment" : "DaemonSet", name);
  const [container] = template.spec.containers;
  const { command = [], args = [], env = [] } = container;
  const own = env.flatMap(({ name, value }) => (name.startsWith("METALLB_") || !value ? [] : [[name, value]]));
  const inContainer = (argv: readonly string[]) => asContainer(container, argv);
  return { nodeFlags: command.slice(1, -1), args, env: Object.fromEntries(own), asContainer: inContainer };
}
