import type { Fault } from "#e2e/demo-cluster";

/** The points of a planted fault: one for its cause, and one for its remedy. */
export interface Points {
  readonly cause: boolean;
  readonly remedy: boolean;
}

type Wanted = Pick<Fault<never, unknown>, "cause" | "remedy" | "causes">;

/** Whether `ingotctl` names the cause, also by its code, and the remedy. */
export function found(out: string, { causes: [cause], ...wanted }: Wanted): Points {
  return {
    cause: (cause === undefined || out.includes(`(${cause})`)) && wanted.cause.test(out),
    remedy: wanted.remedy.test(out),
  };
}

/** Whether `kubectl describe` shows them. */
export function described(text: string, { cause, remedy }: Wanted): Points {
  return { cause: cause.test(text), remedy: remedy.test(text) };
}

/** Causes of problems that `ingotctl explain` or `doctor` names, although the fault does not have them. */
export function falselyNamed(out: string, { causes }: Wanted): string[] {
  const named = [...out.matchAll(/^\S.*: (?:Pending|Degraded) \((\w+)\)|^(?:error|warning): .*\((\w+)\)$/gm)].map(
    ([, explained, found = ""]) => explained ?? found,
  );
  return named.filter((cause) => !causes.includes(cause));
}

export const sum = ({ cause, remedy }: Points): number => Number(cause) + Number(remedy);

/** The subject of `kubectl describe`, such as `svc/web`. */
export function subjectOf({ describe, find }: Pick<Fault<never, unknown>, "describe" | "find">): string {
  return describe ?? find.replace(/^explain /, "");
}
