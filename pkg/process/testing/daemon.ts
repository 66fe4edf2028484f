import { readFileSync } from "node:fs";
import { flag } from "#pkg/flags";
import { type Log, logLevels } from "#pkg/log";
import { runDaemon } from "#pkg/process";

const flags = {
  mode: flag.choice({
    help: "how it behaves",
    fallback: "well",
    choices: ["well", "stubborn", "broken", "rejection", "error", "settled"] as const,
  }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: logLevels }),
};

await runDaemon({
  usage: "a daemon for the tests",
  flags,
  stopTimeoutMs: 1000,
  settledAfterMs: 0,
  settled: () => console.error("settled"),
  async start({ mode }, log) {
    if (mode === "broken") throw new Error("no kubeconfig");
    if (mode === "rejection") void Promise.reject(new Error("out of the blue"));
    if (mode === "error") log.info("caught", { error: new Error("expected").stack });
    const alive = setInterval(() => {}, 1000);
    log.info("started");
    if (mode === "settled") tellOfFewerPages(log);
    return {
      async leave() {
        log.info("taking leave");
      },
      async [Symbol.asyncDispose]() {
        if (mode === "stubborn") await new Promise(() => {});
        clearInterval(alive);
        log.info("in flight is done");
      },
    };
  },
});

/** Says so when the process has fewer pages of files, nearly all of them of Node's program, than now. Ends when that takes too long. */
function tellOfFewerPages(log: Log): void {
  const kilobytes = () => Number(/^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const atFirst = kilobytes();
  setInterval(() => kilobytes() < atFirst - 5_000 && log.info("pages are given back"), 20).unref();
  setTimeout(() => process.exit(3), 30_000).unref();
}
