import type { Trace } from "../types.ts";
import { renderMermaid } from "./mermaid.ts";
import { renderText } from "./text.ts";

/** The document in an output format. Colours only when `colour` says so, and in text only; no newline at the end. */
export function render(
  trace: Trace,
  format: "text" | "wide" | "json" | "mermaid",
  options: { readonly colour?: boolean } = {},
): string {
  switch (format) {
    case "json":
      return JSON.stringify(trace, null, 2);
    case "mermaid":
      return renderMermaid(trace);
    default:
      return renderText(trace, { ...options, wide: format === "wide" });
  }
}
