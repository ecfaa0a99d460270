/** Colours for terminals; the identity when none are wanted. */
export interface Paint {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly warn: (text: string) => string;
}

/** SGR codes (ECMA-48) if `colour`, else the text as it is. */
export function createPaint(colour: boolean): Paint {
  const sgr =
    (code: number) =>
    (text: string): string =>
      colour && text !== "" ? `\u001B[${code}m${text}\u001B[0m` : text;
  return { bold: sgr(1), dim: sgr(2), good: sgr(32), bad: sgr(31), warn: sgr(33) };
}
