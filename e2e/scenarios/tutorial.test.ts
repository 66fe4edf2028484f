import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { Lab, waitFor } from "#e2e/lab";
import { blocks, page, root } from "../../docs/generate/markdown.ts";

interface Step {
  readonly place: string;
  readonly command: string;
  readonly output: string;
}

/** The commands of the page behind `$`, each with the lines below it. */
const steps: readonly Step[] = blocks(page("docs/tutorial.md")).flatMap(({ place, text }) =>
  text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = "", ...lines] = part.split("\n");
      return { place, command, output: lines.join("\n") };
    }),
);

/** Text without what differs from run to run, or between versions of kubectl: times, the Pod that answers, widths of columns. */
function comparable(text: string): string {
  return text
    .replaceAll(/\b\d+(ms|s|m|h)\b/g, "TIME")
    .replaceAll(/web-[12] on node[12]/g, "a Pod")
    .replaceAll(/ from \w+ namespace$/gm, "") // Which older versions of kubectl do not say.
    .replaceAll(/[ \t]+/g, " ")
    .replaceAll(/ +$/gm, "")
    .trim();
}

/** Whether it may be run again until the processes have noticed what was done before. */
const isQuestion = (command: string) => /^(ingotctl (?!apply)|kubectl get |\$CLIENT )/.test(command);

const needsKubectl = spawnSync("kubectl", ["version", "--client"]).error !== undefined && "needs kubectl";

test("each command of the tutorial prints what the page shows", {
  skip: (await Lab.refusal()) || needsKubectl,
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "ingot-tutorial-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const lab = spawn(process.execPath, [join(root, "e2e/demo-cluster/main.ts"), "--directory", join(folder, "lab")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(lab, "exit");
  try {
    const lines: string[] = [];
    for await (const line of createInterface({ input: lab.stdout })) if (lines.push(line) && line.startsWith("  node3 ")) break;
    const printed = (pattern: RegExp) => lines.map((line) => pattern.exec(line)?.[1]).find(Boolean) ?? "";
    const env = {
      ...process.env,
      PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}`,
      KUBECONFIG: printed(/^ {2}export KUBECONFIG=(.*)$/),
      CLIENT: printed(/^ {2}client +(nsenter .*)$/),
    };
    const run = (command: string) => spawnSync("sh", ["-c", `exec 2>&1; ${command}`], { cwd: folder, env, encoding: "utf8" });
    for (const { place, command, output } of steps) {
      const check = async (): Promise<true> => {
        const { stdout } = run(command);
        assert.equal(comparable(stdout), comparable(output), `${place}: $ ${command}`);
        return true;
      };
      await (isQuestion(command) ? waitFor(command, check, { timeout: 60_000, every: 200 }) : check());
    }
    assert.ok(steps.length > 15);
  } finally {
    lab.kill("SIGINT");
    await ended;
  }
});
