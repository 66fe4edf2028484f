import { execFile } from "node:child_process";
import { chmod, copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import { embedPage } from "../ctl/dashboard/bundle.ts";
import type { Architecture } from "./debian.ts";
import { modulesFor, nodeArchitecture } from "./modules.ts";

const project = join(import.meta.dirname, "..");
const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2"; // Where Node looks for the program; the same in every Node.

/**
 * Writes `ingotctl` as one executable file that needs no Node: a Node for that architecture with the bundled program inside, as
 * https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html has it. It holds neither a snapshot nor compiled code,
 * which only Node on that architecture could make.
 */
export async function writeExecutable(file: string, architecture: Architecture): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "ingot-executable-"));
  try {
    const [main, output, configuration] = ["main.cjs", "blob", "sea.json"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await esbuild.build({
      absWorkingDir: project,
      entryPoints: ["ctl/main.ts"],
      outfile: main,
      bundle: true,
      platform: "node",
      target: "node24",
      format: "cjs", // Node 24 takes nothing else there.
      minifyWhitespace: true,
      charset: "ascii",
      plugins: [embedPage],
      logLevel: "warning",
      logOverride: { "empty-import-meta": "error" }, // There is no file beside it.
    });
    // Paths in it would be part of the result.
    await writeFile(configuration, JSON.stringify({ main: "main.cjs", output: "blob", disableExperimentalSEAWarning: true }));
    await promisify(execFile)(process.execPath, ["--experimental-sea-config", configuration], { cwd: directory });
    const modules = await modulesFor(architecture);
    await copyFile(join(modules, `node-linux-${nodeArchitecture(architecture)}`, "bin/node"), file);
    await chmod(file, 0o755);
    // It warns of sections that Node's binary has no names for, which is of no consequence.
    await promisify(execFile)(join(project, "node_modules/.bin/postject"), [
      file,
      "NODE_SEA_BLOB",
      output,
      "--sentinel-fuse",
      fuse,
    ]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
