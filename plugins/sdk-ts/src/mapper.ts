import type { Fields, RecordType, ValuesOf } from "./fields.ts";
import { panicked } from "./host.ts";
import { type Kind, type Outcome, Rejection } from "./outcome.ts";
import { Reader, type Row } from "./reader.ts";
import type { Setting, Settings, SettingsOf } from "./settings.ts";
import { Writer } from "./writer.ts";

/** Where a batch comes from and when it was read. */
export interface Context {
  /** API name of the object, such as `Contact`. */
  readonly object: string;
  /** Name of the sync that the batch belongs to. */
  readonly sync: string;
  /** The run's identity. */
  readonly run: string;
  /** Counts the batches of the run, from 0. */
  readonly batch: number;
  /** When the page was read, in milliseconds since 1970: the only clock there is. */
  readonly readAt: number;
  /** API names of the fields that come with the batch, in order. */
  readonly fields: readonly string[];
}

/** What a mapping is given beside the record. */
export interface Call<S> {
  readonly settings: S;
  readonly context: Context;
}

interface Common<R extends Fields, S extends Settings> {
  /** The plugin's name, version and summary; by default those of package.json. */
  name?: string;
  version?: string;
  summary?: string;
  /** API names of the objects that it can map; none: any. */
  objects?: readonly string[];
  /** What is read. */
  record: RecordType<R>;
  /** The kinds of output that it makes. */
  outputs: readonly Pick<Kind<never>, "kind" | "names">[];
  /** What the user sets per sync. */
  settings?: S;
  /** What else is wrong with settings: a message by name. */
  checkSettings?(settings: SettingsOf<S>): { readonly [name: string]: string | undefined };
  /** Whether deleted records come too (read `IsDeleted`); otherwise their outputs are retracted by the host. */
  mapsDeletions?: boolean;
}

/** A mapping of one record at a time, or of a whole batch. */
export type Mapping<R extends Fields, S extends Settings> = Common<R, S> &
  (
    | {
        map(record: ValuesOf<R>, call: Call<SettingsOf<S>>): Outcome;
        mapAll?: never;
      }
    | {
        /** One outcome a record, in order. Records that cannot be read fail by themselves and are not among them. */
        mapAll(records: ValuesOf<R>[], call: Call<SettingsOf<S>>): Outcome[];
        map?: never;
      }
  );

/** A plugin, as the contract has it. */
export interface Plugin {
  readonly about: { describe(): Description; configure(settings: string): void };
  readonly json: { mapBatch(context: Context, batch: string): string };
}

/** What a plugin is, reads and makes, as the contract has it. */
export interface Description {
  name: string;
  version: string;
  summary: string;
  objects: string[];
  reads: { name: string; required: boolean }[];
  outputs: { name: string; fields: string[] }[];
  settings: {
    name: string;
    title: string;
    help: string;
    kind: { tag: string; val?: string[] };
    required: boolean;
    defaultValue: string | null;
  }[];
  mapsDeletions: boolean;
}

// Set by the build, from package.json.
declare const KILOFOLD_PACKAGE: { name: string; version: string; description: string } | undefined;

/** Makes a mapping a plugin: `export default mapper({ ... })`. */
export function mapper<const R extends Fields, const S extends Settings = Record<never, never>>(
  mapping: Mapping<R, S>,
): Plugin {
  const reader = new Reader(mapping.record.fields);
  const writer = new Writer(mapping.outputs);
  let settings: SettingsOf<S> | undefined;
  return {
    about: {
      describe: () => describe(mapping),
      configure: (json) => {
        const given = JSON.parse(json) as SettingsOf<S>;
        for (const [name, setting] of Object.entries(mapping.settings ?? {})) {
          (given as Record<string, unknown>)[name] ??= (setting as Setting<unknown>).default ?? null;
        }
        const problems = Object.entries(mapping.checkSettings?.(given) ?? {}).flatMap(([setting, message]) =>
          message === undefined ? [] : [{ setting, message }],
        );
        if (problems.length > 0) {
          // The contract's `err`: how a function of its kind fails.
          throw problems;
        }
        settings = given;
      },
    },
    json: {
      mapBatch: (context, batch) => {
        if (settings === undefined) {
          throw new Error("the host maps before it configured the plugin");
        }
        const call = { settings, context };
        const rows = JSON.parse(batch) as unknown[][];
        const open = reader.expect(context.fields);
        const answers =
          mapping.map === undefined
            ? all(open, writer, rows, (records) => mapping.mapAll(records as ValuesOf<R>[], call))
            : each(open, writer, rows, (record) => mapping.map(record as ValuesOf<R>, call));
        return `[${answers.join(",")}]`;
      },
    },
  };
}

/** One text a record, so that what cannot be written is found with its record. */
function each(reader: Reader, writer: Writer, rows: unknown[][], map: (record: Row) => Outcome): string[] {
  let index = 0;
  try {
    const answers: string[] = [];
    for (; index < rows.length; index++) {
      answers.push(one(reader, writer, rows[index] as unknown[], map));
    }
    return answers;
  } catch (error) {
    throw told(index, error);
  }
}

function one(reader: Reader, writer: Writer, row: unknown[], map: (record: Row) => Outcome): string {
  const record = reader.read(row);
  if (record instanceof Rejection) {
    return writer.write(record);
  }
  try {
    return writer.write(map(record));
  } catch (error) {
    if (error instanceof Rejection) {
      return writer.write(error);
    }
    throw error;
  }
}

function all(reader: Reader, writer: Writer, rows: unknown[][], map: (records: Row[]) => Outcome[]): string[] {
  const read = rows.map((row) => reader.read(row));
  const good = read.filter((it): it is Row => !(it instanceof Rejection));
  let made: Outcome[];
  try {
    made = map(good);
    if (made.length !== good.length) {
      throw new Error(`the mapping returned ${made.length} outcomes for ${good.length} records`);
    }
  } catch (error) {
    throw told(null, error);
  }
  let next = 0;
  return read.map((it, index) => {
    try {
      return writer.write(it instanceof Rejection ? it : (made[next++] as Outcome));
    } catch (error) {
      throw told(index, error);
    }
  });
}

/** What went wrong is told to the host, with its place and the record in hand. */
function told(index: number | null, error: unknown): unknown {
  if (error instanceof Error) {
    const place = (error.stack ?? "").trim().split("\n").slice(0, 2).join(" ").trim();
    panicked(index, `${error.name}: ${error.message}${place === "" ? "" : ` (${place})`}`);
  } else {
    panicked(index, `threw ${String(error)}`);
  }
  return error;
}

function describe<R extends Fields, S extends Settings>(mapping: Mapping<R, S>): Description {
  const about = typeof KILOFOLD_PACKAGE === "undefined" ? undefined : KILOFOLD_PACKAGE;
  const settings = Object.entries(mapping.settings ?? {}) as [string, Setting<unknown>][];
  return {
    name: mapping.name ?? about?.name ?? "mapping",
    version: mapping.version ?? about?.version ?? "0.0.0",
    summary: mapping.summary ?? about?.description ?? "",
    objects: [...(mapping.objects ?? [])],
    reads: Object.entries(mapping.record.fields).map(([name, field]) => ({ name, required: !field.nullable })),
    outputs: mapping.outputs.map(({ kind, names }) => ({ name: kind, fields: [...names] })),
    settings: settings.map(([name, setting]) => ({
      name,
      title: setting.title ?? title(name),
      help: setting.help,
      kind: setting.kind === "choice" ? { tag: "choice", val: [...setting.choices] } : { tag: setting.kind },
      required: setting.required,
      defaultValue: setting.default === undefined ? null : String(setting.default),
    })),
    mapsDeletions: mapping.mapsDeletions ?? false,
  };
}

/** `api_key` and `apiKey` are `Api key`. */
function title(name: string): string {
  const words = name.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
