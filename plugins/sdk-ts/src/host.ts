/** All that a plugin can reach, as `interface host` of the contract has it. */
export interface Host {
  log(level: Level, message: string): void;
  lookup(kind: string, keys: string[]): (string | null)[];
  panicked(index: number | null, message: string): void;
}

/** How much a log line matters. */
export type Level = "debug" | "info" | "warn" | "error";

const unreachable = (): never => {
  throw new Error("there is no host: call the mapping through kilofold, or through `run` of kilofold-plugin/testing");
};

let host: Host = { log: unreachable, lookup: unreachable, panicked: unreachable };

/** Connects the host; the build does it, and tests do. */
export function connect(to: Host): void {
  host = to;
}

/** Last words: which record was in hand, and what went wrong. */
export function panicked(index: number | null, message: string): void {
  host.panicked(index, message);
}

const line =
  (level: Level) =>
  (message: string): void =>
    host.log(level, message);

/** Writes to the run's log, within bounds. */
export const log = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };

/**
 * Bodies of outputs already stored, for joining across objects; `null` where there is no such output. One call for many
 * keys is much quicker than many calls, so mappings that join take the whole batch.
 */
export function lookup<T = Record<string, unknown>>(kind: string, keys: readonly string[]): (T | null)[] {
  return host.lookup(kind, [...keys]).map((body) => (body === null ? null : (JSON.parse(body) as T)));
}
