import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Break, broken, root } from "./break.ts";

/** What the tests said. */
export interface Verdict {
  readonly failed: boolean;
  /** The first test that failed, or how the run ended. */
  readonly first: string | undefined;
}

const parts = ["controller", "speaker", "ctl", "pkg", "e2e", "config-samples", "package.json", "tsconfig.json"];
const testMs = 60_000;

/** A copy of the sources, in which a fault is made, tried and undone. */
export class Workshop implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "ingot-mutation-"));

  constructor() {
    for (const part of parts) cpSync(`${root}${part}`, join(this.#folder, part), { recursive: true });
    symlinkSync(`${root}node_modules`, join(this.#folder, "node_modules"));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async try(fault: Break): Promise<Verdict> {
    const file = join(this.#folder, fault.file);
    const sound = readFileSync(file);
    writeFileSync(file, broken(fault));
    try {
      return await this.test(fault.tests);
    } finally {
      writeFileSync(file, sound);
    }
  }

  /** Runs test files. One that hangs is ended, and has failed. */
  async test(files: readonly string[]): Promise<Verdict> {
    const options = ["--test", "--test-reporter=tap", "--test-concurrency=1", `--test-timeout=${testMs}`];
    const child = spawn(process.execPath, [...options, ...files], {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const output = await text(child.stdout);
    const failures = [...output.matchAll(/^ *not ok \d+ - (.*)$/gm)].map(([, name = ""]) => name);
    return { failed: (await ended) !== 0, first: failures[0] };
  }
}
