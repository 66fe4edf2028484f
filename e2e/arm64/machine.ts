import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";
import { modulesFor } from "../../release/modules.ts";
import { writeRoot } from "../../release/root.ts";

const project = resolve(import.meta.dirname, "../..");

/** Why tests for arm64 are skipped here; undefined where they run. */
export const cannotEmulate = hasQemu()
  ? undefined
  : "arm64 takes qemu-aarch64-static here; on Debian and Ubuntu: apt-get install qemu-user-static";

function hasQemu(): boolean {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.some((folder) => existsSync(join(folder, "qemu-aarch64-static")));
}

/**
 * Programs for arm64 under emulation, with the files of the image for arm64 as its root, and the project beside them, whose libraries
 * are the image's where they are not JavaScript. qemu does not run what such a program starts.
 */
export class Arm64Machine implements Disposable {
  /** Root folder of the image. */
  readonly root: string;
  /** A copy of the project; tests run here. */
  readonly project: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.root = join(directory, "root");
    this.project = join(directory, "project");
  }

  static async create(): Promise<Arm64Machine> {
    const machine = new Arm64Machine(mkdtempSync(join(tmpdir(), "ingot-arm64-")));
    const parts = join(machine.#directory, "parts");
    await writeRoot(parts, "arm64");
    for (const part of readdirSync(parts)) cpSync(join(parts, part), machine.root, { recursive: true, verbatimSymlinks: true });
    const modules = join(machine.project, "node_modules");
    await mkdir(modules, { recursive: true });
    for (const name of ["package.json", "pkg", "ctl", "config-samples", "e2e"])
      cpSync(join(project, name), join(machine.project, name), { recursive: true });
    const own = await modulesFor("arm64"); // With koffi's addon.
    for (const name of readdirSync(join(project, "node_modules")))
      symlinkSync(join(existsSync(join(own, name)) ? own : join(project, "node_modules"), name), join(modules, name));
    return machine;
  }

  /** Runs Node to its end. @returns what it wrote to standard output; rejects as `execFile` does */
  async node(args: readonly string[]): Promise<string> {
    return this.run([join(this.root, "usr/local/bin/node"), ...args]);
  }

  /** Runs any program for arm64; see `node`. */
  async run(command: readonly string[]): Promise<string> {
    const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env; // Variables of the test runner that this may be a part of are left out.
    const options = { cwd: this.project, env, maxBuffer: 1 << 26 };
    const { stdout } = await promisify(execFile)("qemu-aarch64-static", ["-L", this.root, ...command], options);
    return stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
