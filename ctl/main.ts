#!/usr/bin/env node
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { wallClock } from "#pkg/clock";
import { maskControls } from "#pkg/text";
import { octetsUpTo } from "#pkg/untrusted";
import { Exit, UsageError } from "./command.ts";
import type { Io } from "./io.ts";
import { writePrivateFile } from "./private-file.ts";
import { ProgressLine } from "./progress-line.ts";
import { run } from "./run.ts";

const maxInputBytes = 8 * 1024 * 1024; // In octets; no ConfigMap comes near, but a device or a wrong file would fill the memory.

async function read(name: string, stream: AsyncIterable<Uint8Array>): Promise<string> {
  try {
    const octets = await octetsUpTo(stream, maxInputBytes);
    if (octets === undefined) throw new Error(`it is longer than ${maxInputBytes} octets`);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  } catch (error) {
    throw new UsageError(`cannot read ${name}: ${(error as Error).message}`, { cause: error });
  }
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ABORT_ERR") throw error;
    process.stderr.write("\n"); // Ctrl-C or Ctrl-D: nothing was answered.
    return "";
  } finally {
    lines.close();
  }
}

let isOutClosed = false;
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") isOutClosed = true;
  else fail(error);
});
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") fail(error); // The command goes on to its end, although nobody reads its output.
});

function fail(error: Error): never {
  process.stderr.write(`ingotctl: cannot write the output: ${error.message}\n`);
  process.exit(Exit.usage);
}

const progress = new ProgressLine(process.stderr);

function err(text: string): void {
  progress.clear();
  process.stderr.write(text);
}

const io: Io = {
  readFile: (path) => read(path, createReadStream(path)),
  readStdin: () => read("standard input", process.stdin),
  stdinIsTerminal: process.stdin.isTTY === true,
  out(text) {
    progress.clear();
    process.stdout.write(text);
  },
  isOutClosed: () => isOutClosed,
  err,
  clear: () => process.stdout.write(process.stdout.isTTY === true ? "\u001b[2J\u001b[H" : "\n"),
  ask: process.stdin.isTTY === true && process.stderr.isTTY === true ? ask : undefined,
  writePrivateFile,
  openFile(path) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const opener = spawn(process.platform === "darwin" ? "open" : "xdg-open", [path], { stdio: "ignore", detached: true });
    opener.once("error", () => resolve(false));
    opener.once("spawn", () => {
      opener.unref();
      resolve(true);
    });
    return promise;
  },
  stateFolder: join(process.env.XDG_STATE_HOME || join(homedir(), ".local/state"), "ingotctl"),
  progress: (text) => progress.show(text),
  screen: {
    columns: (process.stdout.isTTY === true && process.stdout.columns) || undefined, // A terminal of unknown size says 0.
    hasColor: process.stdout.isTTY === true && process.stdout.hasColors() && process.env.NO_COLOR === undefined,
  },
  // Loading the client takes some 100 ms, and some of the commands do without.
  cluster: {
    connect: async (options, before) => (await import("./cluster/connect.ts")).connect({ ...options, show: err }, before),
    api: async (options) => new (await import("./cluster/kube-api.ts")).KubeApi({ ...options, show: err }),
    context: async (options) => (await import("./cluster/connect.ts")).contextOf(options),
  },
  now: wallClock,
  sleep: (ms) => sleep(ms),
  interrupted: () =>
    new Promise((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    }),
};

// Not awaited here: as one executable file it is a CommonJS module.
run(process.argv.slice(2), io).then(
  (status) => {
    progress.clear();
    process.exitCode = status;
  },
  (error: Error) => {
    io.err(`${`${error.stack}`.split("\n").map(maskControls).join("\n")}\n`);
    process.exitCode = 1;
  },
);
