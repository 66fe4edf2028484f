import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalApi, type ObjectChange, type WatchResponse } from "./index.ts";

const path = "/api/v1/namespaces/default/configmaps";

function start() {
  const changes: string[] = [];
  const onChange = ({ type, plural, key }: ObjectChange) => changes.push(`${type} ${plural} ${key}`);
  const api = new LocalApi({ namespaces: ["default"], now: () => new Date(0), onChange });
  changes.length = 0;
  const lines: string[] = [];
  const response = (): WatchResponse => {
    let isEnded = false;
    return {
      writableLength: 0,
      get writableEnded() {
        return isEnded;
      },
      writeHead: () => {},
      flushHeaders: () => {},
      write: (line) => lines.push(`${line}`),
      end: (line = "end") => {
        isEnded = true;
        lines.push(line);
      },
      destroy: () => {},
    };
  };
  const configMap = (name: string, data: Record<string, string | null> = {}) =>
    api.create("configmaps", "default", { metadata: { name }, data });
  const watch = (version: number) => api.watch(`${path}?watch=true&resourceVersion=${version}`, response());
  const take = () => lines.splice(0).map((line) => (line === "end" ? line : JSON.parse(line)));
  const kinds = () => take().map((event) => event.type ?? event);
  return { api, changes, configMap, watch, take, kinds };
}

test("a request is answered within the call, by the rules of the API", () => {
  const { api, changes, configMap } = start();
  configMap("a", { one: "1", two: null });
  assert.deepEqual(api.get("configmaps", "default/a")?.data, { one: "1" });
  const { resourceVersion } = api.get("configmaps", "default/a")?.metadata ?? {};
  const patch = (version: string | undefined) =>
    api.answer({ method: "PATCH", path: `${path}/a`, body: { metadata: { resourceVersion: version }, data: { one: "2" } } });
  patch(resourceVersion);
  assert.throws(() => patch(resourceVersion), { code: 409, reason: "Conflict" });
  assert.throws(() => api.answer({ method: "GET", path: `${path}/b` }), { code: 404, reason: "NotFound" });
  assert.throws(() => configMap("No Name"), { code: 422 });
  assert.deepEqual(changes, ["ADDED configmaps default/a", "MODIFIED configmaps default/a"]);
  const { items } = api.answer({ method: "GET", path: `${path}?fieldSelector=metadata.name=a` }) as { items: unknown[] };
  assert.equal(items.length, 1);
});

test("after a restore all is as it was, watches have ended, and one from a future version waits for it", () => {
  for (const bump of [false, true]) {
    const { api, changes, configMap, watch, kinds } = start();
    configMap("a");
    const backup = api.backup();
    watch(api.version);
    configMap("b");
    api.remove("configmaps", "default/a");
    assert.deepEqual(kinds(), ["ADDED", "DELETED"]);
    const { version, writes } = api;
    changes.length = 0;
    api.restore(backup, bump);
    assert.deepEqual(kinds(), ["end"]);
    assert.deepEqual(changes.sort(), ["ADDED configmaps default/a", "DELETED configmaps default/b"]);
    assert.deepEqual([api.writes, api.version > version], [writes, bump]);
    const later = watch(version);
    later.bookmark();
    assert.deepEqual(kinds(), bump ? ["ERROR"] : [], "410, or nothing yet");
    if (bump) continue;
    for (const name of ["c", "d", "e"]) configMap(name);
    assert.deepEqual(kinds(), ["ADDED"], "the versions of c and d were others' before");
  }
});

test("a watch from before the last compaction is told to list again", () => {
  const { api, configMap, watch, take } = start();
  configMap("a");
  const { version } = api;
  configMap("b");
  api.compact();
  watch(version);
  assert.deepEqual(
    take().map(({ type, object }) => [type, object.code]),
    [["ERROR", 410]],
  );
});
