import { globSync } from "node:fs";
import { join } from "node:path";
import { createRegistry, KubernetesMetrics, type Registry } from "#pkg/metrics";
import { root } from "./markdown.ts";

type Program = "controller" | "speaker";

/** Stands for all that metrics are read from when they are scraped, which is never here. */
const nothing: object = new Proxy(() => nothing, { get: () => nothing });

const registries = { controller: await registryOf("controller"), speaker: await registryOf("speaker") };

/** Runs the parts of a program that define metrics: the functions and classes that its files called metrics export. */
async function registryOf(program: Program): Promise<Registry> {
  const registry = createRegistry();
  for (const file of globSync(`${program}/**/*metrics.ts`, { cwd: root }).sort()) {
    const exported = (await import(join(root, file))) as Record<string, unknown>;
    for (const [name, define] of Object.entries(exported)) {
      if (typeof define !== "function") continue;
      if (name === "ControllerMetrics") Reflect.construct(define, [registry]);
      else if (/^(register|create)/.test(name)) define(registry, nothing, nothing);
    }
  }
  const shared = "metallb_k8s_client_updates_total"; // The controller's have been defined with the others.
  if (registry.getSingleMetric(shared) === undefined) new KubernetesMetrics(registry);
  return registry;
}

interface Described {
  readonly name: string;
  /** Type of a metric that is read when it is scraped; others are of a class of `prom-client` that is named for it. */
  readonly type?: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** Names of all metrics of a program. */
export function metricNames(program: Program): string[] {
  return described(program).map(({ name }) => name);
}

/** Markdown: a row for each metric of a program. */
export function metricsTable(program: Program): string {
  const rows = described(program).map((metric) => {
    const { name, help, labelNames = [] } = metric;
    const labels = labelNames.length === 0 ? "" : `{${labelNames.join(",")}}`;
    return `| \`${name}${labels}\` | ${metric.type ?? metric.constructor.name.toLowerCase()} | ${help} |`;
  });
  return `${["| metric | type | |", "|---|---|---|", ...rows].join("\n")}\n`;
}

function described(program: Program): Described[] {
  const metrics = registries[program].getMetricsAsArray() as unknown as Described[];
  const own = metrics.filter(({ name }) => !/^(process|nodejs)_/.test(name));
  return own.sort((a, b) => (a.name < b.name ? -1 : 1));
}
