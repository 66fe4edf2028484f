import type { Break } from "../break.ts";

const tools = ["ctl/doctor/standby.test.ts"];
const restored = ["controller/core/restored.test.ts"];

/** Promises 1 and 5 after the API was restored from a backup, and what tools say of a controller that stands by. */
export const standby: readonly Break[] = [
  {
    before: "for (const key of statuses.unseen) agenda.changed(key);",
    after: "",
    tests: restored,
  },
  {
    before: " && service?.ingress.includes(`${address}`) !== true)",
    after: ")",
    tests: restored,
  },
  { before: 'isFirst ? "synced" : "relisted"', after: '"synced"', tests: ["pkg/k8s/informer.test.ts"] },
  { before: "if (!terms.controller.view.isWorking) return;", after: "", tests: tools },
  {
    before: "const working = answers.filter(({ body }) => body.leader !== false);",
    after: "const working = answers;",
    tests: tools,
  },
];
