/** One setting that the user gives per sync, as `config = { name = value }`. */
export interface Setting<T> {
  readonly kind: "text" | "integer" | "number" | "boolean" | "choice" | "secret";
  readonly choices: readonly string[];
  readonly title: string | undefined;
  readonly help: string;
  readonly required: boolean;
  readonly default: T | undefined;
}

/** What is said of a setting. With a default it need not be given; neither need one that is `optional`: `null` then. */
interface Said<T> {
  title?: string;
  help?: string;
  default?: T;
  optional?: boolean;
}

/** `null` too where nothing may be given and there is no default. */
type Given<T, S> = S extends { default: unknown } ? T : S extends { optional: true } ? T | null : T;

function setting<T>(kind: Setting<T>["kind"], said: Said<T>, choices: readonly string[] = []): Setting<never> {
  const required = said.default === undefined && said.optional !== true;
  return { kind, choices, title: said.title, help: said.help ?? "", required, default: said.default as never };
}

/** A text that the user sets. */
export function textSetting<const S extends Said<string>>(said: S): Setting<Given<string, S>> {
  return setting("text", said);
}

/** A number that the user sets. */
export function numberSetting<const S extends Said<number>>(said: S): Setting<Given<number, S>> {
  return setting("number", said);
}

/** A whole number that the user sets. */
export function integerSetting<const S extends Said<number>>(said: S): Setting<Given<number, S>> {
  return setting("integer", said);
}

/** True or false, as the user sets it. */
export function boolSetting<const S extends Said<boolean>>(said: S): Setting<Given<boolean, S>> {
  return setting("boolean", said);
}

/** One of these texts, as the user sets it. */
export function choiceSetting<const C extends string, const S extends Said<C>>(
  choices: readonly C[],
  said: S,
): Setting<Given<C, S>> {
  return setting("choice", said, choices);
}

/** A text that is never shown. */
export function secretSetting<const S extends Omit<Said<string>, "default">>(said: S): Setting<Given<string, S>> {
  return setting("secret", said);
}

/** The settings of a mapping by name. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** What settings of these kinds are. */
export type SettingsOf<T> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : never };
