/**
 * Text for people, in messages, logs and events: lists cut short, and what others wrote quoted so that it can neither flood a log nor pass
 * for something else. Pure.
 */
export { escapeControls, list, listOf, maskControls, quote, shorten } from "./text.ts";
