/** The parameters of a call, from the environment (CNI specification 1.1.0, section 2, "Parameters"). Pure. */
import { CniError } from "./error.ts";

/** What an attachment is known by. */
export interface Attachment {
  readonly containerID: string;
  readonly ifname: string;
}

export type Request =
  | { readonly command: "VERSION" | "STATUS" | "GC" }
  | { readonly command: "DEL"; readonly attachment: Attachment }
  | { readonly command: "ADD" | "CHECK"; readonly attachment: Attachment; readonly netns: string };

export type Command = Request["command"];
export type Environment = Readonly<Record<string, string | undefined>>;

const commands: readonly string[] = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"] satisfies Command[];

/**
 * What is asked for.
 * @throws CniError `badEnvironment` that names all variables which are missing or wrong
 */
export function readRequest(environment: Environment): Request {
  const { CNI_COMMAND, CNI_CONTAINERID = "", CNI_IFNAME = "", CNI_NETNS = "" } = environment;
  if (!isCommand(CNI_COMMAND)) {
    throw badVariables(
      [`CNI_COMMAND (${JSON.stringify(CNI_COMMAND ?? "")})`],
      `one of ${commands.join(", ")}`,
    );
  }
  if (CNI_COMMAND === "VERSION" || CNI_COMMAND === "STATUS" || CNI_COMMAND === "GC")
    return { command: CNI_COMMAND };
  const wrong = [
    ...(isContainerID(CNI_CONTAINERID) ? [] : ["CNI_CONTAINERID"]),
    ...(isInterfaceName(CNI_IFNAME) ? [] : ["CNI_IFNAME"]),
    ...(CNI_COMMAND === "DEL" || CNI_NETNS.startsWith("/") ? [] : ["CNI_NETNS"]),
  ];
  if (wrong.length > 0) throw badVariables(wrong, "each must be set, and be what the specification says");
  const attachment = { containerID: CNI_CONTAINERID, ifname: CNI_IFNAME };
  // What is to be taken away is found without them.
  if (CNI_COMMAND === "DEL") return { command: "DEL", attachment };
  refuseArguments(environment["CNI_ARGS"]);
  return { command: CNI_COMMAND, attachment, netns: CNI_NETNS };
}

function isCommand(text: string | undefined): text is Command {
  return text !== undefined && commands.includes(text);
}

/** An identifier, also of networks: one part of a path that hides nothing. */
export function isContainerID(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text);
}

/**
 * A name that the kernel takes as it is (dev_valid_name, and no pattern such as `eth%d`), and that means one device below
 * /proc/sys/net.
 */
export function isInterfaceName(text: string): boolean {
  if (text === "" || Buffer.byteLength(text) > 15) return false;
  return /^[^\s/:%\p{Cc}]+$/u.test(text) && ![".", "..", "all", "default"].includes(text);
}

/** Arguments that only tell which pod it is, as kubelet's runtimes send them. */
const informative = new Set([
  "IgnoreUnknown",
  "K8S_POD_NAMESPACE",
  "K8S_POD_NAME",
  "K8S_POD_INFRA_CONTAINER_ID",
  "K8S_POD_UID",
]);

/** No argument changes what is done: one that wants that is refused, unless the caller allows to ignore it. */
function refuseArguments(text = ""): void {
  const pairs = text
    .split(";")
    .filter((pair) => pair !== "")
    .map((pair) => pair.split("="));
  if (pairs.some((pair) => pair.length !== 2 || !/^[A-Za-z0-9_]+$/.test(pair[0] ?? "")))
    throw badVariables(["CNI_ARGS"], "KEY=VALUE pairs with semicolons between them");
  const given = new Map(pairs.map(([key = "", value = ""]) => [key, value]));
  const unknown = [...given.keys()].filter((key) => !informative.has(key));
  if (unknown.length === 0 || ["1", "true"].includes(given.get("IgnoreUnknown") ?? "")) return;
  throw badVariables(
    [`CNI_ARGS (${unknown.join(", ")})`],
    "not supported; with IgnoreUnknown=1 they are ignored",
  );
}

function badVariables(names: readonly string[], details: string): CniError {
  return new CniError("badEnvironment", `invalid environment: ${names.join(", ")}`, details);
}
