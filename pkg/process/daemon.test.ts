import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";

const program = new URL("testing/daemon.ts", import.meta.url).pathname;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the daemon; each time a line with `when` is printed, sends the next signal. */
async function run(args: string[], when?: string, signals: NodeJS.Signals[] = [], file = [program]): Promise<Ended> {
  const child: ChildProcess = spawn(process.execPath, [...file, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  const pending = [...signals];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (when !== undefined && text.includes(when)) child.kill(pending.shift());
    if (text.includes('"stopping"') && pending.length > 0) child.kill(pending.shift());
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

test("SIGTERM lets it finish what is in flight, and it exits with 0", async () => {
  const { code, stdout } = await run([], '"started"', ["SIGTERM"]);
  assert.equal(code, 0);
  assert.deepEqual(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).msg),
    ["started", "stopping", "taking leave", "in flight is done", "stopped"],
  );
});

// As in a container, where a process has to handle a signal to end by it.
const asFirst = ["--user", "--map-root-user", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const canBeFirst = spawnSync("unshare", [...asFirst, "true"]).status === 0;

for (const { name, sends, ends } of [
  {
    name: "SIGTERM while a container's first process loads its program ends it",
    sends: true,
    ends: /"started".*"stopping".*"stopped"/s,
  },
  { name: "a container's first process that gets no signal goes on", sends: false, ends: /"started"\}\n$/ },
])
  test(name, { skip: !canBeFirst && "needs unshare and user namespaces" }, async () => {
    const load = "data:text/javascript,console.log('loading'); for (const end = Date.now() + 300; Date.now() < end; );";
    const child = spawn("unshare", [...asFirst, process.execPath, "--import", load, program], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ");
      if (sends && text.includes("loading")) process.kill(Number(first), "SIGTERM");
      if (text.includes('"started"')) setTimeout(() => child.kill("SIGKILL"), 1_000);
    });
    await once(child, "close");
    assert.match(stdout, ends);
  });

test("a second signal ends it at once", async () => {
  const { code, stdout } = await run(["--mode=stubborn"], '"started"', ["SIGTERM", "SIGINT"]);
  assert.equal(code, 1);
  assert.doesNotMatch(stdout, /"stopped"/);
});

test("a stop that takes too long is given up", async () => {
  const { code, stdout } = await run(["--mode=stubborn"], '"started"', ["SIGTERM"]);
  assert.equal(code, 1);
  assert.match(stdout, /stopping took too long/);
});

test("what only the start needed of Node's program is given back, and it goes on", async () => {
  const { code, stdout, stderr } = await run(["--mode=settled"], "pages are given back", ["SIGTERM"]);
  assert.equal(code, 0);
  assert.match(stdout, /"stopped"/);
  assert.match(stderr, /^settled$/m);
});

test("a start that fails exits with 1 and says why", async () => {
  const { code, stdout } = await run(["--mode=broken"]);
  assert.equal(code, 1);
  assert.match(stdout, /"level":"error","msg":"cannot start".*no kubeconfig/);
});

test("a rejection that nobody handles exits with 1 and says where it came from", async () => {
  const { code, stdout } = await run(["--mode=rejection"]);
  assert.equal(code, 1);
  assert.match(stdout, /unexpected error.*out of the blue.*daemon\.ts/);
});

test("of a bundle the stack of a crash names the source, and no error before it parses the source map", async () => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-daemon-test-"));
  try {
    const bundle = join(directory, "daemon.mjs");
    symlinkSync(join(import.meta.dirname, "../../node_modules"), join(directory, "node_modules"));
    await build({
      entryPoints: [program],
      outfile: bundle,
      bundle: true,
      platform: "node",
      format: "esm",
      sourcemap: true,
      external: ["koffi"],
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    });
    const crashed = await run(["--mode=rejection"], undefined, [], [bundle]);
    assert.match(crashed.stdout, /unexpected error.*out of the blue.*testing\/daemon\.ts/);
    const caught = await run(["--mode=error"], '"started"', ["SIGTERM"], [bundle]);
    assert.match(caught.stdout, /"caught".*Error: expected\\n {4}at .*daemon\.mjs/);
    assert.doesNotMatch(caught.stdout, /daemon\.ts/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a bad command line exits with 2, on standard error", async () => {
  const { code, stdout, stderr } = await run(["--mode"]);
  assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
  assert.match(stderr, /^flag --mode needs a value/);
});

test("--help exits with 0, on standard output", async () => {
  const { code, stdout } = await run(["--help"]);
  assert.equal(code, 0);
  assert.match(stdout, /^a daemon for the tests\n/);
});
