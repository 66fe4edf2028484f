import type { Break } from "../break.ts";

const tools = ["ctl/doctor/standby.test.ts"];
const restored = ["controller/core/restored.test.ts"];
const streamed = ["pkg/k8s/streamed-lists.test.ts"];

/** Promises 1 and 5 after the API was restored from a backup, and what tools say of a controller that stands by. */
export const standby: readonly Break[] = [
  {
    before: "for (const key of statuses.unseen) agenda.changed(key);",
    after: "",
    tests: restored,
  },
  { before: "if (service?.ingress.includes(`${address}`) !== true) ", after: "", tests: restored },
  { before: "isLast && (!isFirst || this.isAsked)", after: "false", tests: ["pkg/k8s/informer.test.ts"] },
  { before: 'isSynced ? {} : { resourceVersion: "0" }', after: '{ resourceVersion: "0" }', tests: streamed },
  { before: "if (this.#isListing && question === this.#lists && now !== undefined)", after: "if (false)", tests: streamed },
  { before: "if (this.#isOurs(key)) this.#endpoints?.want(key);", after: "", tests: ["speaker/sources.test.ts"] },
  { before: "if (!terms.controller.view.isWorking) return;", after: "", tests: tools },
  {
    before: "const working = answers.filter(({ body }) => body.leader !== false);",
    after: "const working = answers;",
    tests: tools,
  },
];
