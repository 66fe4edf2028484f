import { join, resolve } from "node:path";

/** Programs of labs, which no image has. */
export const labPrograms = {
  apiserver: "e2e/apiserver/main.ts",
  "service-proxy": "e2e/demo-cluster/service-proxy.ts",
  "pod-process": "e2e/demo-cluster/pod-process.ts",
  "relay-process": "e2e/lab/relay-process.ts",
} as const;

const sources = {
  controller: "controller/main.ts", // These three are what people run.
  speaker: "speaker/main.ts",
  ingotctl: "ctl/main.ts",
  ...labPrograms,
} as const;

export type ProgramName = keyof typeof sources;

/**
 * Folder with the programs as the image has them, and those of labs, of these very sources; undefined where the sources themselves are run. A bundle
 * starts in a third of the processor time that a program of some hundred files takes, and tests start some thousand.
 */
export const programBundles = process.env.INGOT_BUNDLES || undefined;

/** The file that Node is told to run: the source, or the bundle of it where `programBundles` has it. */
export function programFile(name: ProgramName, bundles = programBundles): string {
  return bundles === undefined ? resolve(import.meta.dirname, "../..", sources[name]) : join(bundles, `${name}.js`);
}
