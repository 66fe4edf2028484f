/**
 * Verdicts: what is the case with a Service, one of its addresses, a pool, a node, a BGP peer or the configuration; why, by a code that
 * stays the same; and what to do. The tables of causes are all that there are: whoever gives a verdict takes its cause from them, and
 * docs/verdicts.md is made of them. Pure. What is found, and in which words, is said by those who decide: allocator, placement, sessions,
 * node checks.
 */
export { type Cause, states } from "./cause.ts";
export { type CauseOf, causes, type Kind, kinds } from "./causes.ts";
export { answer, type BriefVerdict, brief, type VerdictEntry } from "./entry.ts";
export { type Dated, type Fact, isProblem, sentence, type Verdict, type VerdictDetails, verdict, worst } from "./verdict.ts";
