/**
 * `inroad.yaml`: which containers run a local command instead of a stand-in.
 * It is read from the working directory or --config, never from a directory of manifests: manifests run nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { InroadError, messageOf } from "#lib/errors";
import { dirname, resolve } from "node:path";
import type { CommandMapping } from "#path/pod";

const defaultFile = "inroad.yaml";
const entryFields = new Set(["image", "command", "cwd", "env"]);

/** The mappings of a file; none when no file is named and ./inroad.yaml does not exist. */
export function loadMappings(file: string | undefined): CommandMapping[] {
  const path = file ?? defaultFile;
  if (file === undefined && !existsSync(path)) return [];
  const fail = (message: string): never => {
    throw new InroadError("InvalidConfig", message, {
      where: path,
      mend: "expected: commands: [{image: NAME, command: [PROGRAM, ARG...], cwd?: DIR, env?: {NAME: VALUE}}]",
    });
  };
  let document: unknown;
  try {
    document = parse(readFileSync(path, "utf8"), { maxAliasCount: 0 });
  } catch (error) {
    return fail(messageOf(error));
  }
  if (!isRecord(document) || !Array.isArray(document["commands"])) return fail("no list `commands`");
  return document["commands"].map((entry: unknown, index) => {
    const at = `commands[${index}]`;
    if (!isRecord(entry)) return fail(`${at} is not a map`);
    const unknown = Object.keys(entry).find((key) => !entryFields.has(key));
    if (unknown !== undefined) return fail(`${at}: unknown field "${unknown}"`);
    const { image, command, cwd, env } = entry;
    if (typeof image !== "string") return fail(`${at}.image is required`);
    if (!isStrings(command) || command.length === 0) return fail(`${at}.command must be a list of strings`);
    if (cwd !== undefined && typeof cwd !== "string") return fail(`${at}.cwd must be a string`);
    if (env !== undefined && !isStringMap(env)) return fail(`${at}.env must map names to strings`);
    const [program = "", ...args] = command;
    const folder = resolve(dirname(path), cwd ?? ".");
    return { image, command: program, args, cwd: folder, ...(env === undefined ? {} : { env }) };
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isStringMap(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((item) => typeof item === "string");
}
