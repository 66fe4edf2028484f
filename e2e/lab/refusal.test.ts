import assert from "node:assert/strict";
import { test } from "node:test";
import { explain } from "./refusal.ts";

const stderr = "unshare: unshare failed: Operation not permitted\n";
const cases = [
  { name: "a missing program is named with its package", given: { missing: "ip" }, says: /ip is not installed.* iproute2$/ },
  {
    name: "no user namespaces at all",
    given: { settings: { "user.max_user_namespaces": "0" } },
    says: /user\.max_user_namespaces is 0.*sudo sysctl -w user\.max_user_namespaces=\d+.* sudo\) \(unshare: unshare failed/,
  },
  {
    name: "Debian's old switch",
    given: { settings: { "user.max_user_namespaces": "96365", "kernel.unprivileged_userns_clone": "0" } },
    says: /sudo sysctl -w kernel\.unprivileged_userns_clone=1/,
  },
  {
    name: "Ubuntu's AppArmor restriction",
    given: { settings: { "kernel.apparmor_restrict_unprivileged_userns": "1" } },
    says: /Ubuntu.*sudo sysctl -w kernel\.apparmor_restrict_unprivileged_userns=0.*sudo\)/,
  },
  {
    name: "a container's seccomp profile, which no setting shows",
    given: { settings: { "kernel.apparmor_restrict_unprivileged_userns": "0" } },
    says: /seccomp.*--privileged/,
  },
  {
    name: "root is not sent to user namespaces",
    given: { root: true, settings: { "user.max_user_namespaces": "0" } },
    says: /root may not make namespaces here.*--privileged/,
  },
  {
    name: "a limit that binds root too",
    given: { root: true, settings: { "user.max_net_namespaces": "0" } },
    says: /sysctl -w user\.max_net_namespaces=1000/,
  },
] satisfies { name: string; given: { root?: boolean; missing?: string; settings?: Record<string, string> }; says: RegExp }[];
for (const { name, given, says } of cases) {
  test(`refusal: ${name}`, () => {
    const { root = false, settings = {}, ...rest } = given as { root?: boolean; settings?: Record<string, string> };
    assert.match(explain({ root, stderr, sysctl: (key) => settings[key], ...rest }), says);
  });
}
