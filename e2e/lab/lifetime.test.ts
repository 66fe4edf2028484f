import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { waitFor } from "#e2e/lab";

const script = fileURLToPath(new URL("testdata/lifetime.ts", import.meta.url));
const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
// Root tries both ways to make a lab; an ordinary user has one.
const users = process.getuid?.() === 0 ? { root: [], "an ordinary user": asNobody } : { "this user": [] };

/** One process for good: numbers of processes and of namespaces are soon used again. */
interface Inhabitant {
  readonly pid: string;
  readonly started: string;
}

/** When it started, in the clock ticks of /proc; undefined when it has ended, even if nobody has reaped it. */
function startOf(pid: string): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ");
    return fields?.[0] === "Z" ? undefined : fields?.[19];
  } catch {
    return undefined;
  }
}

function alive(inhabitants: readonly Inhabitant[]): readonly Inhabitant[] {
  return inhabitants.filter(({ pid, started }) => startOf(pid) === started);
}

/** All processes in these namespaces (`net:[4026532177]`). */
function inhabitantsOf(namespaces: readonly string[]): readonly Inhabitant[] {
  return readdirSync("/proc").flatMap((pid) => {
    const started = startOf(pid);
    if (started === undefined) return [];
    try {
      const kinds = ["pid", "net", "mnt"];
      return kinds.some((kind) => namespaces.includes(readlinkSync(`/proc/${pid}/ns/${kind}`))) ? [{ pid, started }] : [];
    } catch {
      return []; // Ended meanwhile, or another user's.
    }
  });
}

/** Starts a program with a lab. It ends as `end` says when it reads a line. */
async function start(user: readonly string[], end: string): Promise<{ child: ChildProcess; inhabitants: readonly Inhabitant[] }> {
  const [program = "", ...args] = [...user, process.execPath, script, end];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] });
  const [line] = await once(child.stdout, "data");
  const inhabitants = inhabitantsOf(JSON.parse(String(line)));
  // The lab's first process and the two that it was given, and outside of it what each of them was started by.
  assert.ok(inhabitants.length >= 6);
  return { child, inhabitants };
}

for (const [user, prefix] of Object.entries(users)) {
  for (const end of ["return", "throw"])
    test(`as ${user}: nothing is left of a lab by the time its program ends by ${end}`, async () => {
      const { child, inhabitants } = await start(prefix, end);
      assert.ok(!existsSync("/run/netns/lifetime-host"), "names are the lab's own");
      child.stdin?.end("\n");
      const [code] = await once(child, "exit");
      assert.equal(code, end === "throw" ? 1 : 0);
      assert.deepEqual(alive(inhabitants), []);
    });

  for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const)
    test(`as ${user}: nothing is left of a lab soon after its program ends by ${signal}`, async () => {
      const { child, inhabitants } = await start(prefix, "return");
      child.kill(signal);
      assert.deepEqual(await once(child, "exit"), [null, signal]);
      await waitFor("every process of the lab to end", () => alive(inhabitants).length === 0);
    });
}

test("where user namespaces are forbidden, the refusal says which setting forbids them", async () => {
  const program = `import { Lab } from "#e2e/lab"; await Lab.start().catch((error) => console.log(error.name, error.message));`;
  const forbid = `echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"`;
  const argv = ["--user", "--map-user=1000", "--keep-caps", "sh", "-c", forbid, "sh", process.execPath, "-e", program];
  const child = spawn("unshare", argv, { stdio: ["ignore", "pipe", "inherit"] });
  assert.match(await text(child.stdout), /^LabRefused Cannot start a lab: user\.max_user_namespaces is 0: .*sysctl.*sudo/);
});
