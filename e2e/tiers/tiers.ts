/** Decides which tests run when. CONTRIBUTING.md has the table, and says why. */
import { globSync, readFileSync } from "node:fs";

/**
 * `quick` needs only a processor. `test` adds sockets, threads, single processes and a few scenarios. `scenarios` is the rest of what decides
 * whether a change lands and needs no real Kubernetes; `kubernetes` needs one, or files of the image. `nightly` waits for minutes.
 */
export type Tier = "quick" | "test" | "scenarios" | "kubernetes" | "nightly";

/**
 * What `run.ts` runs: `root` has the files of which parts are skipped for an ordinary user. `computing` is the part of `test` and `scenarios` that
 * only computes, and `.ci/run` has it beside everything else; the other part is `waiting`.
 */
export type Selection = Tier | "root" | "computing" | "waiting";

/** A test file and how it wants to be run, which its text says. */
export interface TestFile {
  readonly path: string;
  readonly tier: Tier;
  /** It needs a processor and nothing else: no clock, no socket, no other process. Its promises are too many for `node:test` to follow them to their tests. */
  readonly computes: boolean;
  /** It has a process of its own: it changes or measures what is shared in one, or has hooks that there would be everybody's. */
  readonly alone: boolean;
  /** It takes so long that others should not be over before it begins: `// Long: why`. */
  readonly long: boolean;
  /** An ordinary user skips some of it. */
  readonly root: boolean;
}

const programs = "{pkg,controller,speaker,ctl}/**/*.test.ts";
const around = "{docs,config-samples,manifests,release,e2e}/**/*.test.ts";
const kubernetes = /^e2e\/(?:cluster|dashboard)\//;
/** They have a target of their own: they run programs for another processor. */
const ownTarget = /^e2e\/arm64\//;

const waits = /from "(?:node:(?:net|dgram|tls|https?|child_process|worker_threads|timers\/promises)|#e2e\/\w+)"/;
const long = /^\/\/ Long: /m;
const alone = /^(?:\/\/ Alone: |(?:before|after)(?:Each)?\()/m;
/** A scenario that `make test` has, too: it shows one promise from end to end. */
const smoke = /^\/\/ Smoke: /m;
/** It builds a network of namespaces, or says why it takes long. */
const scenario = /\b(?:Lab\.start|Lab\.refusal|routerRefusal|bfdRefusal|DemoCluster\.start)\(|^\/\/ Scenario: /m;
/** Tests of what judges simulated clusters: a change of the product does not touch it. */
const ofJudges = /^e2e\/simulation\/cluster\/judge\//;
const nightly = /^\/\/ Nightly: /m;
/** Routers but for BIRD change their user. */
const root = /Refusal\((?!"bird"\)|\))|needs root|getuid/;

function read(path: string): TestFile {
  const text = readFileSync(path, "utf8");
  const isScenario = scenario.test(text);
  const isPure = /^(?:pkg|controller|speaker|ctl)\//.test(path) && !waits.test(text);
  const isLong = long.test(text);
  const isKubernetes = kubernetes.test(path);
  const later = (isScenario && !smoke.test(text)) || ofJudges.test(path) ? "scenarios" : "test";
  return {
    path,
    tier: nightly.test(text) ? "nightly" : isKubernetes ? "kubernetes" : isPure && !isLong ? "quick" : later,
    computes: isPure || /^e2e\/simulation\//.test(path),
    long: isLong,
    alone: isKubernetes || isScenario || alone.test(text),
    root: !isKubernetes && root.test(text),
  };
}

/** The files of a selection, by path: of `test` those of `quick`, too. */
export function select(files: readonly TestFile[], selection: Selection): readonly TestFile[] {
  const ofChange = (files: readonly TestFile[]) => files.filter(({ tier }) => /^(?:quick|test|scenarios)$/.test(tier));
  switch (selection) {
    case "root":
      return ofChange(files).filter(({ root }) => root);
    case "computing":
      return ofChange(files).filter(({ computes }) => computes);
    case "waiting":
      return ofChange(files).filter(({ computes }) => !computes);
    default:
      return files.filter(({ tier }) => tier === selection || (tier === "quick" && selection === "test"));
  }
}

/** The test files of the whole tree but for those of a target of their own, by path. */
export function testFiles(): readonly TestFile[] {
  const paths = [...globSync([programs, around]), ...globSync("*.test.ts")].filter((path) => !ownTarget.test(path));
  return paths.sort().map(read);
}
