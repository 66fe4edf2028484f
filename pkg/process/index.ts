/** The life of a daemon, the same for both binaries: command line, log, start, health, signals, orderly stop, exit code. */
export { commonFlags } from "./common-flags.ts";
export { runDaemon } from "./daemon.ts";
export { liveness, readiness } from "./health.ts";
export { podNamespace } from "./namespace.ts";
