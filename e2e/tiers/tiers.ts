/** Decides which tests run when. CONTRIBUTING.md has the table, and says why. */
import { globSync, readFileSync } from "node:fs";

/**
 * `quick` needs only a processor. `test` adds sockets, threads, single processes and a few scenarios. `scenarios` is the rest of what decides
 * whether a change lands and needs no real Kubernetes.
 */
export type Tier = "quick" | "test" | "scenarios";

/** What `run.ts` runs: `root` has the files of which parts are skipped for an ordinary user. */
export type Selection = Tier | "root";

/** A test file and how it wants to be run, which its text says. */
export interface TestFile {
  readonly path: string;
  readonly tier: Tier;
  /** It has a process of its own: it changes or measures what is shared in one, or has hooks that there would be everybody's. */
  readonly alone: boolean;
  /** An ordinary user skips some of it. */
  readonly root: boolean;
}

const programs = "{pkg,controller,speaker,ctl}/**/*.test.ts";
const around = "{docs,config-samples,manifests,release,e2e}/**/*.test.ts";
/** They need root or files of the image, and have targets of their own. */
const ownTargets = /^e2e\/(?:arm64|cluster|dashboard)\//;

const waits = /from "(?:node:(?:net|dgram|tls|https?|child_process|worker_threads|timers\/promises)|#e2e\/\w+)"/;
const long = /^\/\/ Long: /m;
const alone = /^(?:\/\/ Alone: |(?:before|after)(?:Each)?\()/m;
/** A scenario that `make test` has, too: it shows one promise from end to end. */
const smoke = /^\/\/ Smoke: /m;
/** It builds a network of namespaces, or says why it takes long. */
const scenario = /\b(?:Lab\.start|Lab\.refusal|routerRefusal|bfdRefusal|DemoCluster\.start)\(|^\/\/ Scenario: /m;
/** Routers but for BIRD change their user. */
const root = /Refusal\((?!"bird"\)|\))|needs root|getuid/;

function read(path: string): TestFile {
  const text = readFileSync(path, "utf8");
  const isScenario = scenario.test(text);
  const isQuick = /^(?:pkg|controller|speaker|ctl)\//.test(path) && !waits.test(text) && !long.test(text);
  return {
    path,
    tier: isQuick ? "quick" : isScenario && !smoke.test(text) ? "scenarios" : "test",
    alone: isScenario || alone.test(text),
    root: root.test(text),
  };
}

/** The files of a selection, by path: of `test` those of `quick`, too. */
export function select(files: readonly TestFile[], selection: Selection): readonly TestFile[] {
  if (selection === "root") return files.filter((file) => file.root);
  return files.filter(({ tier }) => tier === selection || (tier === "quick" && selection === "test"));
}

/** The test files of the whole tree that have no target of their own, by path. */
export function testFiles(): readonly TestFile[] {
  const paths = [...globSync([programs, around]), ...globSync("*.test.ts")].filter((path) => !ownTargets.test(path));
  return paths.sort().map(read);
}
