import { useEffect, useState } from "preact/hooks";

/** State of a question to the program. */
export type QuestionState<T> =
  | { readonly type: "asking" }
  | { readonly type: "answer"; readonly answer: T }
  | { readonly type: "problem"; readonly problem: string };

/** Asks when `path` is another, and again when `version` is; meanwhile the earlier answer to the same path stays. */
export function useAnswer<T>(path: string, version?: unknown): QuestionState<T> {
  const [shown, setShown] = useState<QuestionState<T>>({ type: "asking" });
  useEffect(() => setShown({ type: "asking" }), [path]);
  useEffect(() => {
    const leaving = new AbortController();
    ask<T>(path, leaving.signal).then(setShown, () => {}); // It fails only when it is left.
    return () => leaving.abort();
  }, [path, version]);
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
