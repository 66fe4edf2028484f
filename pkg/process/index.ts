/** The life of a daemon, the same for both binaries: command line, log, start, health, signals, orderly stop, exit code. */
export { runDaemon } from "./daemon.ts";
export { commonFlags, podNamespace } from "./environment.ts";
export { liveness, readiness } from "./health.ts";
export { HeapTrimmer } from "./heap-trimmer.ts";
