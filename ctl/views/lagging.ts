import { isInForce } from "#pkg/live-config";
import type { ConfigurationAnswer } from "../cluster/answers.ts";
import type { Answer } from "../cluster/processes.ts";

/** A process that has another configuration in force than the others, or has not seen the ConfigMap as it is. */
export interface Lagging {
  readonly pod: string;
  readonly node: string;
  readonly what: string;
}

/**
 * Processes with another configuration than the working controller or, if that is not known, than most; and processes that have seen
 * another version of the ConfigMap, or of the custom resources. A standby controller has no configuration in force, and lags in nothing. Processes
 * of another version of Ingot know other fields, and may have another hash of the same: it is the same where they have seen and use the same.
 */
export function lagging(answers: readonly Answer<ConfigurationAnswer>[]): Lagging[] {
  const working = answers.filter(({ body }) => body.leader !== false);
  const leader = working.find(({ body }) => body.leader === true)?.body;
  const hash = leader === undefined ? mostFrequent(working.map(({ body }) => body.hash)) : leader.hash;
  const first = leader ?? working.find(({ body }) => body.hash === hash)?.body;
  const seen = leader?.seen ?? mostFrequent(working.flatMap(({ body }) => body.seen ?? []));
  const others = leader === undefined ? "most have" : "the controller has";
  return working.flatMap(({ target: { pod, node }, body }): Lagging[] => {
    const texts = [
      body.hash === hash || (first !== undefined && isSameOfOtherVersion(body, first))
        ? ""
        : `has configuration ${body.hash ?? "none"} in force, ${others} ${hash ?? "none"}`,
      // Versions are opaque: which is the newer one nobody can tell.
      body.seen === undefined || seen === undefined || body.seen === seen
        ? ""
        : `has seen version ${body.seen ?? "none"} of the configuration, ${others} seen ${seen}`,
    ].filter((text) => text !== "");
    return texts.length === 0 ? [] : [{ pod, node, what: texts.join("; ") }];
  });
}

/** The hash of the process's configuration in force, by the first of all that have the same, of any version. */
export function hashOf({ hash }: ConfigurationAnswer, all: readonly ConfigurationAnswer[]): string | null {
  const equal = all.filter((one) => one.hash === hash);
  const first = all.find((one) => one.hash === hash || equal.some((other) => isSameOfOtherVersion(one, other)));
  return first?.hash ?? hash;
}

function isSameOfOtherVersion(one: ConfigurationAnswer, other: ConfigurationAnswer): boolean {
  const isSameSeen = typeof one.seen === "string" && one.seen === other.seen;
  return (
    one.version !== other.version && isSameSeen && [one, other].every(({ hash, verdict }) => hash !== null && isInForce(verdict))
  );
}

function mostFrequent<T>(values: readonly T[]): T | undefined {
  const counted = [...Map.groupBy(values, (value) => value)];
  return counted.sort(([, a], [, b]) => b.length - a.length)[0]?.[0];
}
