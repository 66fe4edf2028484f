/**
 * Command lines as Go's `flag` package reads them, because users' manifests are written for it: `--port=7472`, `--port 7472`,
 * `-port 7472`, `--flag` and `--flag=false` for booleans. A flag may take its default from an environment variable. No I/O: the
 * caller passes arguments and environment, prints, and exits.
 */
export { type FlagSet, type FlagValues, flag, parseFlags } from "./flags.ts";
