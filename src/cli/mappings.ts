/** `commands` of the configuration file: which containers run a local command instead of a stand-in. */
import { resolve } from "node:path";
import type { CommandMapping } from "#path/pod";
import { isRecord, isStringMap, isStrings, unknownField } from "./yaml-shapes.ts";

const entryFields = ["image", "command", "cwd", "env"];

/**
 * @param folder that `cwd` is relative to
 * @param fail makes the error for what is wrong
 */
export function parseMappings(
  value: unknown,
  folder: string,
  fail: (message: string) => Error,
): CommandMapping[] {
  if (!Array.isArray(value)) throw fail("commands is not a list");
  return value.map((entry: unknown, index) => {
    const at = `commands[${index}]`;
    if (!isRecord(entry)) throw fail(`${at} is not a map`);
    const unknown = unknownField(entry, entryFields);
    if (unknown !== undefined) throw fail(`${at}: unknown field "${unknown}"`);
    const { image, command, cwd, env } = entry;
    if (typeof image !== "string") throw fail(`${at}.image is required`);
    if (!isStrings(command) || command.length === 0) throw fail(`${at}.command must be a list of strings`);
    if (cwd !== undefined && typeof cwd !== "string") throw fail(`${at}.cwd must be a string`);
    if (env !== undefined && !isStringMap(env)) throw fail(`${at}.env must map names to strings`);
    const [program = "", ...args] = command;
    const own = env === undefined ? {} : { env };
    return { image, command: program, args, cwd: resolve(folder, cwd ?? "."), ...own };
  });
}
