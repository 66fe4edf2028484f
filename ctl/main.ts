#!/usr/bin/env node
import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { wallClock } from "#pkg/clock";
import { type Io, UsageError } from "./command.ts";
import { run } from "./run.ts";

const maxInputBytes = 8 * 1024 * 1024; // In octets; no ConfigMap comes near, but a device or a wrong file would fill the memory.

async function read(name: string, stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxInputBytes) throw new UsageError(`cannot read ${name}: it is longer than ${maxInputBytes} octets`);
    }
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read ${name}: ${(error as Error).message}`, { cause: error });
  }
}

const io: Io = {
  readFile: (path) => read(path, createReadStream(path)),
  readStdin: () => read("standard input", process.stdin),
  stdinIsTerminal: process.stdin.isTTY === true,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  screen: {
    columns: process.stdout.isTTY === true ? process.stdout.columns : undefined,
    hasColor: process.stdout.isTTY === true && process.stdout.hasColors() && process.env.NO_COLOR === undefined,
  },
  // Loading the client takes some 100 ms, and some of the commands do without.
  cluster: {
    connect: async (options) => (await import("./cluster/connect.ts")).connect(options),
    namespace: async (options) => (await import("./cluster/connect.ts")).defaultNamespace(options),
  },
  now: wallClock,
  sleep: (ms) => sleep(ms),
};

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error; // A reader such as `head` may leave early.
});
// Not awaited here: as one executable file it is a CommonJS module.
run(process.argv.slice(2), io).then((status) => {
  process.exitCode = status;
});
