import { useEffect, useRef, useState } from "preact/hooks";

/** State of a question to the program. */
export type QuestionState<T> =
  | { readonly type: "asking" }
  | { readonly type: "answer"; readonly answer: T }
  | { readonly type: "problem"; readonly problem: string };

/**
 * Asks when `path` is another, and again when `version` is; meanwhile the earlier answer to the same path stays. One question at a time: while
 * versions change faster than they are answered, each question would be left before its answer.
 */
export function useAnswer<T>(path: string, version?: unknown): QuestionState<T> {
  const [shown, setShown] = useState<QuestionState<T>>({ type: "asking" });
  const [answered, setAnswered] = useState<{ readonly path: string; readonly version: unknown }>();
  const asking = useRef<AbortController | undefined>(undefined);
  useEffect(() => {
    setShown({ type: "asking" });
    setAnswered(undefined);
    return () => {
      asking.current?.abort();
      asking.current = undefined;
    };
  }, [path]);
  useEffect(() => {
    if (asking.current !== undefined || (answered?.path === path && answered.version === version)) return;
    const leaving = new AbortController();
    asking.current = leaving;
    ask<T>(path, leaving.signal).then(
      (state) => {
        asking.current = undefined;
        setShown(state);
        setAnswered({ path, version });
      },
      () => {}, // It fails only when it is left.
    );
  }, [path, version, answered]);
  return shown;
}

async function ask<T>(path: string, signal: AbortSignal): Promise<QuestionState<T>> {
  try {
    const response = await fetch(path, { signal });
    if (!response.headers.get("content-type")?.startsWith("application/json"))
      return { type: "problem", problem: (await response.text()).trim() };
    const body = await response.json();
    return response.ok ? { type: "answer", answer: body } : { type: "problem", problem: `${body.problem}` };
  } catch (error) {
    if (signal.aborted) throw error;
    return { type: "problem", problem: "ingotctl does not answer any more" };
  }
}
