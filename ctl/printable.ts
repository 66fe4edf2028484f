/** Control characters, which could steer a terminal, as dots. Every character keeps its column. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => (character === "\t" ? " " : "·"));
}
