import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { CommandError, Lab, waitFor } from "#e2e/lab";

/** The state letter that ps shows; undefined when there is no such process. */
function state(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.[0];
  } catch {
    return undefined;
  }
}

suite("a process on a host", async () => {
  const logs = mkdtempSync(join(tmpdir(), "lab-logs-"));
  const lab = await Lab.start({ logs });
  const host = await lab.host("host");
  after(async () => {
    await lab[Symbol.asyncDispose]();
    rmSync(logs, { recursive: true });
  });

  test("that runs to its end gives its output and status", async () => {
    const done = await host.run(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert.deepEqual(done, { code: 3, signal: null, stdout: "out\n", stderr: "err\n" });
    assert.equal(await host.output(["cat"], { input: "through" }), "through");
    await assert.rejects(host.output(["sh", "-c", "echo err >&2; exit 3"]), (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, /^Cannot run sh -c .* on host: status 3: err$/);
      return error.result.code === 3;
    });
  });

  test("that takes too long is killed with all it started", async () => {
    await assert.rejects(host.run(["sh", "-c", "sleep 1000 & echo begun; sleep 1000"], { timeout: 3_000 }), (error) => {
      assert.ok(error instanceof CommandError);
      assert.match(error.message, / within 3000 ms: SIGKILL: begun$/);
      return true;
    });
    const sleeping = ["sh", "-c", "grep -l ^sleep /proc/[0-9]*/comm"];
    await waitFor("all of it to be gone", async () => (await host.run(sleeping)).stdout === "");
  });

  test("has the pinned Node, the caller's folder and what it was given, and nothing else of the caller", async () => {
    process.env.LEAKED = "yes";
    const script = "console.log(process.execPath, process.cwd(), Object.keys(process.env).sort().join())";
    const shown = await host.output(["node", "-e", script], { env: { GIVEN: "yes" } });
    const names = ["GIVEN", "HOME", "LANG", ...(process.env.NODE_COMPILE_CACHE ? ["NODE_COMPILE_CACHE"] : []), "PATH", "PWD"];
    assert.equal(shown, `${process.execPath} ${process.cwd()} ${names.join()}\n`);
    assert.equal(await host.output(["pwd"], { cwd: "/run" }), "/run\n");
  });

  test("is waited for by the lines it prints, now or before, and leaves them in a log", async () => {
    const talker = await host.spawn("talker", ["sh", "-c", "echo first; echo second >&2; exec sleep 1000"]);
    assert.equal(await talker.waitForLine(/^second/), "second");
    assert.equal(await talker.waitForLine(/^first/), "first");
    await assert.rejects(talker.waitForLine(/third/, { timeout: 0 }), {
      message: /^Waited for talker to print \/third\/: not within 0 ms; its last lines:(\n {2}(first|second)){2}$/,
    });
    const waiting = talker.waitForLine(/third/);
    talker.kill("SIGKILL");
    await assert.rejects(waiting, { message: /^Waited for talker to print \/third\/: it ended \(SIGKILL\)/ });
    const lines = readFileSync(join(logs, "talker.log"), "utf8").trim().split("\n");
    assert.ok(lines.every((line) => /^\d+\.\d{3} /.test(line)));
    const logged = lines.map((line) => line.replace(/^\S+ /, "")).sort();
    assert.deepEqual(logged, [`began as process ${talker.pid}`, "ended with SIGKILL", "first", "second"]);
  });

  test("takes signals by a process id that counts here, and knows how it ended", async () => {
    const sleeper = await host.spawn("sleeper", ["sleep", "1000"]);
    await waitFor("it to be what was asked for", () => readFileSync(`/proc/${sleeper.pid}/comm`, "latin1") === "sleep\n");
    assert.equal(sleeper.exit, undefined);
    assert.equal(sleeper.kill("SIGTERM"), true);
    assert.deepEqual(await sleeper.exited, { code: null, signal: "SIGTERM" });
    assert.deepEqual(sleeper.exit, { code: null, signal: "SIGTERM" });
    assert.equal(sleeper.kill("SIGTERM"), false);
  });

  test("can be stopped, continued, and killed while stopped", async () => {
    const sleeper = await host.spawn("sleeper", ["sleep", "1000"]);
    sleeper.kill("SIGSTOP");
    await waitFor("it to be stopped", () => state(sleeper.pid) === "T");
    sleeper.kill("SIGCONT");
    await waitFor("it to go on", () => state(sleeper.pid) === "S");
    sleeper.kill("SIGSTOP");
    sleeper.kill("SIGKILL");
    assert.deepEqual(await sleeper.exited, { code: null, signal: "SIGKILL" });
  });

  test("that does not end when asked is made to", async () => {
    const stubborn = await host.spawn("stubborn", ["sh", "-c", "trap '' TERM; echo begun; while :; do sleep 1000; done"]);
    await stubborn.waitForLine(/begun/);
    assert.deepEqual(await stubborn.stop({ grace: 50 }), { code: null, signal: "SIGKILL" });
  });

  test("whose parent ends leaves no zombie", async () => {
    const pid = await host.output(["sh", "-c", "sleep 0.05 >/dev/null 2>&1 & echo $!"]);
    await waitFor("it to be gone", async () => (await host.run(["test", "-e", `/proc/${pid.trim()}`])).code === 1);
  });
});
