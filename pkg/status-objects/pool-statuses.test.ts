import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Allocator } from "#pkg/allocator";
import { request } from "#pkg/allocator/testing";
import { SimulatedClock } from "#pkg/clock/testing";
import { pool } from "#pkg/config/testing";
import type { ObjectMeta } from "#pkg/k8s";
import { FakeInformer } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { poolKind, poolStatuses, StatusKeeper } from "./index.ts";

const namespace = "metallb-system";

function allocator(): Allocator {
  const made = new Allocator();
  made.setPools([pool("lan", ["10.0.0.0/30", "fd00::/64"]), pool("other", ["10.1.0.0/30"])]);
  made.settle(request("s/1", { families: ["IPv4", "IPv6"] }));
  return made;
}

test("pools in use and free are counted as MetalLB does, a family that a pool lacks as none", () => {
  assert.deepEqual(
    [...poolStatuses(allocator().usage())],
    [
      {
        name: "lan",
        labels: {},
        status: { assignedIPv4: 1, assignedIPv6: 1, availableIPv4: 3, availableIPv6: Number.MAX_SAFE_INTEGER - 1 },
      },
      { name: "other", labels: {}, status: { assignedIPv4: 0, assignedIPv6: 0, availableIPv4: 4, availableIPv6: 0 } },
    ],
  );
});

test("of objects that others make the status alone is kept, also against others, and nothing is made or deleted", async () => {
  const clock = new SimulatedClock();
  const requests: string[] = [];
  let informer: FakeInformer<ObjectMeta> | undefined;
  const see = (name: string, status: object) => {
    const meta = { key: `${namespace}/${name}`, namespace, name, uid: name, resourceVersion: `${requests.length}` };
    informer?.see(informer.resource.project({ metadata: meta, status } as never, meta as never));
  };
  using keeper = new StatusKeeper({
    cluster: {
      informer: (resource, scope, handlers) => {
        const made = new FakeInformer(resource, scope, handlers);
        informer = made as unknown as FakeInformer<ObjectMeta>;
        return made;
      },
      applyObject: async ({ kind }, { name, ...more }, status = {}) => {
        requests.push(`${kind} ${name} ${Object.keys(more).join()} ${Object.values(status).join()}`);
        see(name, status);
      },
      deleteObject: async (_, { name }) => {
        requests.push(`delete ${name}`);
      },
    },
    namespace,
    selector: undefined,
    owner: undefined,
    kind: poolKind,
    wanted: () => poolStatuses(allocator().usage()),
    clock,
    random: () => 0.5,
    log: silentLog,
  });
  keeper.start();
  const pass = async () => {
    clock.advanceBy(20_000);
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    return requests.splice(0);
  };
  see("other", {}); // `lan` is not there yet.
  see("strange", { assignedIPv4: 7 });
  informer?.sync();
  const right = ["IPAddressPool other namespace 0,0,4,0"];
  assert.deepEqual(await pass(), right);
  assert.deepEqual(await pass(), []);
  see("other", { assignedIPv4: 5 });
  assert.deepEqual(await pass(), right);
});
