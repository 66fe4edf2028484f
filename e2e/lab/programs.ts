import { join, resolve } from "node:path";

/** Programs that people run. */
export type ProgramName = "controller" | "speaker" | "ingotctl";

const sources: Readonly<Record<ProgramName, string>> = {
  controller: "controller/main.ts",
  speaker: "speaker/main.ts",
  ingotctl: "ctl/main.ts",
};

/**
 * Folder with the programs as the image has them, of these very sources; undefined where the sources themselves are run. A bundle starts in a third
 * of the processor time that a program of some hundred files takes, and tests start some thousand.
 */
export const programBundles = process.env.INGOT_BUNDLES || undefined;

/** The file that Node is told to run: the source, or the bundle of it where `programBundles` has it. */
export function programFile(name: ProgramName, bundles = programBundles): string {
  return bundles === undefined ? resolve(import.meta.dirname, "../..", sources[name]) : join(bundles, `${name}.js`);
}
