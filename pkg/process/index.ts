/** The life of a daemon, the same for both binaries: command line, log, start, signals, orderly stop, exit code. */
export { commonFlags } from "./common-flags.ts";
export { type Daemon, runDaemon } from "./daemon.ts";
export { podNamespace } from "./namespace.ts";
