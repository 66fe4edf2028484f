import type { ApiAnswer } from "../../cluster/api.ts";
import { type ClusterView, readView } from "../view.ts";

/** The view of a cluster whose API has these answers, by path, and nothing else. */
export function view(answers: Readonly<Record<string, unknown>>): Promise<ClusterView> {
  const read = async (path: string): Promise<ApiAnswer> =>
    path in answers ? { type: "found", value: answers[path] } : { type: "absent" };
  return readView({ read, list: read }, "metallb-system");
}
