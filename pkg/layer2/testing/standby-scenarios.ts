import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync } from "node:fs";
import { after, before, test } from "node:test";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { Layer2, type Layer2Options } from "../layer2.ts";
import { ip, Lan } from "./lan.ts";
import { descriptors, macText, netlinkDescriptors, started, statusOf, until } from "./support.ts";

/** The time before anything is announced, and the beginning of the thread that answers, in a network namespace. Run by `layer2.test.ts`. */

const virtual = address("192.0.2.100");
let lan: Lan;
let workers = 0; // Begun by this process so far.
process.on("worker", () => workers++);

before(async () => {
  lan = await Lan.start();
  await lan.join("lan0", "host0", "192.0.2.2/24");
});

after(() => lan[Symbol.dispose]());

async function idle(options: Partial<Layer2Options> = {}): Promise<Layer2> {
  const layer2 = new Layer2({ log: silentLog, ...options });
  await layer2.start();
  return layer2;
}

test("without an address there is no thread, and the interfaces are known as they change", async () => {
  const before = workers;
  await using layer2 = await idle();
  assert.equal(statusOf(layer2, "lan0"), "answering");
  assert.equal(statusOf(layer2, "lo"), "loopback");
  ip("link add late0 type veth peer name late1");
  await until(() => statusOf(layer2, "late0") === "down");
  ip("link set late0 up");
  await until(() => statusOf(layer2, "late0") === "answering");
  ip("link delete late0");
  await until(() => statusOf(layer2, "late0") === undefined);
  assert.equal(workers, before);
});

/** Every report about interfaces after the kernel has found that nobody else has their addresses. */
async function reporting(): Promise<{ readonly layer2: Layer2; readonly reports: readonly string[] }> {
  const reports: string[] = [];
  const layer2 = await idle({ onInterfaces: (interfaces) => reports.push(JSON.stringify(interfaces)) });
  await until(() => !reports.at(-1)?.includes("unfit"));
  return { layer2, reports };
}

test("the thread reports the same interfaces in the same words", async () => {
  const { layer2, reports } = await reporting();
  await using _ = layer2;
  const known = reports.length;
  await layer2.begin();
  await until(() => reports.length > known);
  assert.equal(reports[known], reports[known - 1]);
  assert.equal(reports.at(-1), JSON.stringify(layer2.interfaces()));
});

test("an address for named interfaces that comes before the thread has read the interfaces takes none of them away", async () => {
  const { layer2, reports } = await reporting();
  await using _ = layer2;
  const known = reports.length;
  const begun = layer2.begin();
  layer2.announce(virtual, { interfaces: ["lan0"] });
  await begun;
  await until(() => reports.length > known);
  assert.equal(reports[known], reports[known - 1]);
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
});

test("a change that was taken back before it was heard of is reported: who asked the kernel may have seen it", async () => {
  const { layer2, reports } = await reporting();
  await using _ = layer2;
  for (const phase of ["standby", "thread"]) {
    if (phase === "thread") await layer2.begin();
    await until(() => reports.at(-1) === JSON.stringify(layer2.interfaces()));
    const known = reports.length;
    ip("address add 203.0.113.9/24 dev lan0");
    ip("address del 203.0.113.9/24 dev lan0");
    await until(() => reports.length > known);
    await until(() => !reports.at(-1)?.includes("203.0.113.9"));
  }
});

for (const state of ["announce", "listen"] as const)
  test(`the first address begins the thread, once: ${state}`, async () => {
    const before = workers;
    await using layer2 = await idle();
    layer2[state](virtual);
    layer2[state](address("2001:db8::100"));
    await layer2.begin();
    assert.equal(workers, before + 1);
    assert.equal(await lan.call("resolve", "192.0.2.100"), state === "announce" ? macText("lan0") : undefined);
  });

test("an address that was announced before the start is answered for", async () => {
  await using layer2 = new Layer2({ log: silentLog });
  layer2.announce(virtual);
  await layer2.start();
  assert.equal(await lan.call("resolve", "192.0.2.100", 10_000), macText("lan0")); // The thread begins meanwhile.
});

test("an address that was withdrawn while the thread began is not answered for", async () => {
  await using layer2 = await idle();
  layer2.announce(virtual);
  layer2.withdraw(virtual);
  await layer2.begin();
  assert.equal(await lan.call("resolve", "192.0.2.100", 1000), undefined);
});

test("no change of interfaces is lost while the thread begins, whenever it comes", async () => {
  for (let round = 0; round < 5; round++) {
    await using layer2 = await idle();
    ip(`link add before${round} type veth peer name peer-a${round}`);
    const begun = layer2.begin();
    ip(`link add during${round} type veth peer name peer-b${round}`);
    await begun;
    ip(`link add after${round} type veth peer name peer-c${round}`);
    const made = ["before", "during", "after"].map((when) => `${when}${round}`);
    await until(() => made.every((name) => statusOf(layer2, name) === "down"));
    for (const name of made) ip(`link delete ${name}`);
    await until(() => made.every((name) => statusOf(layer2, name) === undefined));
  }
});

test("one that fell silent before the thread began announces nothing, and answers", async () => {
  await using layer2 = await idle({ refreshMs: 20 });
  layer2.stopAnnouncing();
  layer2.announce(virtual);
  await layer2.begin();
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
  assert.equal([...layer2.addressCounters()][0]?.gratuitousSent, 0);
});

test("interfaces that can no longer be watched are logged, and the thread takes over", async () => {
  const errors: string[] = [];
  await using layer2 = await idle({ log: { ...silentLog, error: (message) => errors.push(message) } });
  const [netlink = -1, ...others] = netlinkDescriptors();
  assert.deepEqual(others, []);
  ip("link add late0 type veth peer name late1");
  closeSync(netlink); // A broken invariant, as good as any; found when what came before is read.
  await until(() => statusOf(layer2, "late0") === "down");
  assert.deepEqual(errors, ["interfaces cannot be watched, leaving it to the thread that answers"]);
  ip("link delete late0");
});

const disposals: { name: string; until: (layer2: Layer2) => Promise<unknown> }[] = [
  { name: "before the start", until: async () => {} },
  { name: "before the thread begins", until: (layer2) => layer2.start() },
  { name: "while the thread begins", until: (layer2) => layer2.start().then(() => void layer2.begin()) },
  { name: "when the thread answers", until: (layer2) => layer2.start().then(() => layer2.begin()) },
];
for (const { name, until } of disposals)
  test(`disposing ends every thread and closes every socket: ${name}`, async () => {
    await (await started())[Symbol.asyncDispose](); // Files that are opened once and kept are open from now on.
    const before = descriptors();
    const layer2 = new Layer2({ log: silentLog });
    await until(layer2);
    await layer2[Symbol.asyncDispose]();
    await layer2.begin(); // Does nothing any more.
    assert.deepEqual(descriptors(), before);
  });

test("a start under way fails when it is disposed of", async () => {
  const layer2 = new Layer2({ log: silentLog });
  const starting = layer2.start();
  const disposing = layer2[Symbol.asyncDispose]();
  await assert.rejects(starting, { name: "Layer2Error", cause: new Error("disposed before it was ready") });
  await disposing;
});

for (const [name, then] of Object.entries({ "before the thread begins": "", "when the thread answers": "await layer2.begin();" }))
  test(`a process that exits without disposing does not hang: ${name}`, () => {
    const script = `
    const { Layer2 } = await import(${JSON.stringify(new URL("../index.ts", import.meta.url).href)});
    const { silentLog } = await import("#pkg/log/testing");
    const layer2 = new Layer2({ log: silentLog });
    await layer2.start();
    ${then}
    process.exit(7);`;
    const { status } = spawnSync(process.execPath, ["--eval", script], { timeout: 60_000 });
    assert.equal(status, 7);
  });
