import { flag } from "#pkg/flags";
import { logLevels } from "#pkg/log";
import { runDaemon } from "#pkg/process";

const flags = {
  mode: flag.choice({
    help: "how it behaves",
    fallback: "well",
    choices: ["well", "stubborn", "broken", "rejection", "error"] as const,
  }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: logLevels }),
};

await runDaemon({
  usage: "a daemon for the tests",
  flags,
  stopTimeoutMs: 1000,
  async start({ mode }, log) {
    if (mode === "broken") throw new Error("no kubeconfig");
    if (mode === "rejection") void Promise.reject(new Error("out of the blue"));
    if (mode === "error") log.info("caught", { error: new Error("expected").stack });
    const alive = setInterval(() => {}, 1000);
    log.info("started");
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
