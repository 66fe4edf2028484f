import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { build } from "./build.ts";

// Outside the project, so that nothing of the project's node_modules is found.
const directory = mkdtempSync(join(tmpdir(), "ingot-build-test-"));
before(() => build(directory));
after(() => rmSync(directory, { recursive: true }));

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Record<string, { version: string; integrity?: string; dev?: boolean; hasInstallScript?: boolean }>;
};

for (const name of ["controller", "speaker", "ingotctl"]) {
  test(`the bundle ${name}.js runs with nothing around it but what was built`, () => {
    const output = execFileSync(process.execPath, [`${name}.js`, "--help"], { cwd: directory, encoding: "utf8" });
    assert.match(output, /ingot/);
    assert.ok(existsSync(join(directory, name === "ingotctl" ? "ingotctl-program.js.map" : `${name}.js.map`)));
  });
}

test("under a Node that is too old ingotctl says which one it takes, and ends with status 2", () => {
  // Node knows no other version of itself here: the file is read as that Node reads it, which has to know all of its words.
  const text = readFileSync(join(directory, "ingotctl.js"), "utf8");
  assert.doesNotMatch(text, /\b(?:using|require)\b|^import /m);
  const old = `Object.defineProperty(process, "versions", { value: { node: "20.20.2" } });`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(old)}`, "ingotctl.js", "--version"],
    { cwd: directory, encoding: "utf8" },
  );
  assert.equal(stdout, "");
  assert.match(stderr, /^ingotctl: this takes Node 24 or later, and \S+ is Node 20\.20\.2; .*\n$/);
  assert.equal(status, 2);
});

test("the code of ingotctl is kept in the person's own folder for caches, and nowhere without one", () => {
  const home = mkdtempSync(join(tmpdir(), "ingot-home-"));
  mkdirSync(join(home, ".cache"));
  const start = (env: NodeJS.ProcessEnv) =>
    execFileSync(process.execPath, ["ingotctl.js", "--version"], { cwd: directory, env, encoding: "utf8" });
  try {
    const first = start({ HOME: home });
    assert.ok(readdirSync(join(home, ".cache/ingotctl")).length > 0);
    for (const env of [{ HOME: home }, { HOME: "/proc/none" }, {}]) assert.equal(start(env), first);
  } finally {
    rmSync(home, { recursive: true });
  }
});

test("the bundled ingotctl has the page of its dashboard inside", async () => {
  const pod = { metadata: { name: "controller", labels: { app: "metallb", component: "controller" } }, spec: {}, status: {} };
  const api = createServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ kind: "PodList", apiVersion: "v1", metadata: {}, items: [pod] }));
  }).listen(0, "127.0.0.1");
  await once(api, "listening");
  const kubeconfig = join(directory, "kubeconfig");
  const clusters = [
    {
      name: "a",
      cluster: { server: `http://127.0.0.1:${(api.address() as AddressInfo).port}`, "insecure-skip-tls-verify": true },
    },
  ];
  const contexts = [{ name: "a", context: { cluster: "a", user: "a" } }];
  writeFileSync(kubeconfig, JSON.stringify({ clusters, contexts, users: [{ name: "a", user: {} }], "current-context": "a" }));
  const program = spawn(process.execPath, ["ingotctl.js", "dashboard", "--kubeconfig", kubeconfig], { cwd: directory });
  try {
    const [printed] = await Promise.race([once(program.stdout, "data"), once(program.stderr, "data")]);
    const [url] = /http:\S+/.exec(`${printed}`) ?? assert.fail(`${printed}`);
    const files = await Promise.all(["", "app.js", "app.css"].map(async (file) => (await fetch(`${url}${file}`)).text()));
    assert.match(files[0] ?? "", /<div id="app">/);
    for (const file of files.slice(1)) assert.ok(file.length > 1_000, file);
  } finally {
    program.kill("SIGINT");
    await once(program, "exit");
    api.close();
    api.closeAllConnections();
  }
});

test("a bundle loads a module of Node when it first calls one of its functions", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ingot-lazy-test-"));
  try {
    const source = `import { randomBytes } from "node:crypto";
import { Socket } from "node:net";
const isLoaded = (name) => process.moduleLoadList.includes("NativeModule " + name);
const before = isLoaded("crypto");
console.log(before, randomBytes(3).length, randomBytes(5).length, isLoaded("crypto"), new Socket().destroyed);`;
    writeFileSync(join(folder, "lazy.ts"), source);
    await build(join(folder, "built"), undefined, { lazy: relative(import.meta.dirname, join(folder, "lazy.ts")) });
    const output = execFileSync(process.execPath, [join(folder, "built/lazy.js")], { encoding: "utf8" });
    assert.equal(output, "false 3 5 true false\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("koffi's addon is beside the bundles, and can all that ours call", () => {
  const script = `const addon = { exports: {} };
process.dlopen(addon, "./koffi.node");
console.log(addon.exports.load("libc.so.6").func("int getpid()")() === process.pid)`;
  assert.equal(execFileSync(process.execPath, ["-e", script], { cwd: directory, encoding: "utf8" }), "true\n");
});

test("the threads are bundled beside the programs", () => {
  for (const name of ["config", "layer2", "bfd", "memberlist", "controller-checkpoint", "speaker-checkpoint"])
    assert.ok(existsSync(join(directory, `${name}-worker.js`)), name);
});

test("no bundle imports a module of Node's as such: Node would read all that it exports, and so load its fetch, which takes 14 MB", () => {
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".js")))
    assert.doesNotMatch(readFileSync(join(directory, name), "utf8"), /\bfrom"node:|\bimport"node:/, name);
});

test("a speaker and its threads load no module of Node's that few of them use", () => {
  const script = `process.argv = [process.execPath, "speaker.js", "--help"];
process.on("exit", () => console.error(process.moduleLoadList.filter((name) => /undici|child_process|cluster|internal.fs.streams|test_runner/.test(name)).join()));
await import("./speaker.js");`;
  const { stderr } = spawnSync(process.execPath, ["--no-node-snapshot", "--input-type=module", "-e", script], {
    cwd: directory,
    encoding: "utf8",
  });
  assert.equal(stderr.trim(), "");
});

test("no bundle has a character that takes Node two octets of memory for each of all", () => {
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".js")))
    assert.doesNotMatch(readFileSync(join(directory, name), "utf8"), /[\u0100-\uffff]/, name);
});

test("every package of the lock file has a checksum, the Node that runs everything too", () => {
  const without = Object.entries(packages).filter(([path, { integrity }]) => path !== "" && !integrity?.startsWith("sha512-"));
  assert.deepEqual(without, []);
  assert.ok(packages[`node_modules/node-linux-${process.arch}`]?.version === process.versions.node);
});
