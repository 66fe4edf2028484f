/**
 * Verdicts on a Service, one of its addresses, a pool, a node, a BGP peer or the configuration: the state; the cause, by a code that
 * stays the same; and the remedy. The tables of causes are complete: every verdict takes its cause from them, and docs/verdicts.md is
 * made of them. Pure. The code that decides chooses the cause and the words: allocator, placement, sessions, node checks.
 */
export { type Cause, states } from "./cause.ts";
export { type CauseOf, causes, type Kind, kinds } from "./causes.ts";
export { answer, type BriefVerdict, brief, staysWhole, type VerdictAnswer, type VerdictEntry } from "./entry.ts";
export {
  byEach,
  type Dated,
  type Fact,
  isProblem,
  remedyFor,
  sentence,
  type Verdict,
  type VerdictDetails,
  verdict,
  worst,
} from "./verdict.ts";
