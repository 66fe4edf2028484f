import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ClusterOptions } from "../cluster/processes.ts";
import { Exit } from "../command.ts";
import { commands } from "../commands.ts";
import { clusterProcesses } from "../dashboard/testing/cluster.ts";
import { run } from "../run.ts";
import { fakeIo, ingotctl } from "../testing/ingotctl.ts";
import { smallCluster } from "../testing/small-cluster.ts";

const missing = (shell: string) => spawnSync(shell, ["--version"]).error !== undefined && `${shell} is missing: install it`;

test("what help lists is what is parsed, with its value", async () => {
  const diff = commands.get("diff");
  assert.ok(diff);
  assert.match(diff.help, /^ {2}-o, --output FORMAT {8}wide, json or yaml$/m);
  for (const [name, { options, help }] of commands) {
    const listed = [...help.matchAll(/^ {2,}(?:(-\w), )?--([\w-]+)(?: ([A-Z]+))? {2,}\S/gm)].map(([, , option]) => option);
    assert.deepEqual(listed, Object.keys(options), name);
  }
});

/** Bash's offers for the last of the words. */
async function bash(...words: string[]): Promise<string[]> {
  const { out } = await ingotctl("completion bash");
  const line = words.map((word) => `'${word}'`).join(" ");
  const script = `${out}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; compopt() { :; }; _ingotctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout.split("\n").filter(Boolean);
}

test("names in the cluster are listed for shells, and nothing without a cluster", async () => {
  const { out } = await ingotctl("completion names", { processes: smallCluster().processes });
  assert.match(out, /^node\/n1$/m);
  assert.equal((await ingotctl("completion names node", { processes: smallCluster().processes })).out, "n1\nn2\n");
  const services = [{ key: "shop/web", address: "192.0.2.1", owner: "n1" }];
  const processes = clusterProcesses(() => ({ nodes: ["n1"], services, silent: {} }));
  const offers = async (args: string) => (await ingotctl(args, { processes })).out;
  assert.equal(await offers("completion names svc/"), "svc/shop/web\n");
  for (const name of ["history", "probe"]) assert.equal(commands.get(name)?.completes, "svc/", "it takes nothing else");
  assert.deepEqual([(await ingotctl("completion names")).out, (await ingotctl("completion names")).status], ["", Exit.ok]);
});

test("names are those of the cluster that the line names", async () => {
  const asked: ClusterOptions[] = [];
  const connect = async (options: ClusterOptions) => {
    asked.push(options);
    return smallCluster().processes;
  };
  const outside = fakeIo();
  const io = { ...outside, cluster: { ...outside.cluster, connect } };
  const lines = [
    "ingotctl services --context prod --system-namespace lb",
    "ingotctl explain --system-namespace = lb --context=prod", // As bash has it.
    "ingotctl explain",
    "ingotctl explain --kubeconfig ~/.kube/edge", // No shell has put the folder there yet.
  ];
  for (const line of lines) await run(["completion", "names", "node", "--", ...line.split(" ")], io);
  assert.deepEqual(
    asked.map(({ context, systemNamespace, kubeconfig }) => [context, systemNamespace, kubeconfig]),
    [
      ["prod", "lb", undefined],
      ["prod", "lb", undefined],
      [undefined, "metallb-system", undefined],
      [undefined, "metallb-system", join(homedir(), ".kube/edge")],
    ],
  );
});

const offered: { words: string[]; want: string[] }[] = [
  { words: ["ingotctl", "stat"], want: ["status"] },
  { words: ["ingotctl", "services", "--prob"], want: ["--problems"] },
  { words: ["ingotctl", "-n", "services", "--all"], want: ["--all-namespaces"] },
  { words: ["ingotctl", "explain", "n"], want: ["node/"] },
  { words: ["ingotctl", "simulate", "dr"], want: ["drain"] },
  { words: ["ingotctl", "services", "-o", "j"], want: ["json"] },
  { words: ["ingotctl", "validate", "-o", "w"], want: [] },
  { words: ["ingotctl", "convert", "--prefer", "b"], want: ["bgp"] },
  { words: ["ingotctl", "completion", "f"], want: ["fish"] },
  { words: ["ingotctl", "validate", "config.ya"], want: [] },
];
for (const { words, want } of offered)
  test(`bash completes ${words.join(" ")}`, { skip: missing("bash") }, async () => {
    assert.deepEqual(await bash(...words), want);
  });

const offeredToKubectl: { words: string[]; want: string[] }[] = [
  { words: ["stat"], want: ["status", ":4"] },
  { words: ["explain", "no"], want: ["node/", ":2"] },
  { words: ["services", "-o", "j"], want: ["json", ":4"] },
  { words: ["validate", "config.ya"], want: [":0"] },
];
for (const { words, want } of offeredToKubectl)
  test(`kubectl completes kubectl ingot ${words.join(" ")}`, { skip: missing("bash") }, (t) => {
    const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const program = join(folder, "kubectl_complete-ingot");
    copyFileSync(join(import.meta.dirname, "kubectl_complete-ingot"), program);
    const main = join(import.meta.dirname, "../main.ts");
    writeFileSync(join(folder, "ingotctl"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 });
    const env = { ...process.env, KUBECONFIG: join(folder, "none") };
    const { stdout, stderr } = spawnSync(program, words, { encoding: "utf8", env });
    assert.deepEqual([stdout.split("\n").filter(Boolean), stderr], [want, ""]);
  });

for (const shell of ["zsh", "fish"])
  test(`${shell} reads its script without an error`, { skip: missing(shell) }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "ingotctl-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "script");
    writeFileSync(file, (await ingotctl(`completion ${shell}`)).out);
    const { status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
  });

test("fish offers commands, options and formats", { skip: missing("fish") }, async () => {
  const { out } = await ingotctl("completion fish");
  const complete = (line: string) =>
    spawnSync("fish", ["--no-config", "-c", `${out}\ncomplete -C '${line}'`], { encoding: "utf8" })
      .stdout.split("\n")
      .map((text) => text.split("\t")[0]);
  assert.ok(complete("ingotctl stat").includes("status"));
  assert.ok(complete("ingotctl services --prob").includes("--problems"));
  assert.ok(complete("ingotctl services -o j").includes("json"));
});

test("completion: another shell, or none, is a usage error", async () => {
  for (const args of ["completion", "completion tcsh", "completion constructor", "completion bash zsh"]) {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, out], [Exit.usage, ""]);
    assert.match(err, /completion takes one of bash, zsh, fish/);
  }
  for (const args of ["help completion", "completion --help"])
    assert.match((await ingotctl(args)).out, /^Usage: ingotctl completion bash\|zsh\|fish\n/);
});
