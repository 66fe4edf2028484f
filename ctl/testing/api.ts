import { type Fields, fields } from "#pkg/untrusted";
import type { Api, ApiAnswer } from "../cluster/api.ts";

/** Contents of an API server: path -> an object, a list, or why it may not be read. */
export type Stored = Record<string, object | Error>;

/** An API server of these objects alone. Writes to it are in `stored` afterwards. */
export function fakeApi(stored: Stored): Api & { readonly stored: Stored } {
  const answer = (path: string): ApiAnswer => {
    const found = stored[path.split("?")[0] ?? ""];
    if (found === undefined) return { type: "absent" };
    return found instanceof Error ? { type: "unread", why: found.message } : { type: "found", value: found };
  };
  return {
    stored,
    server: "https://192.0.2.1:6443",
    read: async (path) => answer(path),
    async list(path) {
      const found = answer(path);
      return found.type === "absent" ? { type: "found", value: [] } : found;
    },
    async write(method, path, object) {
      if (method === "PATCH") {
        const found = answer(path);
        if (found.type !== "found") return found;
        const merged = merge(found.value as Fields, object as Fields);
        stored[path] = merged;
        return { type: "found", value: merged };
      }
      const { metadata } = object as { metadata: { name: string } };
      const at = method === "POST" ? `${path}/${metadata.name}` : path;
      if (stored[at] instanceof Error) return answer(at);
      stored[at] = object;
      return { type: "found", value: object };
    },
  };
}

/** RFC 7386, section 2. */
function merge(target: Fields, patch: Fields): Fields {
  const merged: Record<string, unknown> = { ...target };
  for (const [name, value] of Object.entries(patch))
    if (value === null) delete merged[name];
    else merged[name] = typeof value === "object" ? merge(fields(merged[name]), fields(value)) : value;
  return merged;
}
