import type { Millis } from "#pkg/clock";
import type { Alive, NodeName } from "../codec/messages.ts";

/** More than any cluster loses in the life of a process; who has the key could else fill the memory with names. */
const maxForgotten = 4096;
/** Between two questions whether the same one is back. */
const askEvery: Millis = 200;

interface Question {
  readonly sequence: number;
  /** What was heard of it. */
  readonly alive: Alive;
  readonly askedAt: Millis;
}

/**
 * Who was gone for so long that it was forgotten as a node, and in which incarnation. What it said in that or one before was said before, so that
 * it tells nothing when it comes again: somebody may have captured it. The oldest make room.
 */
export class ForgottenNodes {
  readonly #incarnations = new Map<NodeName, number>();
  readonly #questions = new Map<NodeName, Question>();
  readonly #bySequence = new Map<number, NodeName>();

  get size(): number {
    return this.#incarnations.size;
  }

  add(node: NodeName, incarnation: number): void {
    this.delete(node);
    this.#incarnations.set(node, incarnation);
    if (this.#incarnations.size <= maxForgotten) return;
    for (const oldest of this.#incarnations.keys()) {
      this.delete(oldest);
      break;
    }
  }

  delete(node: NodeName): void {
    this.#incarnations.delete(node);
    this.#bySequence.delete(this.#questions.get(node)?.sequence ?? -1);
    this.#questions.delete(node);
  }

  /** Whether it was said before the node was forgotten. */
  isOld({ node, incarnation }: Alive): boolean {
    return incarnation <= (this.#incarnations.get(node) ?? 0);
  }

  mayAsk(node: NodeName, now: Millis): boolean {
    const question = this.#questions.get(node);
    return question === undefined || now - question.askedAt >= askEvery;
  }

  asked(question: Question): void {
    const { node } = question.alive;
    this.#bySequence.delete(this.#questions.get(node)?.sequence ?? -1);
    this.#questions.set(node, question);
    this.#bySequence.set(question.sequence, node);
  }

  /** What was heard of the one that answers; undefined where the answer is not to such a question. */
  answered(sequence: number): Alive | undefined {
    const node = this.#bySequence.get(sequence);
    return node === undefined ? undefined : this.#questions.get(node)?.alive;
  }
}
