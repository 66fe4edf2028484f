import type { Processes, Target } from "../cluster/processes.ts";

/** Answers of one process: path, with its query or for all queries -> body, or why there is no answer. */
export type Answers = Readonly<Record<string, object | Error>>;

/** Processes that answer what they are given. A speaker's Pod is `speaker-NODE`. */
export function fakeProcesses(
  given: Readonly<Record<string, Answers>>,
  notRunning: Readonly<Record<string, string>> = {},
): Processes {
  const targets = Object.keys(given).map((pod): Target => {
    const program = pod.startsWith("controller") ? "controller" : "speaker";
    return { program, pod, node: pod.replace(/^[a-z]+-/, ""), notRunning: notRunning[pod] };
  });
  return {
    targets,
    async get({ pod }, path) {
      const [name = ""] = path.split("?");
      const body = given[pod]?.[path] ?? given[pod]?.[name];
      if (body === undefined) throw new Error(`it has no ${name}`);
      if (body instanceof Error) throw body;
      return body;
    },
    async [Symbol.asyncDispose]() {},
  };
}
