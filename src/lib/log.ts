/** One line per event on stderr: `12:03:07.123 proxy node-a: message key=value`. No secrets, no stack unless it is a bug. */
export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A log whose lines carry this component name as well. */
  child(component: string): Log;
}

type Level = "info" | "warn" | "error";

/** A log that writes each line with `write`. */
export function createLog(component: string, write: (line: string) => void): Log {
  const emit = (level: Level, message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const rest = Object.entries(fields)
      .map(([key, value]) => ` ${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
      .join("");
    const mark = level === "info" ? "" : `${level}: `;
    write(`${new Date().toISOString().slice(11, 23)} ${component}: ${mark}${message}${rest}`);
  };
  return {
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
    child: (name) => createLog(`${component} ${name}`, write),
  };
}

/** A log that keeps nothing. */
export const silentLog: Log = createLog("silent", () => undefined);
