/** Runs a mapping natively, under `node --test`: records as Salesforce sends them in, outcomes out. */
import { type Host, type Level, connect } from "./host.ts";
import type { Plugin } from "./mapper.ts";

/** What became of one record, as the contract spells it. */
export interface Result {
  mapped?: { kind: string; key: string; fields: Record<string, unknown> }[];
  skipped?: string;
  failed?: { code: string; message: string; field: string | null };
}

/** What the mapping is run with. */
export interface Setup {
  /** What the user set. */
  settings?: Record<string, unknown>;
  /** The object; by default the first that the plugin names. */
  object?: string;
  /** When the page was read; by default 2026-01-01T00:00:00Z. */
  readAt?: Date;
  /** Outputs for `lookup` to find: bodies by kind and key. */
  stored?: Record<string, Record<string, unknown>>;
  /** Gets what the mapping logs. */
  onLog?(level: Level, message: string): void;
}

/** Maps records; one result a record, in order. A field that a record does not have is null. */
export function run(plugin: Plugin, records: object[], setup: Setup = {}): Result[] {
  connect(hostOf(setup));
  const told = plugin.about.describe();
  plugin.about.configure(JSON.stringify(setup.settings ?? {}));
  const fields =
    told.reads.length > 0
      ? told.reads.map((field) => field.name)
      : [...new Set(records.flatMap((record) => Object.keys(record)))].filter((name) => name !== "attributes");
  const context = {
    object: setup.object ?? told.objects[0] ?? "Record__c",
    sync: "test",
    run: "test",
    batch: 0,
    readAt: (setup.readAt ?? new Date("2026-01-01T00:00:00Z")).getTime(),
    fields,
  };
  const batch = records.map((record) => fields.map((field) => valueAt(record, field)));
  const results = JSON.parse(plugin.json.mapBatch(context, JSON.stringify(batch))) as Result[];
  const kinds = new Map(told.outputs.map((kind) => [kind.name, kind.fields]));
  for (const output of results.flatMap((result) => result.mapped ?? [])) {
    const declared = kinds.get(output.kind);
    if (Array.isArray(output.fields) && declared !== undefined) {
      // Values alone, in the order of the declared fields.
      const values = output.fields as unknown[];
      output.fields = Object.fromEntries(declared.map((name, i) => [name, values[i]]));
    }
    check(output, declared);
  }
  return results;
}

/** The fields of the only output of one kind. */
export function body(result: Result | undefined, kind: string): Record<string, unknown> {
  const made = result?.mapped?.filter((output) => output.kind === kind) ?? [];
  if (made.length !== 1) {
    throw new Error(`there are ${made.length} outputs of kind '${kind}' in ${JSON.stringify(result)}`);
  }
  return made[0]?.fields ?? {};
}

function hostOf(setup: Setup): Host {
  return {
    log: (level, message) => setup.onLog?.(level, message),
    lookup: (kind, keys) =>
      keys.map((key) => {
        const body = setup.stored?.[kind]?.[key];
        return body === undefined ? null : JSON.stringify(body);
      }),
    panicked: () => undefined,
  };
}

function valueAt(record: object, path: string): unknown {
  let value: unknown = record;
  for (const part of path.split(".")) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[part] : null;
  }
  return value ?? null;
}

/** What the host checks of an output. */
function check(output: { kind: string; key: string; fields: object }, declared: string[] | undefined): void {
  if (declared === undefined) {
    throw new Error(`an output is of the kind '${output.kind}', which is not declared`);
  }
  if (typeof output.key !== "string" || output.key === "") {
    throw new Error(`an output '${output.kind}' has an empty key`);
  }
  const unknown = Object.keys(output.fields).find((name) => declared[0] !== "*" && !declared.includes(name));
  if (unknown !== undefined) {
    throw new Error(`'${unknown}' is not a declared field of '${output.kind}'`);
  }
}
