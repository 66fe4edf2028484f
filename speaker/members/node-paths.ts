import type { MemberlistThread, PathVerdict } from "#pkg/memberlist";
import type { SpeakerEvent, WatchedNode } from "../core/index.ts";
import type { FastPathOptions } from "./fast-path.ts";

/**
 * Stands in for the ring where a central speaker watches nodes by BFD that have no speaker: it asks `FastPath` for the paths that the core wants, and
 * tells the core which of them have failed.
 */
export class NodePaths implements Pick<MemberlistThread, keyof FastPathOptions["memberlist"]> {
  readonly timing = "fast";
  readonly #emit: (event: SpeakerEvent) => void;
  readonly #failed = new Set<string>(); // nodes
  #listener: Parameters<MemberlistThread["onEvent"]>[0] = () => {};

  constructor(emit: (event: SpeakerEvent) => void) {
    this.#emit = emit;
  }

  /** Watches these nodes, and no others. */
  watch(nodes: readonly WatchedNode[]): void {
    const names = new Set(nodes.map(({ name }) => name));
    this.#listener({ type: "watchPaths", members: nodes.map((node) => ({ ...node, port: 0 })) });
    for (const node of this.#failed) if (!names.has(node)) this.pathChanged(node, "unknown");
  }

  onEvent(listener: Parameters<MemberlistThread["onEvent"]>[0]): Disposable {
    this.#listener = listener;
    return { [Symbol.dispose]: () => {} };
  }

  keepPaths(areKept: boolean): void {
    if (!areKept) for (const node of this.#failed) this.pathChanged(node, "unknown");
  }

  pathChanged(node: string, verdict: PathVerdict): void {
    const hasFailed = verdict === "down";
    if (hasFailed === this.#failed.has(node)) return;
    if (hasFailed) this.#failed.add(node);
    else this.#failed.delete(node);
    this.#emit({ type: "nodePaths", failed: [...this.#failed].sort() });
  }
}
